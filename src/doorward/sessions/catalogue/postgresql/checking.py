"""Whether the rows of a node in PostgreSQL are what was written: for ``doorward verify``, beside servers or without one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any, Final

import msgspec

from doorward.sessions.catalogue.address import CatalogueAddress
from doorward.sessions.catalogue.checking import damaged_rows
from doorward.sessions.catalogue.connection import DatabaseConnection
from doorward.sessions.catalogue.dialect import Condition
from doorward.sessions.catalogue.port import CatalogueUnavailableError
from doorward.sessions.catalogue.postgresql.connection import storable
from doorward.sessions.catalogue.postgresql.readers import PostgresReaders
from doorward.sessions.catalogue.postgresql.tally import check, memory_of
from doorward.sessions.catalogue.postgresql.tally_memory import TallyKey
from doorward.sessions.catalogue.results import TooSlowError

_SECONDS: Final = 600.0
"""How long one statement may take."""


def check_shared(
    address: CatalogueAddress,
    node: str,
    more: Callable[[DatabaseConnection], Iterator[str]] = lambda _: iter(()),
    kept: TallyKey | None = None,
) -> Iterator[str]:
    """Yield what is wrong with the rows of a node's sessions, a sentence each; then what ``more`` finds, in the same state.

    With ``kept`` also which rows others than the node took out, put in or changed.
    """
    # What it remembers is read first: the node may write on meanwhile.
    reached = None if kept is None else memory_of(address, node, kept).generation
    try:
        with closing(PostgresReaders(address)) as readers, readers.reading(_SECONDS) as connection:
            yield from damaged_rows(connection, Condition("node = ?", (node,)), _as_stored)
            if kept is not None:
                yield from check(connection, node, kept.key, reached)
            yield from more(connection)
    except (CatalogueUnavailableError, msgspec.DecodeError) as error:
        yield f"The sessions in {address.shown} can't be looked at: {error}."
    except TooSlowError:
        yield f"The sessions in {address.shown} can't be looked at: it took too long."


def _as_stored(value: Any) -> Any:
    return storable(value) if isinstance(value, str) else value
