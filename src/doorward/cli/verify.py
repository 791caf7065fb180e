"""``doorward verify``: looks at a state directory without changing anything."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from doorward.backup.signing import SigningKeyError, read_key
from doorward.cluster.keys import NAME, NodeKey, NodeKeyError
from doorward.host.errors import HostError
from doorward.host.machine import Machine, MachineKind
from doorward.host.resources import Job, Listener
from doorward.host.sandbox import sandbox
from doorward.host.system import system
from doorward.sessions.catalogue.address import CatalogueAddress
from doorward.sessions.catalogue.sqlite.checking import check_catalogue
from doorward.sessions.catalogue.sqlite.tables import FILE, PURPOSE
from doorward.sessions.trail_checks import check_trails, missing_trails
from doorward.sessions.trails import DIRECTORY, Trails
from doorward.store.anchor import MAX_TEXT, HistoryKey, HistoryKeyError, anchors_in
from doorward.store.lock import StateInUseError, check_state
from doorward.store.port import Store, StoreDamagedError
from doorward.store.rotation import unsettled
from doorward.store.sqlite import SqliteStore
from doorward.store.vault import Vault, VaultError
from doorward.transaction.startup import node_id, read_running, whole_tree


def findings(
    state: Path, machine: MachineKind, anchors: Path | None = None, catalogue: CatalogueAddress | None = None
) -> list[str]:
    """Return what is wrong with the history, with what is sealed and with the host, a sentence each.

    ``anchors`` is a file with signed heads of the history: it has to go on from each of them. ``catalogue``: where sessions of
    the node are kept as well.
    """
    database = state / "doorward.db"
    if not database.exists():
        return [f"{state} holds no state of Doorward."]
    try:
        check_state(state)
        if unsettled(state):
            return ["A change of the data key is unfinished; the next start, or doorward rotate-key, sees to it."]
        vault = Vault.at(state / "data.key", create=False)
        store = SqliteStore(database, vault, room=False, key=HistoryKey.read(state))
    except (StateInUseError, HistoryKeyError, VaultError, StoreDamagedError) as error:
        return [str(error)]
    except OSError as error:
        return [f"{error.filename or state} can't be looked at: {error.strerror}."]
    try:
        return (
            [*store.check(), *_anchored(store, anchors)]
            or store.check_records()
            or [*_sealed(store, vault)]
            or [
                *store.check_tally(),
                *_keys(state, store),
                *_sessions(state, store),
                *_shared(state, store, catalogue),
                *_effect(store, state, machine),
            ]
        )
    except (HostError, StoreDamagedError) as error:
        return [str(error)]
    finally:
        store.close()


def _anchored(store: SqliteStore, path: Path | None) -> Iterator[str]:
    """Yield why the history does not go on from the anchors in a file."""
    if path is None:
        return
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            text = file.read(MAX_TEXT + 1)
    except OSError as error:
        yield f"{path} can't be read: {error.strerror}."
        return
    if len(text) > MAX_TEXT:
        yield f"{path} has more than {MAX_TEXT >> 20} million characters; give the lines with anchors alone."
        return
    found = dict.fromkeys(anchors_in(text))
    if not found:
        yield f"{path} holds no anchor: no signed head of a history."
    for anchor in found:
        yield from store.check_anchor(anchor)


def _sealed(store: Store, vault: Vault) -> Iterator[str]:
    """Yield what can't be opened."""
    for secret in store.secrets():
        try:
            vault.open(secret.name, secret.sealed)
        except VaultError as error:
            yield str(error)


def _keys(state: Path, store: Store) -> Iterator[str]:
    """Yield which of the keys that lie in files of their own can't be used; one that is missing is made at the next start."""
    try:
        if (state / NAME).exists():
            NodeKey.at(state, node_id(store))
    except NodeKeyError as error:
        yield str(error)
    try:
        read_key(state)
    except SigningKeyError as error:
        yield str(error)


def _sessions(state: Path, store: Store) -> Iterator[str]:
    """Yield which rows of sessions are not what was written, and which trails are gone; a node without sessions has none."""
    if (state / FILE).exists():
        key = HistoryKey.read(state)
        yield from check_catalogue(state / FILE, key.derived(PURPOSE) if key else None)
        yield from check_trails(state / FILE, Trails(state / DIRECTORY), node_id(store))


def _shared(state: Path, store: Store, address: CatalogueAddress | None) -> Iterator[str]:
    """Yield which rows of this node in PostgreSQL are not what was written, and which trails are gone."""
    if address is not None:
        from doorward.sessions.catalogue.postgresql.checking import check_shared
        from doorward.sessions.catalogue.postgresql.tally_memory import MEMORY, TallyKey

        node, trails, key = node_id(store), Trails(state / DIRECTORY), HistoryKey.read(state)
        kept = TallyKey(key.derived(PURPOSE), state / MEMORY) if key else None
        yield from check_shared(address, node, lambda connection: missing_trails(connection, trails, node), kept)


def _effect(store: Store, state: Path, machine: MachineKind) -> Iterator[str]:
    """Yield where the host is not what the running revision says."""
    if store.intent() is not None:
        yield "A commit is unfinished; the next start undoes it."
    tree = whole_tree()
    running = read_running(tree, Machine(machine), store)[0].snapshot
    host = sandbox(state) if machine == "sandbox" else system(state)
    asked = [resource for endpoint in tree.rendering if endpoint.node.render for resource in endpoint.node.render(running)]
    # Jobs and listeners live and die with the server.
    desired = [resource for resource in asked if not isinstance(resource, Job | Listener)]
    # So do the daemons of a sandbox; none of them is a child of this command.
    elsewhere = {"daemon_down"} if machine == "sandbox" else set()
    yield from (warning.message for warning in host.drift(desired) if warning.code not in elsewhere)
