"""Connections to PostgreSQL: opened with what each is for, refused where the tables are another release's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import psycopg

from doorward.sessions.catalogue.address import CatalogueAddress
from doorward.sessions.catalogue.connection import Rows

_AT_A_TIME: Final = 1000
_LOST = psycopg.pq.TransactionStatus.UNKNOWN
WRITING: Final[dict[str, str]] = {
    "statement_timeout": "30s",
    "lock_timeout": "10s",
    # A node that hangs must not hold up the others.
    "idle_in_transaction_session_timeout": "60s",
    "search_path": "public",
    # Whatever the server does for others: a session begins when its row is on the disk.
    "synchronous_commit": "on",
}
READING: Final[dict[str, str]] = {"default_transaction_read_only": "on", "search_path": "public"}


def storable(text: str) -> str:
    """Return a text as PostgreSQL takes it, which knows no NUL. Values of queries go the same way, so they still fit."""
    return text.replace("\0", "\ufffd")


class PostgresConnection:
    """See `connection.DatabaseConnection`. Outside of BEGIN every statement is its own transaction."""

    def __init__(self, address: CatalogueAddress, settings: dict[str, str], *, writes: bool = False) -> None:
        """Connect. Raises psycopg.Error, AddressError.

        ``writes``: a standby that is read only is passed over where there are several hosts, and refused where it is alone.
        """
        given = " ".join(f"-c {name}={value}" for name, value in settings.items())
        wanted = "read-write" if writes else "any"
        options = address.connection_options() | {"options": given, "target_session_attrs": wanted}
        self.raw: psycopg.Connection[Any] = psycopg.connect(autocommit=True, **options)

    @property
    def is_lost(self) -> bool:
        """Whether nothing can come of it any more."""
        return self.raw.closed or self.raw.info.transaction_status == _LOST

    def execute(self, sql: str, values: Sequence[Any] = (), /) -> Rows:
        """Carry out a statement."""
        return self.raw.execute(_translated(sql), _fit(values), binary=True)

    def executemany(self, sql: str, values: Iterable[Sequence[Any]], /) -> Rows:
        """Carry out a statement for each of some values."""
        cursor = self.raw.cursor()
        cursor.executemany(_translated(sql), map(_fit, values))
        return cursor

    def stream(self, sql: str, values: Sequence[Any] = (), /) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of a query within a transaction, some at a time: however many there are, few are in memory."""
        with self.raw.cursor(name="streamed") as cursor:
            cursor.itersize = _AT_A_TIME
            yield from cursor.execute(_translated(sql), _fit(values), binary=True)

    def close(self) -> None:
        """Close it."""
        self.raw.close()


def _translated(sql: str) -> bytes:
    # Our statements hold no percent signs and no question marks but these.
    return sql.replace("?", "%s").encode()


def _fit(values: Sequence[Any]) -> list[Any]:
    return [storable(value) if isinstance(value, str) else value for value in values]
