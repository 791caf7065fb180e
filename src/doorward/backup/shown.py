"""Runs, drills and freshness as the API shows them (sections 10.1, 10.2 and 10.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from doorward.backup import encryption
from doorward.backup.records import Drill, Run
from doorward.configuration.management import exported_configuration_encryption as settings
from doorward.configuration.management import system_backup
from doorward.configuration.policies import backup_policies
from doorward.tree.places import Place
from doorward.tree.snapshot import Snapshot
from doorward.tree.times import stamp

if TYPE_CHECKING:
    from doorward.backup.service import Backups


def run_href(run_id: str) -> str:
    """Return the path of a run."""
    return f"/api/backup/runs/{run_id}"


def drill_href(drill_id: str) -> str:
    """Return the path of a drill."""
    return f"/api/backup/drills/{drill_id}"


def policy_reference(key: str) -> dict[str, Any]:
    """Return a backup policy as references are shown."""
    return {"key": key, "meta": {"href": f"{backup_policies.PATH}/{key}"}}


def run_body(run: Run) -> dict[str, Any]:
    """Return a run as it is shown; ``author`` only where somebody asked for it."""
    shown = run.as_json()
    shown["backup_policy"] = policy_reference(shown.pop("policy"))
    shown["drill"] = drill_href(run.drill) if run.drill else None
    if shown["author"] is None:
        del shown["author"]
    return shown


def drill_body(drill: Drill) -> dict[str, Any]:
    """Return a drill as it is shown; ``author`` only where somebody asked for it."""
    shown = drill.as_json()
    if shown["author"] is None:
        del shown["author"]
    return shown


def status_body(backups: Backups) -> dict[str, Any]:
    """Return how fresh the backups are. Blocks."""
    found = backups.freshness()
    snapshot = backups.node.pipeline.running.snapshot
    selected, working = backups.selected(), backups.runner.working
    success, failure, drill = found.success, found.failure, found.drill
    found_wanting = [problem for advice in system_backup.NODE.advice for problem in advice(snapshot, Place(system_backup.PATH))]
    return {
        "encryption": _encryption(snapshot),
        "last_drill": drill and {"at": drill.ended, "drill": drill_href(drill.id), "level": level(drill), "result": drill.result},
        "last_failure": failure
        and {"at": failure.ended, "code": failure.code, "message": failure.message, "run": run_href(failure.id)},
        "last_success": success and {"at": success.ended, "file": success.files[0]["name"], "run": run_href(success.id)},
        "next_due": stamp(found.next_due) if found.next_due else None,
        "overdue": found.overdue,
        "policy": policy_reference(selected.key) if selected else None,
        "running": run_href(working.id) if working else None,
        "warnings": [{"code": problem.code, "message": problem.message} for problem in found_wanting],
    }


def level(drill: Drill) -> str | None:
    """Return the highest level that a drill proved of what it read; what was proven before encryption is no such proof."""
    passed = [name for name in ("stored", "readable", "restorable") if drill.levels[name]["passed"]]
    read = [name for name in passed if drill.levels[name]["basis"] != "before_encryption"]
    return read[-1] if read else None


def _encryption(snapshot: Snapshot) -> dict[str, Any]:
    key = encryption.configured_key(snapshot)
    if key is None:
        return {"enabled": False, "expires": None, "fingerprint": None}
    end = settings.expiry(snapshot)
    return {
        "enabled": True,
        "expires": stamp(end) if end is not None else None,
        "fingerprint": key.fingerprint,
    }
