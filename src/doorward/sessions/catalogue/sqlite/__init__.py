"""The catalogue in a SQLite file of its own, beside the configuration: one writer, WAL, many readers, FTS5."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from doorward.sessions.catalogue.connection import DatabaseConnection
from doorward.sessions.catalogue.keeping import KeptSessions
from doorward.sessions.catalogue.looking import Look
from doorward.sessions.catalogue.rows import SessionRow
from doorward.sessions.catalogue.sqlite import tables
from doorward.sessions.catalogue.sqlite.dialect import SQLITE
from doorward.sessions.catalogue.sqlite.readers import Readers
from doorward.sessions.catalogue.sqlite.writing import SqliteStatements, SqliteTransactions
from doorward.store.tally import Tally


class SqliteEngine:
    """See `engine.Engine`. Raises CatalogueDamagedError where the file can't be used, OSError."""

    def __init__(self, path: Path, key: bytes | None) -> None:
        connection = tables.open_for_writing(path)
        try:
            tally = Tally(connection, tables.COUNTED, key, follows_key=True) if key is not None else None
        except sqlite3.Error as error:
            connection.close()
            raise tables.CatalogueDamagedError(f"{path} can't be used: {error}.") from error
        self.writing = SqliteTransactions(connection, tally)
        self.readers = Readers(path)

    @contextmanager
    def looking(self, seconds: float) -> Iterator[Look]:
        """See `engine.Engine.looking`."""
        with self.readers.reading(seconds) as connection:
            yield Look(connection, SQLITE)

    def statements(self, connection: DatabaseConnection) -> SqliteStatements:
        """See `engine.Engine.statements`."""
        return SqliteStatements(connection)

    def close(self) -> None:
        """See `engine.Engine.close`."""
        self.readers.close()


class SqliteCatalogue(KeptSessions):
    """See `port.SessionCatalogue`. ``is_readable`` tells whether the text of an encrypted session may be kept in clear here.

    With ``key`` a tally of the rows is kept under it. Raises CatalogueDamagedError where the file can't be used, OSError.
    """

    def __init__(
        self, path: Path, is_readable: Callable[[SessionRow], bool] = lambda _: False, *, key: bytes | None = None
    ) -> None:
        engine = SqliteEngine(path, key)
        self.path, self.readers, self.transactions = path, engine.readers, engine.writing
        super().__init__(engine, is_readable)
