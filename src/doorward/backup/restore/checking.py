"""The second step of a restore: every check of an archive in its order (section 9). Blocks, in any thread; changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from doorward.backup.content import CHANNEL_KEY
from doorward.backup.names import archive_name
from doorward.backup.node import NodeView
from doorward.backup.restore.loading import Loaded, NotLoadableError, check_version, load, past_of
from doorward.backup.restore.opening import ArchiveRefusedError, Opened, open_archive
from doorward.backup.restore.replacing import records, restored_candidate
from doorward.backup.restore.request import RestoreRequest, Scope
from doorward.configuration.aaa.local_database import users
from doorward.configuration.local_services import cluster
from doorward.configuration.network._nics import NIC
from doorward.host.engine import ApplyError
from doorward.host.nics import found_nics
from doorward.membership import nodes
from doorward.membership.cluster_role import cluster_role
from doorward.store.port import Past
from doorward.transaction.planner import CommitReport
from doorward.transaction.privileged import Committer
from doorward.transaction.startup import is_fresh
from doorward.tree.problems import Problem
from doorward.tree.snapshot import Snapshot

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
    report: CommitReport | None = None
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
    def file_name(self) -> str | None:
        """The name of the archive by what is signed in it; None: it can't be opened."""
        return name_of(self.opened) if self.opened is not None else None

    def close(self) -> None:
        """Let go of the archive."""
        if self.opened is not None:
            self.opened.close()


def check(node: NodeView, request: RestoreRequest, archive: Path, name: str | None = None) -> RestoreCheck:
    """Check an archive; nothing is changed. ``name`` is the one that it has on a target."""
    checked = RestoreCheck()
    try:
        _look(node, request, archive, name, checked)
    except ArchiveRefusedError as refused:
        _fail(checked, request, refused.code, refused.message)
    except NotLoadableError as refused:
        checked.problems = refused.problems
        _fail(checked, request, refused.problems[0].code, str(refused))
    except ApplyError as error:
        checked.problems = (Problem("host", f"{error.reason}.", "", error.origin),)
        _fail(checked, request, "host", error.reason)
    else:
        checked.checks = [_passed(name) for name in _names(request)]
    return checked


def _look(node: NodeView, request: RestoreRequest, archive: Path, name: str | None, checked: RestoreCheck) -> None:
    opened = checked.opened = open_archive(archive, request.password)
    manifest = opened.manifest
    if name not in {None, name_of(opened)}:
        raise ArchiveRefusedError("damaged", f"It is {name_of(opened)} by what is signed in it: somebody gave it another name.")
    if node.signing.role(opened.signer) is None and request.accept_signer != opened.signer:
        maker = manifest["node"]
        message = (
            f"It was signed with the key {opened.signer} by {maker['fqdn']} ({maker['id']}) at {manifest['created']}; "
            "accept_signer takes that fingerprint if it is the right one."
        )
        raise ArchiveRefusedError("unknown_signer", message)
    check_version(opened)
    if request.scope == "system":
        check_identity(node, request, opened)
    loaded = checked.loaded = load(opened, node.pipeline.tree, node.machine)
    if request.scope == "system":
        records(node, opened)  # refused while nothing was done yet
    # Nobody else restores: a check tells what they would be told.
    by = Committer(request.account, everything=True)
    candidate, message = restored_candidate(node, request, opened, loaded), commit_message(request, opened)
    report = node.pipeline.plan(candidate, message, address=request.address, by=by)
    checked.report = report
    if request.scope == "system" and is_fresh(node.pipeline.store):
        checked.past = past_of(opened)
    found = _warnings(node, request.scope, opened, report.merged.snapshot, request.user, aside=checked.past is None)
    checked.warnings = (*loaded.warnings, *found, *report.warnings)
    if report.problems:
        raise NotLoadableError(report.problems)
    if request.network == "restore":
        _devices_there(node, loaded)


def check_identity(node: NodeView, request: RestoreRequest, opened: Opened) -> None:
    """Raise ArchiveRefusedError where this node can't become the one in the archive."""
    theirs = opened.manifest["node"]["id"]
    if theirs != node.id and not request.take_over:
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


def name_of(opened: Opened) -> str:
    """Return the name of an archive by what is signed in it."""
    manifest = opened.manifest
    return archive_name(datetime.fromisoformat(manifest["created"]), manifest["node"]["id"], encrypted=False)


def commit_message(request: RestoreRequest, opened: Opened) -> str:
    """Return the message of the commit of a restore."""
    message = f"restore of {name_of(opened)} ({opened.manifest['revision']['number']})"
    return f"{message}: {request.message}" if request.message else message


def _warnings(
    node: NodeView, scope: Scope, opened: Opened, after: Snapshot, user: str, *, aside: bool
) -> Iterator[Problem]:  # fmt: skip
    """Yield what the one who asks should know before a restore.

    ``after`` is the configuration that it would come to, ``user`` who asks. ``aside``: the history of the archive does not become
    the node's.
    """
    yield from _of_account(node.pipeline.running.snapshot, after, user)
    where = "/api/backup/restores"
    if cluster_role(node.pipeline.running.snapshot).managed:
        message = "What Central Management sets stays as it is; only what is the node's own is restored."
        yield Problem("cluster_part_ignored", message, "", where)
    if scope == "system" and (opened.manifest["node"]["id"] != node.id or CHANNEL_KEY in opened.files):
        message = "The node takes its identity and its place in the cluster at the next start."
        yield Problem("restart_required", message, "", where)
    if scope == "system":
        yield from _of_address(after, where)
    if scope == "system" and aside:
        message = (
            "The history in the archive is kept as a file: the node has one of its own, or the one in the archive is not whole."
        )
        yield Problem("history_aside", message, "", where)


def _of_address(after: Snapshot, where: str) -> Iterator[Problem]:
    """Warn of a member of a cluster that is not where the others know it to be."""
    known, here = cluster_role(after), cluster.listen_address(after)
    member = after.find(nodes.NODE, known.node_id) if known.node_id else None
    if member is not None and member.address != here:
        message = f"The cluster interface is at {here} afterwards; the cluster knows this node at {member.address}."
        yield Problem("address_differs", message, "", where)


def _of_account(before: Snapshot, after: Snapshot, user: str) -> Iterator[Problem]:
    """Warn who would not come in afterwards with the password of now."""
    now, then = (_user(snapshot, user) for snapshot in (before, after))
    if now is not None and then is None:
        message = f"There is no account {user} in the archive: whoever is to log in afterwards needs another one of its accounts."
        yield Problem("account_missing", message, "", users.PATH)
    elif now is not None and then is not None and now["password"] != then["password"]:
        message = f"The account {user} has the password of the archive afterwards, which is not the one that it has now."
        yield Problem("other_password", message, "", users.PATH)


def _user(snapshot: Snapshot, name: str) -> dict[str, Any] | None:
    return next((body for _, one in snapshot.objects(users.PATH).items() if (body := one.value)["name"] == name), None)


def _names(request: RestoreRequest) -> Iterator[str]:
    return (name for name, _ in _CHECKS if name != "node" or request.scope == "system")


def _passed(name: str) -> dict[str, Any]:
    return {"check": name, "code": None, "message": None, "passed": True}


def _fail(checked: RestoreCheck, request: RestoreRequest, code: str, message: str) -> None:
    """Note that a check failed; those before it passed, and none after it was made."""
    failed = next((name for name, codes in _CHECKS if code in codes), "configuration")
    for name in _names(request):
        if name == failed:
            checked.checks.append({"check": name, "code": code, "message": message, "passed": False})
            return
        checked.checks.append(_passed(name))
