"""Connections for reading: a few, used again and again, in any thread, each read with an end to its time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

import psycopg

from doorward.sessions.catalogue.address import AddressError, CatalogueAddress
from doorward.sessions.catalogue.port import CatalogueUnavailableError
from doorward.sessions.catalogue.postgresql import schema
from doorward.sessions.catalogue.postgresql.connection import READING, PostgresConnection
from doorward.sessions.catalogue.results import TooSlowError

MAX_IDLE: Final = 4
"""Connections that are kept while nobody reads."""


class PostgresReaders:
    """The connections of one database."""

    def __init__(self, address: CatalogueAddress) -> None:
        self._address = address
        self._idle: list[PostgresConnection] = []
        self._lock = threading.Lock()
        self._closed = False

    @contextmanager
    def reading(self, seconds: float) -> Iterator[PostgresConnection]:
        """Give a connection for the time of a block, which sees one state of the database.

        Raises TooSlowError, CatalogueUnavailableError.
        """
        try:
            connection = self._begun(seconds)
            try:
                yield connection
            finally:
                self._give_back(connection)
        except psycopg.errors.QueryCanceled:
            raise TooSlowError from None
        except (psycopg.Error, schema.SchemaError, AddressError) as error:
            why = " ".join(str(error).split())
            raise CatalogueUnavailableError(f"the session catalogue can't be read: {why}") from error

    def close(self) -> None:
        """Close what is idle; what is in use is closed when it comes back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _begun(self, seconds: float) -> PostgresConnection:
        """Return a connection with a transaction; one that was lost while it was idle is let go of."""
        while True:
            with self._lock:
                connection = self._idle.pop() if self._idle else None
            is_fresh = connection is None
            if connection is None:
                connection = self._opened()
            try:
                connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
                connection.execute(f"SET LOCAL statement_timeout = {max(1, int(seconds * 1000))}")
            except psycopg.OperationalError:
                connection.close()
                if is_fresh:
                    raise
            else:
                return connection

    def _opened(self) -> PostgresConnection:
        connection = PostgresConnection(self._address, READING)
        try:
            schema.check(connection, self._address)
        except BaseException:
            connection.close()
            raise
        return connection

    def _give_back(self, connection: PostgresConnection) -> None:
        with suppress(psycopg.Error):
            connection.execute("ROLLBACK")
        with self._lock:
            if not self._closed and not connection.is_lost and len(self._idle) < MAX_IDLE:
                self._idle.append(connection)
                return
        connection.close()
