"""What belongs to one session: channels, events, alerts, downloads, in pages."""

from __future__ import annotations

import sqlite3
from typing import Any, Final

import msgspec
from msgspec import Struct

from doorward.sessions.catalogue.rows import AlertRow, ChannelRow, DownloadRow, EventRow


class ItemRange(Struct, frozen=True):
    """Which items. ``number``: that one alone, where it is given."""

    limit: int
    offset: int = 0
    number: int | None = None


def channels(connection: sqlite3.Connection, session: int, part: ItemRange) -> tuple[list[ChannelRow], int]:
    """Return channels of a session, and how many there are."""
    rows, matching = _rows(connection, "channels", "body", session, part)
    return [msgspec.msgpack.decode(body, type=ChannelRow) for (body,) in rows], matching


def downloads(connection: sqlite3.Connection, session: int, part: ItemRange) -> tuple[list[DownloadRow], int]:
    """Return who had the content of a session, and how many did."""
    rows, matching = _rows(connection, "downloads", "body", session, part)
    return [msgspec.msgpack.decode(body, type=DownloadRow) for (body,) in rows], matching


_EVENT: Final = ("at", "type", "channel", "action", "content")
_ALERT: Final = ("at", "type", "channel", "rule", "regexp", "action", "content")


def events(connection: sqlite3.Connection, session: int, part: ItemRange) -> tuple[list[tuple[int, EventRow]], int]:
    """Return events of a session with their numbers, and how many there are."""
    rows, matching = _rows(connection, "events", ", ".join(("number", *_EVENT)), session, part)
    return [(number, EventRow(**dict(zip(_EVENT, row, strict=True)))) for number, *row in rows], matching


def alerts(connection: sqlite3.Connection, session: int, part: ItemRange) -> tuple[list[tuple[int, AlertRow]], int]:
    """Return matches of content policies with their numbers, and how many there are."""
    rows, matching = _rows(connection, "alerts", ", ".join(("number", *_ALERT)), session, part)
    return [(number, AlertRow(**dict(zip(_ALERT, row, strict=True)))) for number, *row in rows], matching


def _rows(
    connection: sqlite3.Connection, table: str, columns: str, session: int, part: ItemRange
) -> tuple[list[Any], int]:  # fmt: skip
    (matching,) = connection.execute(f"SELECT count(*) FROM {table} WHERE session = ?", (session,)).fetchone()
    sql = f"SELECT {columns} FROM {table} WHERE session = ?1 AND (?2 IS NULL OR number = ?2) ORDER BY number LIMIT ?3 OFFSET ?4"
    return connection.execute(sql, (session, part.number, part.limit, part.offset)).fetchall(), matching
