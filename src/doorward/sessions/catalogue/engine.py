"""What a database has to be able to do to keep the catalogue. Two can: SQLite and PostgreSQL."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

from doorward.sessions.catalogue.connection import DatabaseConnection
from doorward.sessions.catalogue.looking import Look
from doorward.sessions.catalogue.statements import Statements


class DatabaseError(Exception):
    """An error that says nothing about what was to be written, but that nothing can be written now. The message says why."""


class WriteTransactions(Protocol):
    """The transactions of the one connection that writes. They belong to one thread."""

    def begin(self, *, is_durable: bool) -> Statements:
        """Begin one; ``is_durable``: somebody waits until it is on the disk. Raises DatabaseError."""

    def part(self) -> AbstractContextManager[None]:
        """Give a block whose changes are taken back where it raises. Raises DatabaseError where the database is at fault."""

    def commit(self) -> None:
        """Have what was done on the disk, if somebody waits for it. Raises DatabaseError."""

    def undo(self) -> None:
        """Take back what was done since the begin."""

    def close(self) -> None:
        """Close the connection."""


class Engine(Protocol):
    """A database."""

    @property
    def writing(self) -> WriteTransactions:
        """What writes."""

    def looking(self, seconds: float) -> AbstractContextManager[Look]:
        """Give a look that may take so long. Raises TooSlowError, CatalogueUnavailableError."""

    def statements(self, connection: DatabaseConnection) -> Statements:
        """Return the statements for a connection that reads."""

    def close(self) -> None:
        """Close the connections that read."""
