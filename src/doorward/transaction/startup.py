"""The running configuration at start: read from the store, made at the first start, completed for a newer release."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

from doorward.host.machine import Machine
from doorward.store.port import Edit, Revision, Secret, Store, StoreDamaged
from doorward.store.vault import Vault
from doorward.transaction.candidate import Running
from doorward.transaction.pipeline import SYSTEM, now
from doorward.transaction.secrets import Keeper
from doorward.tree.jsontext import decode_own
from doorward.tree.places import Place
from doorward.tree.registry import Tree
from doorward.tree.snapshot import Document, Snapshot

PASSWORDS = "/api/configuration/passwords"


def documents(snapshot: Snapshot) -> Iterator[tuple[Place, int, Document]]:
    """Yield place, position and body of everything in a configuration."""
    for path, document in snapshot.singletons.items():
        yield Place(path), 0, document
    for path, objects in snapshot.collections.items():
        for key in objects.order:
            entry = objects.entries[key]
            yield Place(path, key), entry.position, entry.document


def first_revision(  # noqa: PLR0913 - what a first revision is made of
    tree: Tree, machine: Machine, store: Store, vault: Vault, keeper: Keeper, *, password: str, admin: str
) -> None:
    """Write revision 1: the defaults of every endpoint, and the built-in account ``admin`` with its password."""
    key, created = str(uuid.uuid4()), now()
    snapshot = tree.defaults(machine)
    made = Place(PASSWORDS, key)
    snapshot = snapshot.put(made, tree.load(made, {"created": created}))
    account = Place("/api/configuration/aaa/local_database/users", admin)
    snapshot = snapshot.put(account, tree.load(account, {"name": "admin", "password": key}))
    edits = [
        Edit(place, None, document.stored, position) for place, position, document in sorted(documents(snapshot), key=_by_place)
    ]
    revision = Revision(1, SYSTEM, "", created, "First start.", len(edits))
    store.publish(revision, edits, secrets=[Secret(key, "hash", vault.seal(f"{key}:hash", keeper.hashed(password)))])


def _by_place(row: tuple[Place, int, Document]) -> Place:
    return row[0]


def read_running(tree: Tree, machine: Machine, store: Store) -> tuple[Running, list[Edit]]:
    """Return the running configuration as this release sees it, and what must be edited in the store for that.

    Endpoints that this release brings have their default, and bodies of endpoints that it no longer has are gone.
    """
    head = store.head()
    assert head is not None  # noqa: S101 - the first start wrote one
    rows, edits = [], []
    for place, position, body in store.documents():
        if place.path in tree.endpoints:
            try:
                rows.append((place, position, tree.load(place, decode_own(body))))
            except Exception as error:
                raise StoreDamaged(f"The stored {place.href} was altered, or another release wrote it.") from error
        else:
            edits.append(Edit(place, body, None, position))
    snapshot = Snapshot.of(rows)
    for place, position, document in sorted(documents(tree.defaults(machine)), key=_by_place):
        if snapshot.document(place) is None:
            snapshot = snapshot.put(place, document, position if place.key else None)
            edits.append(Edit(place, None, document.stored, position))
    return Running(head.number, head.hash, snapshot), sorted(edits, key=lambda edit: edit.place)


def load_running(tree: Tree, machine: Machine, store: Store) -> Running:
    """Return the running configuration; what this release adds or drops is written as a revision of its own."""
    running, edits = read_running(tree, machine, store)
    if not edits:
        return running
    revision = Revision(running.number + 1, SYSTEM, "", now(), "Endpoints of this release.", len(edits))
    head = store.publish(revision, edits)
    return Running(head.number, head.hash, running.snapshot)
