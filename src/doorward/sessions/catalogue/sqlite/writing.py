"""Writes in SQLite: its statements, and the transactions of the connection that writes, with their tally."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import structlog

from doorward.sessions.catalogue.engine import DatabaseError
from doorward.sessions.catalogue.rows import IndexLine
from doorward.sessions.catalogue.statements import Statements
from doorward.sessions.catalogue.text import ids_of, indexed_text, packed, unpacked
from doorward.store.refused import is_written_over, may_be_whole
from doorward.store.tally import Tally

log = structlog.get_logger()

_MERGED_PAGES: Final = 500
_OF_THE_DISK: Final = frozenset(
    {
        sqlite3.SQLITE_BUSY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_READONLY,
    }
)  # fmt: skip
"""Errors that say nothing about the work, but that nothing can be written."""


class SqliteStatements(Statements):
    """The statements with an index of FTS5."""

    def counted(self, sign: int, table: str, *cells: Any) -> None:
        """See `Statements.counted`: triggers of the tally see every row."""

    def add_chunk(self, number: int, channel: int, lines: list[IndexLine]) -> None:
        """See `Statements.add_chunk`."""
        self.connection.execute("INSERT INTO chunks VALUES (?, ?, ?)", (number, channel, packed(lines)))
        self.connection.execute("INSERT INTO text_index (rowid, lines) VALUES (?, ?)", (number, indexed_text(lines)))

    def remove_text(self, session: int) -> None:
        """See `Statements.remove_text`."""
        where = "id BETWEEN ? AND ?"
        for number, body in self.connection.execute(f"SELECT id, body FROM chunks WHERE {where} ORDER BY id", ids_of(session)):
            sql = "INSERT INTO text_index (text_index, rowid, lines) VALUES ('delete', ?, ?)"
            self.connection.execute(sql, (number, indexed_text(unpacked(body))))
        self.connection.execute(f"DELETE FROM chunks WHERE {where}", ids_of(session))

    def tidy_index(self) -> None:
        """See `Statements.tidy_index`."""
        self.connection.execute("INSERT INTO text_index (text_index, rank) VALUES ('merge', ?)", (_MERGED_PAGES,))


class SqliteTransactions:
    """See `engine.WriteTransactions`."""

    def __init__(self, connection: sqlite3.Connection, tally: Tally | None) -> None:
        self.connection, self._tally = connection, tally

    def begin(self, *, is_durable: bool) -> Statements:
        """See `engine.WriteTransactions.begin`."""
        with _told():
            # Without a sync of the log at its end a transaction costs little; a later one that is synced covers it.
            self.connection.execute(f"PRAGMA synchronous = {'FULL' if is_durable else 'NORMAL'}")
            self.connection.execute("BEGIN IMMEDIATE")
        return SqliteStatements(self.connection)

    @contextmanager
    def part(self) -> Iterator[None]:
        """See `engine.WriteTransactions.part`."""
        with _told():
            self.connection.execute("SAVEPOINT one")
        noted = self._tally.noted() if self._tally is not None else {}
        try:
            yield
        except Exception as error:
            if _is_of_the_disk(error):
                raise DatabaseError(str(error)) from error
            with _told():
                self.connection.execute("ROLLBACK TO one")
                self.connection.execute("RELEASE one")
            if self._tally is not None:
                self._tally.back_to(noted)
            raise
        with _told():
            self.connection.execute("RELEASE one")

    def commit(self) -> None:
        """See `engine.WriteTransactions.commit`."""
        try:
            if self._tally is not None:
                self._tally.settle()
            self.connection.execute("COMMIT")
        except sqlite3.Error as error:
            self.undo()
            if may_be_whole(error) and not is_written_over(self.connection):
                log.error("the disk did not confirm what was written about sessions; the next write it takes decides")
            raise DatabaseError(str(error)) from error
        if self._tally is not None:
            self._tally.committed()

    def undo(self) -> None:
        """See `engine.WriteTransactions.undo`."""
        if self.connection.in_transaction:
            self.connection.execute("ROLLBACK")
        if self._tally is not None:
            self._tally.undone()

    def close(self) -> None:
        """See `engine.WriteTransactions.close`."""
        self.connection.close()


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise DatabaseError(str(error)) from error


def _is_of_the_disk(error: BaseException) -> bool:
    code = getattr(error, "sqlite_errorcode", None)
    return isinstance(error, sqlite3.Error) and code is not None and (code & 0xFF) in _OF_THE_DISK
