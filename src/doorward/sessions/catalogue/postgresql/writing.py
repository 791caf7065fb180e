"""The transactions of the connection that writes in PostgreSQL, which comes back by itself, with the tally of the node."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

import psycopg

from doorward.sessions.catalogue.address import AddressError, CatalogueAddress
from doorward.sessions.catalogue.engine import DatabaseError
from doorward.sessions.catalogue.postgresql import schema
from doorward.sessions.catalogue.postgresql.connection import WRITING, PostgresConnection
from doorward.sessions.catalogue.postgresql.statements import PostgresStatements
from doorward.sessions.catalogue.postgresql.tally import NodeTally
from doorward.sessions.catalogue.postgresql.tally_memory import TallyKey

_OF_THE_TABLES: Final = frozenset({"3F000", "42501", "42P01"})
"""States of errors that are none of a work: no schema, no right, no table."""


class PostgresTransactions:
    """See `engine.WriteTransactions`. A connection is made when there is something to write, and anew after each failure.

    With ``kept`` a tally of what the node writes is kept.
    """

    def __init__(self, address: CatalogueAddress, node: str, kept: TallyKey | None = None) -> None:
        self._address, self._node = address, node
        self._tally = None if kept is None else NodeTally(address, node, kept)
        self._connection: PostgresConnection | None = None
        self._is_durable = False

    def begin(self, *, is_durable: bool) -> PostgresStatements:
        """See `engine.WriteTransactions.begin`."""
        with _told():
            if self._connection is None:
                connection = PostgresConnection(self._address, WRITING, writes=True)
                try:
                    schema.bring_up(connection, self._address)
                    if self._tally is not None:
                        self._tally.attach(connection)
                except BaseException:
                    connection.close()
                    raise
                self._connection = connection
            self._connection.execute("BEGIN")
            if not is_durable:  # a later transaction that is synced covers it
                self._connection.execute("SET LOCAL synchronous_commit = off")
        self._is_durable = is_durable
        return PostgresStatements(self._connection, self._node, self._tally)

    @contextmanager
    def part(self) -> Iterator[None]:
        """See `engine.WriteTransactions.part`."""
        connection = self._begun
        with _told():
            connection.execute("SAVEPOINT one")
        noted = None if self._tally is None else self._tally.noted()
        try:
            yield
        except Exception as error:
            if _is_of_the_database(error):
                raise DatabaseError(_said(error)) from error
            with _told():
                connection.execute("ROLLBACK TO one")
            if self._tally is not None and noted is not None:
                self._tally.back_to(noted)
            raise
        with _told():
            connection.execute("RELEASE one")

    def commit(self) -> None:
        """See `engine.WriteTransactions.commit`."""
        with _told():
            if self._tally is not None:
                self._tally.settle(self._begun)
            self._begun.execute("COMMIT")
        if self._tally is not None:
            self._tally.committed(is_durable=self._is_durable)

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
        if self._tally is not None:
            self._tally.undone()
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
