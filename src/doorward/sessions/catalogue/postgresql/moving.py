"""Sessions of a node's file go into PostgreSQL, as they are: some at a time, each whole or not at all.

What is there already is known by its key, so that it may be broken off anywhere and begun again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any, Final

from msgspec import Struct

from doorward.sessions.catalogue.address import CatalogueAddress
from doorward.sessions.catalogue.columns import decode_row
from doorward.sessions.catalogue.postgresql.statements import PostgresStatements
from doorward.sessions.catalogue.postgresql.tally_memory import TallyKey
from doorward.sessions.catalogue.postgresql.writing import PostgresTransactions
from doorward.sessions.catalogue.rows import AlertRow, EventRow
from doorward.sessions.catalogue.text import MAX_CHUNKS, SHIFT, ids_of, unpacked

AT_A_TIME: Final = 50
"""Sessions of one transaction."""
_EVENT, _ALERT = tuple(EventRow.__struct_fields__), tuple(AlertRow.__struct_fields__)
_SESSIONS: Final = (
    "SELECT sessions.id, has_commands, has_titles, is_recovered, body FROM sessions JOIN bodies USING (id)"
    " WHERE sessions.id > ? ORDER BY sessions.id LIMIT ?"
)


class Moved(Struct, frozen=True):
    """How many sessions were moved, and how many were there already."""

    sessions: int = 0
    present: int = 0


def move(
    source: sqlite3.Connection,
    address: CatalogueAddress,
    node: str,
    told: Callable[[int], None] = lambda _: None,
    kept: TallyKey | None = None,
) -> Moved:
    """Put what a file has into a database; the file stays as it is. ``told`` hears after how many sessions.

    ``kept``: what is moved is counted in the tally of the node.

    Raises DatabaseError where the database can't be written, sqlite3.Error.
    """
    done, last = Moved(), 0
    with closing(PostgresTransactions(address, node, kept)) as transactions:
        while rows := source.execute(_SESSIONS, (last, AT_A_TIME)).fetchall():
            statements = transactions.begin(is_durable=True)
            with transactions.part():
                fresh = sum(_moved(source, statements, *row) for row in rows)
            transactions.commit()
            last = rows[-1][0]
            done = Moved(done.sessions + fresh, done.present + len(rows) - fresh)
            told(done.sessions + done.present)
        statements = transactions.begin(is_durable=True)
        with transactions.part():
            _finish(source, statements)
        transactions.commit()
    return done


def _moved(source: sqlite3.Connection, statements: PostgresStatements, old: int, *told: Any) -> bool:
    """Put one session into the database, unless it is there; whether it was not."""
    *flags, body = told
    number = statements.insert(decode_row(body))
    if number is None:
        return False
    statements.put(number, dict(zip(("has_commands", "has_titles", "is_recovered"), flags, strict=True)))
    statements.copy_channels(number, source.execute("SELECT number, body FROM channels WHERE session = ?", (old,)).fetchall())
    statements.copy_downloads(number, source.execute("SELECT number, body FROM downloads WHERE session = ?", (old,)).fetchall())
    marks = source.execute("SELECT channel, kind, at, seen FROM marks WHERE session = ?", (old,)).fetchall()
    statements.connection.executemany("INSERT INTO marks VALUES (?, ?, ?, ?, ?)", [(number, *mark) for mark in marks])
    for values in source.execute(f"SELECT {', '.join(_EVENT)} FROM events WHERE session = ? ORDER BY number", (old,)):
        statements.add_event(number, EventRow(**dict(zip(_EVENT, values, strict=True))))
    for values in source.execute(f"SELECT {', '.join(_ALERT)} FROM alerts WHERE session = ? ORDER BY number", (old,)):
        statements.add_alert(number, AlertRow(**dict(zip(_ALERT, values, strict=True))))
    for chunk, channel, lines in source.execute("SELECT id, channel, body FROM chunks WHERE id BETWEEN ? AND ?", ids_of(old)):
        statements.add_chunk(number << SHIFT | (chunk & MAX_CHUNKS), channel, unpacked(lines))
    return True


def _finish(source: sqlite3.Connection, statements: PostgresStatements) -> None:
    """Go on with numbers, with what is to be deleted and when that was done last."""
    statements.copy_numbers(source.execute("SELECT policy_key, last FROM numbers").fetchall())
    for (path,) in source.execute("SELECT path FROM doomed"):
        statements.doom(path)
    for name, value in source.execute("SELECT name, value FROM meta WHERE name LIKE 'cleanup%'"):
        if statements.remembered(name) is None:
            statements.remember(name, value)
