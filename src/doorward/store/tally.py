"""The tally of a database: how many rows of each sort there are, and a keyed sum of them all.

Rows that are changed and removed all the time fit no chain. But whoever writes keeps their tally in the same transaction, so that
rows that somebody else took out, put in, changed or moved are noticed when they are added up anew. Only who holds the key can
make the tally fit; an older copy of the whole file, with its older tally, is what anchors of the history are for.
"""

from __future__ import annotations

import hmac
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
import structlog
from msgspec import Struct

from doorward.store.totals import PackedTotals, Total, Totals, add, compared, mark, name_of, of_row, packed, unpacked

log = structlog.get_logger()

_EVENTS = {"INSERT": ((1, "NEW"),), "DELETE": ((-1, "OLD"),), "UPDATE": ((-1, "OLD"), (1, "NEW"))}


class Counted(Struct, frozen=True):
    """A table whose rows are counted. ``cells``: the columns that tell a row and its place; ``noun``: what messages call rows.

    ``sort``: a column by whose values they are counted apart. A column with a checksum stands for all that it covers, so that a
    row that was damaged can be written anew.
    """

    table: str
    cells: tuple[str, ...]
    noun: str
    sort: str | None = None

    def columns(self, row: str = "") -> str:
        """Return the expressions of the sort and of the cells; as bytes, since damaged text would fail the statement."""
        whose = f"{row}." if row else ""
        names = ("''" if self.sort is None else f"{whose}{self.sort}", *(f"{whose}{cell}" for cell in self.cells))
        return ", ".join(f"CAST({name} AS BLOB)" for name in names)

    def named(self, sort: str) -> str:
        """Return what messages call the rows of a sort."""
        return f"{self.noun} {sort}" if sort else self.noun


class Tally:
    """Keeps the tally of what one connection writes; nobody else may write meanwhile.

    ``settle`` is called ahead of the end of a transaction, then ``committed`` or ``undone``. A tally that somebody altered is
    left as it is, so that it is found, however much is written. With ``follows_key`` one under another key is counted anew.
    """

    def __init__(
        self, connection: sqlite3.Connection, tables: Sequence[Counted], key: bytes, *, follows_key: bool = False
    ) -> None:
        self._connection, self._tables, self._key = connection, tables, key
        self._changes: Totals = {}
        self._next: Totals = {}
        stored = _stored(connection)
        if stored and follows_key and not _is_of(stored, key):
            stored = None
        self._totals = _opened(stored, key) if stored else self._begin()
        if self._totals is None:
            log.error("the tally of the rows was altered", tables=[table.table for table in tables])
            return
        # REPLACE removes rows without a word otherwise.
        connection.execute("PRAGMA recursive_triggers = ON")
        connection.create_function("doorward_tally", -1, self._note)
        for table in tables:
            for event, notes in _EVENTS.items():
                calls = " ".join(f"SELECT doorward_tally({sign}, '{table.table}', {table.columns(row)});" for sign, row in notes)
                name = f"tally_{table.table}_{event.lower()}"
                connection.execute(f"CREATE TEMP TRIGGER {name} AFTER {event} ON main.{table.table} BEGIN {calls} END")

    def settle(self) -> None:
        """Write the tally as the transaction leaves it."""
        if self._totals is None or not self._changes:
            return
        self._next = {**self._totals}
        for sort, change in self._changes.items():
            add(self._next, sort, change)
        _put(self._connection, self._next, self._key)

    def committed(self) -> None:
        """Go on from what was settled."""
        if self._changes:
            self._totals = self._next
            self._changes = {}

    def undone(self) -> None:
        """Forget what was noted since the last transaction."""
        self._changes = {}

    def noted(self) -> Totals:
        """Return what the transaction changed so far, to come back to."""
        return {**self._changes}

    def back_to(self, noted: Totals) -> None:
        """Forget what was noted since: a part of the transaction was undone."""
        self._changes = noted

    def anew(self, key: bytes) -> None:
        """Count everything anew under another key, within the transaction."""
        self._totals, self._changes, self._key = _counted(self._connection, self._tables, key), {}, key
        _put(self._connection, self._totals, key)

    def _begin(self) -> Totals:
        """Count what is there for the first time."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            totals = _counted(self._connection, self._tables, self._key)
            _put(self._connection, totals, self._key)
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise
        if totals:
            log.warning("rows that were never counted are counted from now on", rows=sum(total.rows for total in totals.values()))
        return totals

    def _note(self, sign: int, table: str, sort: bytes, *cells: bytes | None) -> None:
        at, total = of_row(self._key, table, sort, cells)
        add(self._changes, at, total if sign > 0 else total.negative)


def check(connection: sqlite3.Connection, tables: Sequence[Counted], key: bytes, *, follows_key: bool = False) -> Iterator[str]:
    """Yield which rows are not those of the tally, a sentence each. In one transaction: somebody may write meanwhile."""
    connection.execute("BEGIN")
    try:
        stored = _stored(connection)
        expected = _opened(stored, key) if stored else None
        found = _counted(connection, tables, key) if expected is not None else {}
    finally:
        connection.execute("ROLLBACK")
    if expected is None:
        is_later = stored is None or (follows_key and not _is_of(stored, key))
        yield "The rows were not counted yet; the next start does it." if is_later else "The tally of the rows was altered."
        return
    nouns = {table.table: table for table in tables}
    for table, sort in sorted(expected.keys() | found.keys()):
        noun = nouns[table].named(sort) if table in nouns else table
        yield from compared(noun, expected.get((table, sort), Total()), found.get((table, sort), Total()))


def _counted(connection: sqlite3.Connection, tables: Sequence[Counted], key: bytes) -> Totals:
    totals: Totals = {}
    for table in tables:
        for sort, *cells in connection.execute(f"SELECT {table.columns()} FROM main.{table.table}"):  # noqa: S608 - constant tables
            at, total = of_row(key, table.table, sort, cells)
            add(totals, at, total)
    return totals


def _put(connection: sqlite3.Connection, totals: Mapping[tuple[str, str], Total], key: bytes) -> None:
    data = msgspec.msgpack.encode(packed(totals))
    connection.execute("INSERT OR REPLACE INTO tally VALUES (1, ?, ?)", (data, mark(data, key)))


def _stored(connection: sqlite3.Connection) -> tuple[bytes, Any] | None:
    found: tuple[bytes, Any] | None = connection.execute("SELECT CAST(totals AS BLOB), CAST(mark AS BLOB) FROM tally").fetchone()
    return found


def _opened(stored: tuple[bytes, Any], key: bytes) -> Totals | None:
    """Return the totals, None where they are not those that the holder of the key wrote."""
    data, marked = stored
    if not hmac.compare_digest(bytes(marked or b""), mark(data, key).encode()):
        return None
    return unpacked(msgspec.msgpack.decode(data, type=PackedTotals))


def _is_of(stored: tuple[bytes, Any], key: bytes) -> bool:
    """Whether a tally says that it was kept under a key."""
    return stored[1] is not None and bytes(stored[1]).partition(b":")[0] == name_of(key).encode()
