"""The catalogue in a database of PostgreSQL that several nodes share: each writes its own sessions, and sees all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from doorward.sessions.catalogue.address import CatalogueAddress
from doorward.sessions.catalogue.connection import DatabaseConnection
from doorward.sessions.catalogue.keeping import KeptSessions
from doorward.sessions.catalogue.looking import Look
from doorward.sessions.catalogue.postgresql.dialect import POSTGRESQL
from doorward.sessions.catalogue.postgresql.readers import PostgresReaders
from doorward.sessions.catalogue.postgresql.statements import PostgresStatements
from doorward.sessions.catalogue.postgresql.tally_memory import TallyKey
from doorward.sessions.catalogue.postgresql.writing import PostgresTransactions
from doorward.sessions.catalogue.rows import SessionRow

PULSE_SECONDS: Final = 5.0
"""How often a database that nobody writes to is looked after."""


class PostgresEngine:
    """See `engine.Engine`. Nothing is connected before there is something to do."""

    def __init__(self, address: CatalogueAddress, node: str, kept: TallyKey | None) -> None:
        self._node = node
        self.writing = PostgresTransactions(address, node, kept)
        self.readers = PostgresReaders(address)

    @contextmanager
    def looking(self, seconds: float) -> Iterator[Look]:
        """See `engine.Engine.looking`."""
        with self.readers.reading(seconds) as connection:
            yield Look(connection, POSTGRESQL)

    def statements(self, connection: DatabaseConnection) -> PostgresStatements:
        """See `engine.Engine.statements`."""
        return PostgresStatements(connection, self._node)

    def close(self) -> None:
        """See `engine.Engine.close`."""
        self.readers.close()


class PostgresCatalogue(KeptSessions):
    """See `port.SessionCatalogue`. A database that can't be reached is tried again and again; until then nothing can begin.

    ``node``: the id of this one, whose sessions alone it changes. With ``kept`` a tally of its rows is kept.
    """

    def __init__(
        self,
        address: CatalogueAddress,
        node: str,
        is_readable: Callable[[SessionRow], bool] = lambda _: False,
        *,
        kept: TallyKey | None = None,
    ) -> None:
        super().__init__(PostgresEngine(address, node, kept), is_readable, node=node, pulse=PULSE_SECONDS)
