"""What a restore leaves besides the configuration: the identity of the node, its list of runs, its history, the channel key.

Records are written in one step with the revision. A file that has to change as well is a sealed record first, and put in place
after the commit or at the next start: a kill in between ends in the old or the new state.
"""

from __future__ import annotations

import base64
import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from doorward.backup import container
from doorward.backup.content import CHANNEL_KEY, CLUSTER_KINDS, HISTORY, MEMBERSHIP, RUN_KINDS, RUNS
from doorward.backup.node import NodeView
from doorward.backup.opening import ArchiveRefusedError, Opened
from doorward.backup.records import checked
from doorward.backup.signing import own_key
from doorward.configuration.aaa.local_database import users
from doorward.configuration.local_services import cluster
from doorward.host.files import DiskFiles, Entry
from doorward.membership import nodes
from doorward.membership.cluster_role import cluster_role
from doorward.store.port import SEALED_FILE, Record, Store
from doorward.transaction.secrets import SecretKeeping
from doorward.transaction.startup import identity
from doorward.tree.jsontext import decode
from doorward.tree.problems import InvalidBody, Problem
from doorward.tree.snapshot import Snapshot

_REMOVED = "removed"
"""Archives of earlier releases have a text under this id, on nodes that Central Management had removed."""


def records(node: NodeView, opened: Opened) -> tuple[Record, ...]:
    """Return what a restore of the whole system writes along with its revision. Raises ArchiveRefusedError ``damaged``."""
    found = [identity(opened.manifest["node"]["id"])]
    if node.signing.role(opened.signer) != "current":
        found.append(own_key(node.pipeline.store, base64.b64decode(opened.public_key)))
    found.extend(_runs(node.pipeline.store, opened.files.get(RUNS, b"")))
    found.extend(_of_the_cluster(opened.json(MEMBERSHIP)))
    if CHANNEL_KEY in opened.files:
        text = opened.files[CHANNEL_KEY].decode("ascii", "replace")
        sealed = base64.b64encode(node.pipeline.secrets.seal(CHANNEL_KEY, text)).decode()
        found.append(Record(SEALED_FILE, CHANNEL_KEY, {"sealed": sealed}))
    return tuple(found)


def _runs(store: Store, lines: bytes) -> Iterator[Record]:
    if container.has_too_many_values(lines):
        raise ArchiveRefusedError("damaged", f"It holds more than an archive does: {RUNS} has too many values.")
    for line in lines.splitlines():
        try:
            value = decode(line)
            record = Record(value["kind"], value["id"], value["body"])
            if record.kind in RUN_KINDS:
                yield checked(store, record)
        except (InvalidBody, KeyError, TypeError, ValueError):
            raise ArchiveRefusedError("damaged", f"{RUNS} can't be read.") from None


def _of_the_cluster(membership: Any) -> Iterator[Record]:
    try:
        for value in membership["records"]:
            if value["kind"] in CLUSTER_KINDS and value["id"] != _REMOVED:
                if not (isinstance(value["id"], str) and isinstance(value["body"], dict)):
                    raise TypeError
                yield Record(value["kind"], value["id"], value["body"])
    except (KeyError, TypeError):
        raise ArchiveRefusedError("damaged", f"{MEMBERSHIP} does not hold what it should.") from None


def finish(state: Path, store: Store, secrets: SecretKeeping) -> None:
    """Put files in place that a restore brought; called after it, and at every start before anything reads them."""
    for record in store.records(SEALED_FILE):
        text = secrets.unseal(record.id, base64.b64decode(record.body["sealed"]))
        (state / record.id).parent.mkdir(mode=0o700, exist_ok=True)
        DiskFiles(state).write(f"/{record.id}", Entry(text.encode(), 0o600))
        store.remove_record(SEALED_FILE, record.id)


def warnings(
    node: NodeView, scope: Literal["configuration", "system"], opened: Opened, after: Snapshot, user: str, *, aside: bool
) -> Iterator[Problem]:  # fmt: skip
    """Yield what the one who asks should know before a restore.

    ``after`` is the configuration that it would come to, ``user`` who asks. ``aside``: the history of the archive does not become
    the node's.
    """
    yield from _account(node.pipeline.running.snapshot, after, user)
    where = "/api/backup/restores"
    if cluster_role(node.pipeline.running.snapshot).managed:
        message = "What Central Management sets stays as it is; only what is the node's own is restored."
        yield Problem("cluster_part_ignored", message, "", where)
    if scope == "system" and (opened.manifest["node"]["id"] != node.id or CHANNEL_KEY in opened.files):
        message = "The node takes its identity and its place in the cluster at the next start."
        yield Problem("restart_required", message, "", where)
    if scope == "system":
        yield from _address(after, where)
    if scope == "system" and aside:
        message = (
            "The history in the archive is kept as a file: the node has one of its own, or the one in the archive is not whole."
        )
        yield Problem("history_aside", message, "", where)


def _address(after: Snapshot, where: str) -> Iterator[Problem]:
    """Warn of a member of a cluster that is not where the others know it to be."""
    known, here = cluster_role(after), cluster.listen_address(after)
    member = after.find(nodes.NODE, known.node_id) if known.node_id else None
    if member is not None and member.address != here:
        message = f"The cluster interface is at {here} afterwards; the cluster knows this node at {member.address}."
        yield Problem("address_differs", message, "", where)


def _account(before: Snapshot, after: Snapshot, user: str) -> Iterator[Problem]:
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


@contextlib.contextmanager
def history_beside(node: NodeView, opened: Opened) -> Iterator[None]:
    """Keep the history of an archive as a file, unless the block fails."""
    manifest = opened.manifest
    name = f"history-{manifest['node']['id'][:8]}-{manifest['revision']['number']}.jsonl"
    path = node.state / "backup" / name
    path.parent.mkdir(mode=0o700, exist_ok=True)
    part = path.with_suffix(".part")
    part.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.writelines(opened.lines(HISTORY))
            file.flush()
            os.fsync(file.fileno())
        yield
        part.rename(path)
    finally:
        part.unlink(missing_ok=True)
