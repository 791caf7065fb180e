"""``doorward move-sessions``: the sessions of a state directory go into PostgreSQL, while no server has it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from itertools import count
from pathlib import Path

from msgspec import Struct

from doorward.host.files import sync_directory
from doorward.sessions.catalogue.address import CatalogueAddress
from doorward.sessions.catalogue.engine import DatabaseError
from doorward.sessions.catalogue.postgresql.moving import Moved, move
from doorward.sessions.catalogue.postgresql.tally_memory import MEMORY, TallyKey
from doorward.sessions.catalogue.sqlite.checking import check_catalogue
from doorward.sessions.catalogue.sqlite.tables import FILE, PURPOSE, CatalogueDamagedError, open_for_writing
from doorward.store.anchor import HistoryKey, HistoryKeyError
from doorward.store.lock import StateInUseError, locked
from doorward.store.port import StoreDamagedError
from doorward.store.rotation import DATABASE, KEY, unsettled
from doorward.store.sqlite import SqliteStore
from doorward.store.vault import Vault, VaultError
from doorward.transaction.startup import node_id


class NotMovedError(Exception):
    """Why sessions were not moved, or not all of them, in one sentence for the operator."""


class MovedFile(Struct, frozen=True):
    """What was moved, and where the file of before is now; None: there was none."""

    moved: Moved
    aside: Path | None


def moved(state: Path, address: CatalogueAddress, told: Callable[[int], None]) -> MovedFile:
    """Move the sessions of a state directory; ``told`` hears after how many of them. Raises NotMovedError.

    A file that has anything in it that was not written there is refused: in the database it would count as what was.
    """
    if not (state / DATABASE).exists():
        raise NotMovedError(f"{state} holds no state of Doorward.")
    try:
        with locked(state):
            node, path = _node(state), state / FILE
            if not path.exists():
                return MovedFile(Moved(), None)
            key = HistoryKey.read(state)
            secret = key.derived(PURPOSE) if key else None
            if found := list(check_catalogue(path, secret)):
                more = f" And {len(found) - 1} more; doorward verify names them." if len(found) > 1 else ""
                raise NotMovedError(f"{path} is not what was written. {found[0]}{more}")
            with closing(open_for_writing(path)) as source:
                done = move(source, address, node, told, TallyKey(secret, state / MEMORY) if secret else None)
            kept = _free(state)
            path.rename(kept)
            sync_directory(state)
            return MovedFile(done, kept)
    except (DatabaseError, sqlite3.Error, CatalogueDamagedError) as why:
        raise NotMovedError(f"{str(why).rstrip('.')}. What was moved so far stays; begin again.") from why
    except (StateInUseError, HistoryKeyError, StoreDamagedError, VaultError) as why:
        raise NotMovedError(str(why)) from why
    except OSError as why:
        raise NotMovedError(f"{why.filename or state} can't be used: {why.strerror}.") from why


def _node(state: Path) -> str:
    if unsettled(state):
        raise NotMovedError("A change of the data key is unfinished; the next start, or doorward rotate-key, sees to it.")
    store = SqliteStore(state / DATABASE, Vault.at(state / KEY, create=False), room=False)
    try:
        return node_id(store)
    finally:
        store.close()


def _free(state: Path) -> Path:
    names = (state / f"sessions-moved{'' if number == 1 else f'-{number}'}.db" for number in count(1))
    return next(path for path in names if not path.exists())
