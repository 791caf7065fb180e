"""Writes in PostgreSQL: its statements, and the transactions of the connection that writes, which comes back by itself."""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final

import msgspec
import psycopg

from doorward.sessions.catalogue.address import AddressError, CatalogueAddress
from doorward.sessions.catalogue.columns import columns_of
from doorward.sessions.catalogue.connection import DatabaseConnection
from doorward.sessions.catalogue.dialect import Condition
from doorward.sessions.catalogue.engine import DatabaseError
from doorward.sessions.catalogue.postgresql import schema, words
from doorward.sessions.catalogue.postgresql.connection import WRITING, PostgresConnection
from doorward.sessions.catalogue.rows import IndexLine, SessionRow
from doorward.sessions.catalogue.statements import Statements
from doorward.sessions.catalogue.text import SHIFT, indexed_text, packed

_TELLING: Final = {"events": (0, 1, 2, 3, 4), "alerts": (0, 1, 3, 4, 6)}
"""By which of their values rows are told from each other."""
_OF_THE_TABLES: Final = frozenset({"3F000", "42501", "42P01"})
"""States of errors that are none of a work: no schema, no right, no table."""


class PostgresStatements(Statements):
    """The statements of a node, which shares the tables with others and touches none of their sessions."""

    def __init__(self, connection: DatabaseConnection, node: str) -> None:
        super().__init__(connection)
        self._node = node
        self.own = Condition("node = ?", (node,))

    def columns(self, row: SessionRow) -> dict[str, Any]:
        """See `Statements.columns`."""
        found = columns_of(row)
        return found | {f"{end}_net": _net(found[f"{end}_ip"]) for end in ("client", "target", "server", "local")}

    def _add(self, table: str, session: int, values: tuple[Any, ...]) -> None:
        if table in _TELLING:
            told = msgspec.msgpack.encode([values[place] for place in _TELLING[table]])
            values = (*values, hashlib.blake2b(told, digest_size=16).digest())
        super()._add(table, session, values)

    def add_chunk(self, number: int, channel: int, lines: list[IndexLine]) -> None:
        """See `Statements.add_chunk`."""
        vector, is_crowded = words.indexed(indexed_text(lines))
        sql = "INSERT INTO chunks VALUES (?, ?, ?, ?, ?::tsvector, ?)"
        self.connection.execute(sql, (number, number >> SHIFT, channel, packed(lines), vector, is_crowded))

    def remove_text(self, session: int) -> None:
        """See `Statements.remove_text`: chunks go with their session, and words with their chunks."""

    def tidy_index(self) -> None:
        """See `Statements.tidy_index`: PostgreSQL cleans by itself (autovacuum)."""

    def doom(self, path: str) -> None:
        """See `Statements.doom`."""
        self.connection.execute("INSERT INTO doomed VALUES (?, ?) ON CONFLICT DO NOTHING", (self._node, path))

    def doomed(self) -> list[str]:
        """See `Statements.doomed`."""
        return [path for (path,) in self.connection.execute("SELECT path FROM doomed WHERE node = ?", (self._node,))]

    def forget_doomed(self, paths: Sequence[str]) -> None:
        """See `Statements.forget_doomed`."""
        self.connection.execute("DELETE FROM doomed WHERE node = ? AND path = ANY (?::text[])", (self._node, list(paths)))

    def remembered(self, name: str) -> str | None:
        """See `Statements.remembered`."""
        found = self.connection.execute("SELECT value FROM meta WHERE node = ? AND name = ?", (self._node, name)).fetchone()
        return None if found is None else str(found[0])

    def remember(self, name: str, value: str) -> None:
        """See `Statements.remember`."""
        sql = "INSERT INTO meta VALUES (?, ?, ?) ON CONFLICT (node, name) DO UPDATE SET value = excluded.value"
        self.connection.execute(sql, (self._node, name, value))


def _net(address: str) -> str | None:
    try:
        return str(ipaddress.ip_address(address.partition("%")[0]))
    except ValueError:
        return None


class PostgresTransactions:
    """See `engine.WriteTransactions`. A connection is made when there is something to write, and anew after each failure."""

    def __init__(self, address: CatalogueAddress, node: str) -> None:
        self._address, self._node = address, node
        self._connection: PostgresConnection | None = None

    def begin(self, *, is_durable: bool) -> Statements:
        """See `engine.WriteTransactions.begin`."""
        with _told():
            if self._connection is None:
                connection = PostgresConnection(self._address, WRITING, writes=True)
                try:
                    schema.bring_up(connection, self._address)
                except BaseException:
                    connection.close()
                    raise
                self._connection = connection
            self._connection.execute("BEGIN")
            if not is_durable:  # a later transaction that is synced covers it
                self._connection.execute("SET LOCAL synchronous_commit = off")
        return PostgresStatements(self._connection, self._node)

    @contextmanager
    def part(self) -> Iterator[None]:
        """See `engine.WriteTransactions.part`."""
        connection = self._begun
        with _told():
            connection.execute("SAVEPOINT one")
        try:
            yield
        except Exception as error:
            if _is_of_the_database(error):
                raise DatabaseError(_said(error)) from error
            with _told():
                connection.execute("ROLLBACK TO one")
            raise
        with _told():
            connection.execute("RELEASE one")

    def commit(self) -> None:
        """See `engine.WriteTransactions.commit`."""
        with _told():
            self._begun.execute("COMMIT")

    @property
    def _begun(self) -> PostgresConnection:
        if self._connection is None:
            raise DatabaseError("the connection is gone")
        return self._connection

    def undo(self) -> None:
        """See `engine.WriteTransactions.undo`."""
        self.close()

    def close(self) -> None:
        """See `engine.WriteTransactions.close`."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(psycopg.Error):
                connection.close()


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except (psycopg.Error, schema.SchemaError, AddressError) as error:
        raise DatabaseError(_said(error)) from error


def _said(error: Exception) -> str:
    return " ".join(str(error).split())


def _is_of_the_database(error: BaseException) -> bool:
    """Whether an error says nothing about the work, but that nothing can be written."""
    if not isinstance(error, psycopg.Error) or isinstance(error, (psycopg.DataError, psycopg.IntegrityError)):
        return False
    if isinstance(error, (psycopg.ProgrammingError, psycopg.NotSupportedError)):
        return error.sqlstate in _OF_THE_TABLES
    return True
