"""What runs and drills are made of on a real node: its archives, its targets, its keys."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog

from doorward.backup import archive, drills, retention
from doorward.backup.failure import Check
from doorward.backup.files import StoredArchives
from doorward.backup.names import MANIFEST, parse
from doorward.backup.node import NodeView
from doorward.backup.records import Clock, Drill, Log, Run, utc_now
from doorward.backup.targets.port import Target, TargetFile, describe, open_target
from doorward.backup.targets.probes import Probes
from doorward.store.port import Store

log = structlog.get_logger()

_ORPHANS = 5
"""Archives without manifest that one run looks at, since each is read whole."""


class NodeParts:
    """The parts of a run (``runs.Parts``) on a node."""

    def __init__(self, node: NodeView, files: StoredArchives, checks: drills.DrillChecks, clock: Clock = utc_now) -> None:
        self._node, self._files, self._checks, self._clock = node, files, checks, clock
        self._taken: set[datetime] = set()

    def prepare(self, spool: Path, check: Check) -> archive.Prepared:
        """Make the archive of the running configuration and prove it; ``check`` breaks it off."""
        return archive.prepare(self._node, spool, self._moment(), check)

    def _moment(self) -> datetime:
        """Return the time of a new archive. Names count seconds: where one is taken, this waits for the next."""
        taken = self._taken | _known(self._node.pipeline.store)
        while (second := (now := self._clock()).replace(microsecond=0)) in taken:
            time.sleep(1 - now.microsecond / 1e6)
        self._taken.add(second)
        return second

    def connect(self, policy: Mapping[str, Any], stop: threading.Event, workdir: Path, seconds: float) -> Target:
        """Log in on the target of a policy."""
        return open_target(
            policy["target"],
            self._node.pipeline.secrets.text,
            certificate=self._node.certificate,
            node=self._node.id,
            per_node=policy["include_node_id_in_path"],
            stop=stop,
            workdir=workdir,
            attempt_seconds=seconds,
        )

    def drill(self, target: Target, prepared: archive.Prepared, drill: Drill, workdir: Path) -> Drill:
        """Prove what is stored; what is in it was proven before it was encrypted."""
        return drills.stored(self._checks, target, prepared.name, drill, workdir, proven=prepared.encrypted)

    def clean_up(self, target: Target, policy: Mapping[str, Any], workdir: Path) -> None:
        """Delete old backups as the policy says, and what broken uploads left."""
        label = describe(policy["target"])

        def ours(pairs: Sequence[retention.Pair]) -> set[str]:
            return self._files.ours(target, label, workdir, [pair.manifest for pair in pairs])

        entries = target.names()
        found = retention.pairs(entries, self._node.id)
        now = retention.present(found, self._clock())
        if policy["retention"]["enabled"]:
            retention.delete(target, retention.expired(found, policy["retention"], ours, now))
        alone = retention.orphans(entries, self._node.id, now)
        for name in self._files.ours(target, label, workdir, alone.manifests):
            target.delete(name + MANIFEST)
            log.info("manifest of a backup that is gone deleted", file=name)
        self._delete_archives(target, alone.archives, workdir)
        retention.sweep(target, now, Probes(self._node.signing), workdir)

    def _delete_archives(self, target: Target, alone: Sequence[TargetFile], workdir: Path) -> None:
        """Delete archives without manifest that are provably ours: byte for byte what a run of this node made."""
        made = _made(self._node.pipeline.store) if alone else {}
        for entry in alone[:_ORPHANS]:
            file = made.get(entry.name)
            if file is not None and file["size"] == entry.size:
                with drills.fetched(target, entry.name, workdir, entry.size) as path:
                    same = drills.content_digest(path) == file["sha256"]
                if same:
                    target.delete(entry.name)
                    log.info("archive of a broken run deleted", file=entry.name)

    def withdraw(self, target: Target, prepared: archive.Prepared, workdir: Path) -> None:
        """Delete a pair that reads back differently, if it is provably ours."""
        manifest = next((entry for entry in target.names() if entry.name == prepared.name + MANIFEST), None)
        if manifest is not None and self._files.ours(target, "", workdir, [manifest]):
            target.delete(prepared.name)
            target.delete(prepared.name + MANIFEST)


def _made(store: Store) -> dict[str, dict[str, Any]]:
    """Return the archives of all runs that are kept, by name."""
    return {file["name"]: file for run in Log(store, Run).find() for file in run.files}


def _known(store: Store) -> set[datetime]:
    """Return the times in the names of the archives of all runs that are kept."""
    return {name.created for name in map(parse, _made(store)) if name is not None}
