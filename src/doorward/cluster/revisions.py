"""What travels from Central Management to the nodes, and how a revision is named (cluster contract, sections 6.1 and 6.2)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from typing import Annotated, Any

import msgspec

from doorward.membership import nodes
from doorward.membership.cluster_role import cluster_role
from doorward.tree.jsontext import decode_own, encode, prepared
from doorward.tree.nodes import WriteOnce
from doorward.tree.places import Place
from doorward.tree.registry import Endpoint, Tree
from doorward.tree.snapshot import Document, Snapshot

MAX_HEADERS = 1_000
"""Headers that come with a revision; who is further behind can't check the chain up to where it is."""

Digest = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
Parent = Annotated[str, msgspec.Meta(pattern="^([0-9a-f]{64})?$")]
Count = Annotated[int, msgspec.Meta(ge=0, lt=2**53)]
Epoch = Annotated[int, msgspec.Meta(ge=0, le=253_402_300_799)]
"""A Unix time that has a year of four digits."""

Row = tuple[str, str, str]
"""Path, key and stored body (canonical JSON) of a document; key "" for a singleton."""


@prepared
class Header(msgspec.Struct, frozen=True, order=True):
    """The name of a revision. A greater epoch is newer whatever the number says; ``parent`` is the hash before it, or ""."""

    epoch: Epoch
    number: Count
    hash: Digest
    parent: Parent = ""

    @property
    def at(self) -> tuple[int, int]:
        """What revisions are compared by."""
        return self.epoch, self.number


@prepared
class MemberRow(msgspec.Struct, frozen=True):
    """A node of the cluster, for the other nodes."""

    key: str
    address: str
    roles: list[str]


@prepared
class Membership(msgspec.Struct, frozen=True):
    """Who belongs to the cluster."""

    cluster_id: str
    central_node_id: str
    nodes: list[MemberRow]


@prepared
class RevisionContent(msgspec.Struct, frozen=True):
    """A configuration of scope ``cluster`` with the write-once objects that it owns, and the membership.

    ``secrets`` maps the keys of secrets to digests of what they hold.
    """

    tree: list[Row]
    membership: Membership
    secrets: dict[str, Digest]

    def digest(self) -> str:
        """Return the SHA-256 of all of it."""
        return hashlib.sha256(encode([self.tree, self.membership, self.secrets])).hexdigest()


Kept = tuple[str, str]
"""A secret as it travels: form and text, as its owner keeps it."""


def secret_digest(kept: Kept) -> str:
    """Return the digest of a secret."""
    return hashlib.sha256(":".join(kept).encode()).hexdigest()


def header(epoch: int, number: int, parent: str, content: str) -> Header:
    """Return the header of a content, given by its digest."""
    named = {"content": content, "epoch": epoch, "number": number, "parent": parent}
    return Header(epoch, number, hashlib.sha256(encode(named)).hexdigest(), parent)


@prepared
class Envelope(msgspec.Struct, frozen=True):
    """A revision as a managed host gets it, with the headers since the one that it has, and the secrets.

    Secrets leave Central Management in here only, inside the node channel.
    """

    header: Header
    headers: list[Header]
    version: str
    author: str
    message: str | None
    content: RevisionContent
    secrets: dict[str, Kept]

    def __repr__(self) -> str:
        return f"Envelope(header={self.header!r})"


@prepared
class MembershipEnvelope(msgspec.Struct, frozen=True):
    """The membership as the other nodes get it."""

    header: Header
    version: str
    membership: Membership


def membership_of(snapshot: Snapshot) -> Membership:
    """Return who belongs to the cluster of a Central Management."""
    known = cluster_role(snapshot)
    rows = [MemberRow(key, member.address, list(member.roles)) for key, member in snapshot.each(nodes.NODE)]
    return Membership(known.cluster_id or "", known.central_node_id or "", rows)


class Reader:
    """Reads what travels of configurations, one after the other; what is the same as in the last one is not read again.

    ``digest`` tells that of a secret by key.
    """

    def __init__(self, tree: Tree, digest: Callable[[str], str | None]) -> None:
        self._tree, self._digest = tree, digest
        self._read: dict[str, tuple[object, object, list[Row], list[Place]]] = {}
        """For each path what the last configuration had there, its rows, and the write-once objects that it owns."""

    def content(self, snapshot: Snapshot) -> RevisionContent:
        """Return what travels of a configuration."""
        rows: list[Row] = []
        owned: dict[Place, None] = {}
        for endpoint in _travelling(self._tree):
            found, owns = self._below(snapshot, endpoint.path)
            rows += found
            owned |= dict.fromkeys(owns)
        secrets: dict[str, Digest] = {}
        for place, document in _present(snapshot, owned):
            rows.append(_row(place, document))
            if (digest := self._digest(place.key)) is not None:
                secrets[place.key] = digest
        return RevisionContent(rows, membership_of(snapshot), secrets)

    def _below(self, snapshot: Snapshot, path: str) -> tuple[list[Row], list[Place]]:
        single, objects = snapshot.singletons.get(path), snapshot.objects(path)
        known = self._read.get(path)
        if known is None or known[0] is not single or known[1] is not objects:
            found = list(_documents(snapshot, path))
            owned = dict.fromkeys(place for _, document in found for place in _owned(self._tree, document))
            known = self._read[path] = single, objects, [_row(*one) for one in found], list(owned)
        return known[2:]


def documents(tree: Tree, snapshot: Snapshot) -> Iterator[tuple[Place, Document]]:
    """Yield the documents of scope ``cluster``."""
    for endpoint in _travelling(tree):
        yield from _documents(snapshot, endpoint.path)


def _travelling(tree: Tree) -> Iterator[Endpoint]:
    return (endpoint for endpoint in tree if endpoint.node.scope == "cluster")


def _documents(snapshot: Snapshot, path: str) -> Iterator[tuple[Place, Document]]:
    if (single := snapshot.singletons.get(path)) is not None:
        yield Place(path), single
    for key, document in snapshot.objects(path).items():
        yield Place(path, key), document


def _owned(tree: Tree, document: Document) -> Iterator[Place]:
    """Yield the write-once objects that a document owns."""
    for reference in sorted(document.references, key=lambda found: found.href):
        if isinstance(tree[reference.to].node, WriteOnce):
            yield Place(reference.to, reference.key)


def _present(snapshot: Snapshot, places: Iterable[Place]) -> Iterator[tuple[Place, Document]]:
    for place in places:
        if (found := snapshot.document(place)) is not None:
            yield place, found


def _row(place: Place, document: Document) -> Row:
    return place.path, place.key, document.stored.decode()


def value_of(row: Row) -> Any:
    """Return the body of a row as a JSON value."""
    return decode_own(row[2].encode())
