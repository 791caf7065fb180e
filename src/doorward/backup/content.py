"""What an archive holds, file by file; the same revision and secrets give the same bytes (section 2)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from typing import Any, Literal

from msgspec import Struct

from doorward.backup.container import MAX_HELD, MAX_VALUES, has_too_many_values
from doorward.backup.failure import BackupError, Check, never
from doorward.backup.node import NodeView
from doorward.membership import join_request, nodes, promote
from doorward.membership.cluster_role import cluster_role
from doorward.store.port import Edit, Revision, Store
from doorward.transaction.candidate import Running
from doorward.transaction.pipeline import Pipeline
from doorward.tree.changes import ORDER
from doorward.tree.jsontext import encode
from doorward.tree.nodes import WriteOnce, arranges
from doorward.tree.places import ROOT, Place
from doorward.tree.registry import Tree
from doorward.tree.snapshot import Snapshot

REVISION, TREE, HISTORY = "configuration/revision.json", "configuration/tree.json", "history/revisions.jsonl"
RUNS, MEMBERSHIP, CHANNEL_KEY = "backup/runs.jsonl", "cluster/membership.json", "cluster/node-key.pem"
SECRETS = {"passwords": "secrets/passwords.json", "private_keys": "secrets/private_keys.json", "x509": "secrets/x509.json"}
"""The file of each store of secrets, by the store's name."""
RUN_KINDS = ("backup_run", "backup_drill")
"""The records in the list of runs."""

_CLUSTER_REVISION, _CLUSTER_SYNC = "cluster_revision", "cluster_sync"
CLUSTER_KINDS = ("cluster_peer", _CLUSTER_REVISION, _CLUSTER_SYNC)
"""The records of the cluster: pins, the revisions of Central Management, how far a node follows it."""

_PAGE = 200
_UNSUSPECTED = 2 * MAX_VALUES
"""Bytes of a line of ours that can't have too many values: each takes two bytes."""


class Part(Struct, frozen=True):
    """One file of an archive. ``chunks`` yields the same content each time it is called."""

    path: str
    size: int
    sha256: str
    chunks: Callable[[], Iterator[bytes]]

    @classmethod
    def of(cls, path: str, data: bytes) -> Part:
        """Return the part of bytes at hand."""
        return cls(path, len(data), hashlib.sha256(data).hexdigest(), lambda: iter((data,)))


def contents(
    node: NodeView, running: Running, kind: Literal["system", "export"], check: Check = never
) -> tuple[int, list[Part]]:  # fmt: skip
    """Return the Unix time of a revision, and the files of its archive in the order of their paths. Raises BackupError.

    ``check`` is called time and again, also while the parts are read, and may raise.
    """
    store = node.pipeline.store
    revision = store.revision(running.number)
    if revision is None:
        raise BackupError("store_error", f"Revision {running.number} is not in the store.")
    tree, snapshot = node.pipeline.tree, running.snapshot
    parts = [
        Part.of(REVISION, encode(header(revision) | cluster_revision(store, snapshot))),
        Part.of(TREE, tree_json(tree, snapshot)),
        _past(node, running, check),
        *(Part.of(path, encode(secrets(node.pipeline, snapshot, name))) for name, path in SECRETS.items()),
    ]
    if kind == "system":
        runs = [
            encode({"body": record.body, "id": record.id, "kind": name}) + b"\n"
            for name in RUN_KINDS
            for record in reversed(store.records(name))
            if record.body["ended"] is not None  # this very run goes on, and would for ever where it is restored
        ]
        parts.append(Part.of(RUNS, b"".join(runs)))
        parts.append(Part.of(MEMBERSHIP, encode(membership(store, snapshot))))
        channel_key = node.state / CHANNEL_KEY
        if channel_key.exists():
            parts.append(Part.of(CHANNEL_KEY, channel_key.read_bytes()))
    return int(datetime.fromisoformat(revision.time).timestamp()), sorted(parts, key=lambda part: part.path)


def header(revision: Revision) -> dict[str, Any]:
    """Return who made a revision, when and why."""
    return {
        "address": revision.address,
        "author": revision.author,
        "hash": revision.hash,
        "message": revision.message,
        "number": revision.number,
        "parent": revision.parent_hash,
        "time": revision.time,
        **revision.approval,
    }


def cluster_revision(store: Store, snapshot: Snapshot) -> dict[str, Any]:
    """Return the cluster revision that a member has: the newest of a Central Management, else the last one that the node took."""
    known = cluster_role(snapshot)
    if not known.is_member:
        return {}
    if known.state == "central":
        found = next((record.body for record in store.records(_CLUSTER_REVISION, limit=1)), None)
    else:
        taken = store.record(_CLUSTER_SYNC, "node")
        found = taken and (taken.body.get("applied") or taken.body.get("membership"))
    return {"cluster_revision": found and {name: found[name] for name in ("epoch", "hash", "number", "parent")}}


def tree_json(tree: Tree, snapshot: Snapshot) -> bytes:
    """Return a configuration as canonical JSON: bodies by path, those of a collection by key with their ``@order``.

    References are bare keys. Secrets that nothing in the configuration refers to are left out: they would vanish after a day, or
    are those of a pairing. Others have no order.
    """
    found: dict[str, Any] = {}
    for path, document in snapshot.singletons.items():
        if path.startswith(f"{ROOT}/"):
            is_order = path in tree.endpoints and arranges(tree[path].node, Place(path))
            found[f"{path}/{ORDER}" if is_order else path] = document.value
    for path, objects in snapshot.collections.items():
        if not path.startswith(f"{ROOT}/"):
            continue
        once = path in tree.endpoints and isinstance(tree[path].node, WriteOnce)
        kept = {key: document.value for key, document in objects.items() if not once or _owned(snapshot, Place(path, key))}
        if kept:
            found[path] = {**kept, ORDER: sorted(kept) if once else list(kept)}
    return encode(found)


def _owned(snapshot: Snapshot, place: Place) -> bool:
    """Whether something in the configuration refers to an object."""
    return any(owner.path.startswith(f"{ROOT}/") for owner in snapshot.who_refers_to(place.href))


def membership(store: Store, snapshot: Snapshot) -> dict[str, Any]:
    """Return what the node is in its cluster. Pairings that are not over are left out: their secret never leaves the node."""
    promotion, request = (snapshot.document(Place(path)) for path in (promote.PATH, join_request.PATH))
    joined = request.value if request is not None and request.value is not None and request.value["joined"] else None
    members = {key: document.value for key, document in snapshot.objects(nodes.PATH).items()}
    return {
        "join_request": joined,
        "nodes": {key: body for key, body in members.items() if body["psk"] is None},
        "promote": promotion.value if promotion is not None else None,
        "records": [
            {"body": record.body, "id": record.id, "kind": kind}
            for kind in CLUSTER_KINDS
            for record in reversed(store.records(kind))
        ],
    }


def secrets(pipeline: Pipeline, snapshot: Snapshot, name: str) -> dict[str, Any]:
    """Return the secrets of a store of secrets by key: the form in which the owner keeps each, and its text."""
    found: dict[str, Any] = {}
    path = f"{ROOT}/{name}"
    for key in snapshot.objects(path).order:
        if not _owned(snapshot, Place(path, key)):
            continue
        secret, text = pipeline.store.secret(key), pipeline.secrets.text(key)
        if secret is not None and text is not None:
            found[key] = {"form": secret.form, "text": text}
    return found


def _past(node: NodeView, running: Running, check: Check) -> Part:
    """Return the part of the history, whose lines are too many to hold: they are made anew wherever they are needed."""
    lines = partial(_history, node.pipeline.store, running.number, check)
    size, digest = node.past.up_to(node.pipeline.store, running.number, running.hash, lines)
    return Part(HISTORY, size, digest, lines)


def _history(store: Store, last: int, check: Check, first: int = 1) -> Iterator[bytes]:
    """Yield every revision with its changes, oldest first. Raises BackupError for one that is too long to be read again."""
    for begin in range(first, last + 1, _PAGE):
        page = store.revisions(before=min(begin + _PAGE, last + 1), limit=min(_PAGE, last + 1 - begin))
        for revision in reversed(page):
            check()
            changes = [edit.as_json() for edit in store.edits(revision.number)]
            line = encode({**header(revision), "changes": changes}) + b"\n"
            if len(line) > MAX_HELD or (len(line) > _UNSUSPECTED and has_too_many_values(line)):
                raise BackupError("too_large", f"A line of {HISTORY} is too long: {len(line)} bytes.")
            yield line


def revision_of(line: dict[str, Any]) -> tuple[Revision, list[Edit]]:
    """Return the revision of a line of the history, and its changes."""
    edits = [Edit.from_json(row) for row in line["changes"]]
    revision = Revision(
        line["number"], line["author"], line["address"], line["time"], line["message"], len(edits), line["parent"], line["hash"],
        " ".join(line.get("approvers", [])), int(line.get("emergency", False)),
    )  # fmt: skip
    return revision, edits
