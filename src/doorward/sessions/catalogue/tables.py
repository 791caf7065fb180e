"""The tables of the catalogue, and how a session becomes a row of them."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import msgspec

from doorward.host.ownership import open_own
from doorward.sessions.catalogue.rows import SessionRow
from doorward.store.migration import TALLY, FormatError, Formats, has_column, has_table, run
from doorward.store.tally import Counted

FILE: Final = "sessions.db"
"""Name of the database in the state directory."""
SHIFT: Final = 20
"""Bits of the number of a chunk in its id; those above are the id of its session."""
LOG_PAGES: Final = 4096
"""After so many pages the log is carried into the file."""
_WRITING = (
    "synchronous = FULL", "foreign_keys = ON", "busy_timeout = 5000", f"wal_autocheckpoint = {LOG_PAGES}", "secure_delete = ON",
    "cache_size = -65536", "temp_store = MEMORY",
)  # fmt: skip

CHECKED: Final = "SELECT 1 FROM pragma_table_info('bodies') WHERE name = 'checksum'"
"""Whether the bodies have checksums."""

TALLIED: Final = "SELECT 1 FROM sqlite_master WHERE name = 'tally'"
"""Whether there is room for a tally."""
PURPOSE: Final = b"doorward sessions"
"""What the key of the tally is derived for."""
_ALERT = ("session", "number", "at", "channel", "type", "rule", "regexp", "action", "content")
COUNTED: Final = (
    Counted("alerts", _ALERT, "alerts of sessions"),
    Counted("bodies", ("id", "checksum"), "sessions"),
    Counted("channels", ("session", "number", "body"), "channels of sessions"),
    Counted("downloads", ("session", "number", "body"), "downloads of sessions"),
    Counted("events", ("session", "number", "at", "channel", "type", "action", "content"), "events of sessions"),
    Counted("numbers", ("policy_key", "last"), "numbers of sessions"),
)
"""What nobody may take out, put in or change."""

_SEPARATOR: Final = "\x1f"
"""Stands around each group of a user."""

encode = msgspec.msgpack.Encoder().encode
decode_row = msgspec.msgpack.Decoder(SessionRow).decode


class CatalogueDamagedError(Exception):
    """The database of sessions can't be used; the message says why."""


def open_for_writing(path: Path) -> sqlite3.Connection:
    """Open the database, made if it is not there, for this user alone. Raises CatalogueDamagedError, OSError."""
    os.close(open_own(path, os.O_RDWR | os.O_CREAT))
    try:
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA journal_mode = WAL")
        for setting in _WRITING:
            connection.execute(f"PRAGMA {setting}")
        if not has_table(connection, "meta"):
            FORMATS.make(connection, files("doorward.sessions.catalogue").joinpath("schema.sql").read_text())
        FORMATS.bring_up(connection, path)
    except FormatError as error:
        raise CatalogueDamagedError(str(error)) from error
    except (sqlite3.Error, UnicodeDecodeError) as error:
        raise CatalogueDamagedError(f"{path} can't be used: {error}.") from error
    return connection


def sum_of(number: int, body: bytes) -> str:
    """Return the checksum of the body of a session by its id, 16 hex digits. It finds damage and bodies in the wrong place."""
    return hashlib.blake2b(b"%d %b" % (number, body), digest_size=8).hexdigest()


def _number_formats(connection: sqlite3.Connection) -> None:
    """Lead from format 1 to 2: bodies have checksums, and there is room for a tally, which some of format 1 had already."""
    if not has_column(connection, "bodies", "checksum"):
        connection.create_function("sum_of", 2, sum_of, deterministic=True)
        run(
            connection,
            "ALTER TABLE bodies ADD COLUMN checksum TEXT NOT NULL DEFAULT ''; UPDATE bodies SET checksum = sum_of(id, body)",
        )
    run(connection, TALLY)


FORMATS: Final = Formats((_number_formats,))
"""A change of the tables adds a step here; schema.sql has them as they are now, and no step uses it."""


def columns_of(row: SessionRow) -> dict[str, Any]:
    """Return what the columns of a row hold."""
    return {
        "key": row.key,
        "number": row.number,
        "session_id": row.session_id,
        "protocol": row.protocol,
        "node": row.node,
        "policy": row.policy,
        "policy_key": row.policy_key,
        "channel_policy": row.channel_policy,
        **{f"client_{part}": getattr(row.client, part) for part in _PEER},
        **{f"target_{part}": getattr(row.target, part) for part in _PEER},
        **{f"server_{part}": getattr(row.server, part) for part in _PEER},
        **{f"local_{part}": getattr(row.server_local, part) for part in _PEER},
        "user": row.user,
        "gateway_user": row.gateway_user,
        "server_user": row.server_user,
        "groups": "".join(f"{_SEPARATOR}{group.replace(_SEPARATOR, '')}" for group in row.gateway_groups) + _SEPARATOR,
        "auth_method": row.auth_method,
        "began": row.began,
        "ended": row.ended,
        "duration": None if row.ended is None else (row.ended - row.began) // 1000,
        "verdict": row.verdict,
        "reason": row.reason,
        "index_status": row.index_status,
        "is_archived": int(row.is_archived),
        "has_accepted_channel": int(row.has_accepted_channel),
    }


_PEER = ("ip", "port", "name")


def insert(connection: sqlite3.Connection, row: SessionRow) -> int | None:
    """Keep a row; return its id, None where there is one with its key."""
    values = columns_of(row)
    sql = f"INSERT OR IGNORE INTO sessions ({', '.join(values)}) VALUES ({', '.join('?' * len(values))})"
    cursor = connection.execute(sql, tuple(values.values()))
    if not cursor.rowcount or cursor.lastrowid is None:
        return None
    body = encode(row)
    connection.execute("INSERT INTO bodies VALUES (?, ?, ?)", (cursor.lastrowid, body, sum_of(cursor.lastrowid, body)))
    return cursor.lastrowid


def change(connection: sqlite3.Connection, number: int, before: SessionRow, after: SessionRow) -> None:
    """Put a row in the place of another; only columns that differ are written."""
    old, new = columns_of(before), columns_of(after)
    put(connection, number, {name: value for name, value in new.items() if old[name] != value})
    body = encode(after)
    connection.execute("UPDATE bodies SET body = ?, checksum = ? WHERE id = ?", (body, sum_of(number, body), number))


def put(connection: sqlite3.Connection, number: int, values: Mapping[str, Any]) -> None:
    """Set columns of a row."""
    if values:
        sql = f"UPDATE sessions SET {', '.join(f'{name} = ?' for name in values)} WHERE id = ?"
        connection.execute(sql, (*values.values(), number))


def find(connection: sqlite3.Connection, key: str) -> tuple[int, SessionRow, bool] | None:
    """Return id and row of a session, and whether it was closed by a recovery."""
    sql = "SELECT sessions.id, body, is_recovered FROM sessions JOIN bodies USING (id) WHERE key = ?"
    found = connection.execute(sql, (key,)).fetchone()
    return None if found is None else (found[0], decode_row(found[1]), bool(found[2]))
