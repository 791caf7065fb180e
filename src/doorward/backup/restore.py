"""Restores: every check of an archive in its order, then one commit that is the archive (section 9).

Everything blocks. ``RestoreCheck`` runs in any thread and changes nothing; ``carry_out`` runs in the commit thread.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import structlog
from pydantic import ValidationError

from doorward.access.rights import Allowed, always
from doorward.backup import restore_files
from doorward.backup.content import MEMBERSHIP
from doorward.backup.loading import Loaded, NotLoadableError, check_version, load
from doorward.backup.names import archive_name
from doorward.backup.node import NodeView
from doorward.backup.opening import ArchiveRefusedError, Opened, open_archive
from doorward.backup.past import past_of
from doorward.backup.replacing import candidate_of, put_membership, put_server_certificate
from doorward.configuration.network._nics import NIC
from doorward.host.engine import ApplyError
from doorward.host.nics import found_nics
from doorward.membership.cluster_role import cluster_role
from doorward.store.port import CommitRecord, Past
from doorward.transaction.candidate import Candidate
from doorward.transaction.pipeline import Order, Report
from doorward.transaction.privileged import Committer
from doorward.transaction.startup import is_fresh
from doorward.tree.problems import Problem

log = structlog.get_logger()

Scope = Literal["configuration", "system"]

_CHECKS = (
    ("format", {"not_a_backup"}),
    ("public_key", {"encrypted_archive"}),
    ("password", {"password_required", "wrong_password"}),
    ("content", {"damaged"}),
    ("signature", {"bad_signature"}),
    ("signer", {"unknown_signer"}),
    ("version", {"other_major", "newer_version"}),
    ("node", {"other_node", "cluster_member"}),
    ("configuration", set[str]()),
    ("network", {"device_missing"}),
)
"""The checks in their order, each with the codes by which it fails; the configuration's are those of a commit."""


@dataclass(frozen=True, slots=True)
class RestoreRequest:
    """What somebody asks for. ``message`` is the commit message, ``user`` and ``address`` are who asks and from where.

    ``account`` is the key of the account that asks; ``is_allowed`` tells, in any thread, whether it still may have the restore.
    ``confirm_seconds``: goes back after that many seconds unless confirmed; not for a whole system.
    """

    user: str
    address: str
    scope: Scope = "configuration"
    network: Literal["keep", "restore"] = "keep"
    password: str | None = field(default=None, repr=False)
    accept_signer: str | None = None
    take_over: bool = False
    message: str | None = None
    new_certificate: bool = False
    account: str = ""
    is_allowed: Allowed = field(default=always, repr=False)
    confirm_seconds: int | None = None


class RestoreCancelledError(Exception):
    """Whoever asked for a restore lost the account or the right before it took effect; nothing was changed."""


@dataclass(slots=True)
class RestoreCheck:
    """How far an archive came. ``checks`` are shown as they are; ``problems`` prevent the restore.

    ``report`` is what the commit would do, ``past`` the history that a node without one of its own takes over.
    """

    checks: list[dict[str, Any]] = field(default_factory=list)
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    opened: Opened | None = None
    loaded: Loaded | None = None
    report: Report | None = None
    past: Past | None = None

    @property
    def passed(self) -> bool:
        """Whether nothing speaks against the restore."""
        return self.report is not None and all(check["passed"] for check in self.checks)

    @property
    def failure(self) -> tuple[str, str]:
        """Code and message of the check that failed."""
        failed = next(check for check in self.checks if not check["passed"])
        return failed["code"], failed["message"]

    @property
    def file_name(self) -> str:
        """The name of the archive by what is signed in it."""
        assert self.opened is not None  # noqa: S101 - asked of what could be opened
        manifest = self.opened.manifest
        return archive_name(datetime.fromisoformat(manifest["created"]), manifest["node"]["id"], encrypted=False)

    def close(self) -> None:
        """Let go of the archive."""
        if self.opened is not None:
            self.opened.close()


def try_out(node: NodeView, wish: RestoreRequest, archive: Path, name: str | None = None) -> RestoreCheck:
    """Check an archive; nothing is changed. ``name`` is the one that it has on a target."""
    trial = RestoreCheck()
    try:
        _look(node, wish, archive, name, trial)
    except ArchiveRefusedError as refused:
        _fail(trial, wish, refused.code, refused.message)
    except NotLoadableError as refused:
        trial.problems = refused.problems
        _fail(trial, wish, refused.problems[0].code, str(refused))
    except ApplyError as error:
        trial.problems = (Problem("host", f"{error.reason}.", "", error.origin),)
        _fail(trial, wish, "host", error.reason)
    else:
        trial.checks = [_passed(name) for name in _names(wish)]
    return trial


def _look(node: NodeView, wish: RestoreRequest, archive: Path, name: str | None, trial: RestoreCheck) -> None:
    opened = trial.opened = open_archive(archive, wish.password)
    manifest = opened.manifest
    if name not in {None, trial.file_name}:
        raise ArchiveRefusedError("damaged", f"It is {trial.file_name} by what is signed in it: somebody gave it another name.")
    if node.signing.role(opened.signer) is None and wish.accept_signer != opened.signer:
        maker = manifest["node"]
        message = (
            f"It was signed with the key {opened.signer} by {maker['fqdn']} ({maker['id']}) at {manifest['created']}; "
            "accept_signer takes that fingerprint if it is the right one."
        )
        raise ArchiveRefusedError("unknown_signer", message)
    check_version(opened)
    if wish.scope == "system":
        _may_become(node, wish, opened)
    loaded = trial.loaded = load(opened, node.pipeline.tree, node.machine)
    if wish.scope == "system":
        restore_files.records(node, opened)  # refused while nothing was done yet
    by = Committer(wish.account, everything=True)  # nobody else restores; a trial tells what they would be told
    report = node.pipeline.plan(_candidate(node, wish, opened, loaded), _message(wish, trial), address=wish.address, by=by)
    trial.report = report
    if wish.scope == "system" and is_fresh(node.pipeline.store):
        trial.past = past_of(opened)
    found = restore_files.warnings(node, wish.scope, opened, report.merged.snapshot, wish.user, aside=trial.past is None)
    trial.warnings = (*loaded.warnings, *found, *report.warnings)
    if report.problems:
        raise NotLoadableError(report.problems)
    if wish.network == "restore":
        _devices_there(node, loaded)


def _may_become(node: NodeView, wish: RestoreRequest, opened: Opened) -> None:
    theirs = opened.manifest["node"]["id"]
    if theirs != node.id and not wish.take_over:
        message = f"It is of the node {theirs}; this is {node.id}. With take_over this machine takes its place."
        raise ArchiveRefusedError("other_node", message)
    if cluster_role(node.pipeline.running.snapshot).state != "standalone":
        raise ArchiveRefusedError("cluster_member", "This node belongs to a cluster, or asks to; let it leave first.")
    if opened.manifest["kind"] != "system":
        raise ArchiveRefusedError("not_a_backup", "It is an export, which holds a configuration but no whole system.")


def _devices_there(node: NodeView, loaded: Loaded) -> None:
    """Raise ArchiveRefusedError where a NIC of the archive is a device that this machine does not have."""
    present = {found.device for found in found_nics(node.machine)}
    for at in NIC:
        device = loaded.snapshot.read(at).name
        if device is not None and device not in present:
            message = f"{at.path} is the device {device}, which this machine does not have; network keep leaves it out."
            raise ArchiveRefusedError("device_missing", message)


def _candidate(node: NodeView, wish: RestoreRequest, opened: Opened, loaded: Loaded) -> Candidate:
    tree = node.pipeline.tree
    candidate = candidate_of(loaded, node.pipeline.running, tree, keep_network=wish.network == "keep")
    if wish.scope == "system":
        try:
            put_membership(candidate, tree, opened.json(MEMBERSHIP))
        except (ValidationError, KeyError, TypeError, AttributeError):
            raise ArchiveRefusedError("damaged", f"{MEMBERSHIP} does not hold what it should.") from None
    if wish.new_certificate:
        put_server_certificate(candidate, tree, node.pipeline.secrets.text)
    return candidate


def _message(wish: RestoreRequest, trial: RestoreCheck) -> str:
    assert trial.opened is not None  # noqa: S101 - asked of what could be opened
    message = f"restore of {trial.file_name} ({trial.opened.manifest['revision']['number']})"
    return f"{message}: {wish.message}" if wish.message else message


def carry_out(node: NodeView, wish: RestoreRequest, trial: RestoreCheck, ticket: str) -> CommitRecord:
    """Make the archive the running configuration. Runs in the commit thread.

    Raises RestoreCancelledError, or what a commit raises; then everything is as before, unless ApplyFailed says otherwise.
    """
    if not wish.is_allowed():
        raise RestoreCancelledError
    assert trial.opened is not None  # noqa: S101 - it passed
    assert trial.loaded is not None  # noqa: S101 - it passed
    opened = trial.opened
    past = trial.past if is_fresh(node.pipeline.store) else None
    if wish.scope == "system":
        _may_become(node, wish, opened)  # it may have joined a cluster since
    with restore_files.history_beside(node, opened) if past is None else nullcontext():
        candidate = _candidate(node, wish, opened, trial.loaded)
        records = restore_files.records(node, opened) if wish.scope == "system" else ()
        order = Order(
            wish.user, wish.address, _message(wish, trial), wish.confirm_seconds, ticket, records=records, past=past,
            everything=True, account=wish.account,
        )  # fmt: skip
        done = node.pipeline.commit(candidate, order)
    try:
        restore_files.finish(node.state, node.pipeline.store, node.pipeline.secrets)
    except OSError as error:  # the restore is done all the same, and the node takes its identity at the next start anyway
        log.warning("files of a restore are put in place at the next start", error=error.strerror)
    return done


def _names(wish: RestoreRequest) -> Iterator[str]:
    return (name for name, _ in _CHECKS if name != "node" or wish.scope == "system")


def _passed(name: str) -> dict[str, Any]:
    return {"check": name, "code": None, "message": None, "passed": True}


def _fail(trial: RestoreCheck, wish: RestoreRequest, code: str, message: str) -> None:
    """Note that a check failed; those before it passed, and none after it was made."""
    failed = next((name for name, codes in _CHECKS if code in codes), "configuration")
    for name in _names(wish):
        if name == failed:
            trial.checks.append({"check": name, "code": code, "message": message, "passed": False})
            return
        trial.checks.append(_passed(name))
