"""Whether the rows of sessions are what was written, in whatever engine keeps them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, Final

import msgspec

from doorward.sessions.catalogue.columns import columns_of, decode_row, sum_of
from doorward.sessions.catalogue.connection import DatabaseConnection
from doorward.sessions.catalogue.dialect import Condition
from doorward.sessions.catalogue.rows import Peer, SessionRow

_AT_ONCE: Final = 500
_DAMAGED: Final = "The row of the session {} is damaged."
EVERY: Final = Condition("1 = 1")


def damaged_rows(
    connection: DatabaseConnection, own: Condition = EVERY, as_stored: Callable[[Any], Any] = lambda value: value
) -> Iterator[str]:
    """Yield which rows of sessions, or what is searched of them, are not what was written, a sentence each.

    ``as_stored``: how the engine keeps a value.
    """
    number, columns = 0, ", ".join(f'"{name}"' for name in names())
    sql = (
        f"SELECT sessions.id, {columns}, body, checksum FROM sessions LEFT JOIN bodies USING (id)"
        f" WHERE sessions.id > ? AND {own.sql} ORDER BY sessions.id LIMIT ?"
    )
    while rows := connection.execute(sql, (number, *own.values, _AT_ONCE)).fetchall():
        for found, *values, body, checksum in rows:
            number = found
            kept = dict(zip(names(), values, strict=True))
            if body is None or sum_of(number, body) != checksum:
                yield _DAMAGED.format(kept["key"])
                continue
            try:
                expected = columns_of(decode_row(body))
            except (msgspec.DecodeError, ValueError):
                yield _DAMAGED.format(kept["key"])
                continue
            wrong = sorted(name for name, value in expected.items() if kept[name] != as_stored(value))
            if wrong:
                yield f"What is searched of the session {kept['key']} is not what is kept of it: {', '.join(wrong)}."


def ended_rows(connection: DatabaseConnection, node: str) -> Iterator[SessionRow]:
    """Yield the sessions that a node recorded and that have ended. Raises msgspec.DecodeError where a row is damaged."""
    number = 0
    sql = (
        "SELECT sessions.id, body FROM sessions JOIN bodies USING (id)"
        " WHERE sessions.id > ? AND node = ? AND ended IS NOT NULL ORDER BY sessions.id LIMIT ?"
    )
    while rows := connection.execute(sql, (number, node, _AT_ONCE)).fetchall():
        for found, body in rows:
            number = found
            yield decode_row(body)


@cache
def names() -> tuple[str, ...]:
    """Return the columns that say what the body says."""
    nobody = SessionRow(
        key="", number=0, began=0, node="", policy="", policy_key="", channel_policy="", client=Peer(), target=Peer()
    )  # fmt: skip
    return tuple(columns_of(nobody))
