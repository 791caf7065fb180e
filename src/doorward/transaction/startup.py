"""The running configuration at start: read from the store, made at the first start, completed for a newer release."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import doorward.configuration
import doorward.membership
from doorward.configuration import x509
from doorward.configuration.management import certificates
from doorward.configuration.management._identities import made
from doorward.host.machine import Machine
from doorward.membership import ROOT as CLUSTER
from doorward.store.port import Edit, Revision, Secret, Store, StoreDamagedError, StoredRecord
from doorward.store.vault import Vault
from doorward.transaction.candidate import Running
from doorward.transaction.pipeline import SYSTEM
from doorward.transaction.secrets import PasswordKeeper
from doorward.transaction.setup import MESSAGE
from doorward.tree.jsontext import decode_own
from doorward.tree.nodes import Valued
from doorward.tree.places import Place
from doorward.tree.registry import Tree, discover
from doorward.tree.snapshot import Document, Snapshot
from doorward.tree.times import now

PASSWORDS = "/api/configuration/passwords"
_MAX_FRESH = 10
"""Revisions that a node can have by itself before anybody comes; more are a history."""


def whole_tree() -> Tree:
    """Return everything that has revisions: the configuration, and who belongs to the cluster."""
    return Tree(discover(doorward.configuration).root, discover(doorward.membership, CLUSTER).root)


def identity(uuid_: str) -> StoredRecord:
    """Return the record that says who a node is, by its UUID."""
    return StoredRecord("node", "id", {"uuid": uuid_})


def node_id(store: Store) -> str:
    """Return the UUID of the node; a store that has none gets one. Raises DamagedRecordError: nothing else says who it was."""
    kept = identity(str(uuid.uuid4()))
    found = store.record(kept.kind, kept.id)
    if found is None:
        store.put_record(kept)
    return str((found or kept).body["uuid"])


def documents(snapshot: Snapshot) -> Iterator[tuple[Place, int, Document]]:
    """Yield place, position and body of everything in a configuration."""
    for path, document in snapshot.singletons.items():
        yield Place(path), 0, document
    for path, objects in snapshot.collections.items():
        for key in objects.order:
            entry = objects.entries[key]
            yield Place(path, key), entry.position, entry.document


def first_revision(  # noqa: PLR0913 - what a first revision is made of
    tree: Tree, machine: Machine, store: Store, vault: Vault, keeper: PasswordKeeper, *, password: str | None, admin: str
) -> None:
    """Write revision 1: the defaults of every endpoint, the account ``admin`` with its password, the node's certificates.

    Without a password nobody can log in; the setup wizard asks for one.
    """
    created = now()
    snapshot, private_keys = identified(tree, tree.defaults(machine))
    kept = [Secret(name, "sealed", vault.seal(f"{name}:sealed", text)) for name, text in private_keys.items()]
    if password is not None:
        key = str(uuid.uuid4())
        place = Place(PASSWORDS, key)
        snapshot = snapshot.put(place, tree.load(place, {"created": created}))
        account = Place("/api/configuration/aaa/local_database/users", admin)
        snapshot = snapshot.put(account, tree.load(account, {"name": "admin", "password": key}))
        kept.append(Secret(key, "hash", vault.seal(f"{key}:hash", keeper.hashed(password))))
    edits = [
        Edit(place, None, document.stored, position) for place, position, document in sorted(documents(snapshot), key=_by_place)
    ]
    revision = Revision(1, SYSTEM, "", created, "First start.", len(edits))
    store.publish(revision, edits, secrets=kept)


def is_fresh(store: Store) -> bool:
    """Whether nobody has made a revision: all there is comes from the appliance itself, and from the setup wizard."""
    revisions = store.revisions(limit=_MAX_FRESH + 1)
    return len(revisions) <= _MAX_FRESH and all(
        (revision.author == SYSTEM and not revision.address) or revision.message == MESSAGE for revision in revisions
    )


def identified(tree: Tree, snapshot: Snapshot) -> tuple[Snapshot, dict[str, str]]:
    """Return a configuration with an authority of its own and what it signed, and the private keys by name, in PEM."""
    keys: dict[str, str] = {}
    texts: dict[str, str] = {}
    for role, pair in made(certificates.names(snapshot)).items():
        body, text = x509.make(pair)
        keys[role] = str(uuid.uuid4())
        texts[keys[role]] = text or ""
        place = Place(x509.PATH, keys[role])
        snapshot = snapshot.put(place, tree.load(place, body))
    own = Place(certificates.PATH)
    body = {"ca": {"selection": "identity", "x509_identity": keys["ca"]}, "server": keys["server"], "tsa": keys["tsa"]}
    return snapshot.put(own, tree.load(own, body)), texts


def _by_place(row: tuple[Place, int, Document]) -> Place:
    return row[0]


def read_running(tree: Tree, machine: Machine, store: Store) -> tuple[Running, list[Edit]]:
    """Return the running configuration as this release sees it, and what must be edited in the store for that.

    Endpoints that this release brings have their default, and bodies of endpoints that it no longer has are gone. What follows
    from the machine is renewed.
    """
    head = store.head()
    if head is None:
        raise StoreDamagedError("The store has no revision.")
    rows, edits = [], []
    for place, position, body in store.documents():
        if place.path in tree.endpoints:
            try:
                rows.append((place, position, tree.load(place, decode_own(body))))
            except Exception as error:
                raise StoreDamagedError(f"The stored {place.href} was altered, or another release wrote it.") from error
        else:
            edits.append(Edit(place, body, None, position))
    snapshot = Snapshot.of(rows)
    for place, position, document in sorted(documents(tree.defaults(machine, beside=snapshot)), key=_by_place):
        snapshot = snapshot.put(place, document, position if place.key else None)
        edits.append(Edit(place, None, document.stored, position))
    for endpoint in tree:
        place, node = Place(endpoint.path), endpoint.node
        fresh = node.renewed(snapshot, place, machine) if isinstance(node, Valued) and node.renewed else None
        if fresh is not None:
            old, new = snapshot.document(place), tree.load(place, fresh)
            edits.append(Edit(place, old.stored if old else None, new.stored, 0))
            snapshot = snapshot.put(place, new)
    return Running(head.number, head.hash, snapshot), sorted(edits, key=lambda edit: edit.place)


def load_running(tree: Tree, machine: Machine, store: Store) -> Running:
    """Return the running configuration; what this release or the machine adds or drops is written as a revision of its own.

    Raises StoreDamagedError where what runs is not what was committed.
    """
    for finding in store.check_running():
        raise StoreDamagedError(f"{finding} Bring back a copy of the state directory; doorward verify tells all that is damaged.")
    running, edits = read_running(tree, machine, store)
    if not edits:
        return running
    revision = Revision(running.number + 1, SYSTEM, "", now(), "What this release or the machine brings.", len(edits))
    head = store.publish(revision, edits)
    return Running(head.number, head.hash, running.snapshot)
