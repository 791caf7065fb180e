"""Whether the trails that rows of sessions name are there: for ``doorward verify``, beside a server or without one."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec

from doorward.sessions.catalogue.checking import ended_rows
from doorward.sessions.catalogue.connection import DatabaseConnection
from doorward.sessions.catalogue.rows import SessionRow
from doorward.sessions.trails import TrailMissingError, Trails


def check_trails(path: Path, trails: Trails, node: str) -> Iterator[str]:
    """Yield what `missing_trails` finds by the file of a node."""
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            connection.execute("PRAGMA busy_timeout = 5000")
            yield from missing_trails(connection, trails, node)
    except (sqlite3.Error, msgspec.DecodeError) as error:
        yield f"{path} can't be read: {error}."


def missing_trails(connection: DatabaseConnection, trails: Trails, node: str) -> Iterator[str]:
    """Yield which trails that a node recorded are gone, or shorter than what was recorded; those in an archive are not looked at.

    What is in a trail is for ``doorward trail verify``. Raises msgspec.DecodeError where a row is damaged.
    """
    for row in ended_rows(connection, node):
        yield from _trail(trails, row)


def _trail(trails: Trails, row: SessionRow) -> Iterator[str]:
    if not row.has_local_trail or (row.is_archived and row.archive is None):
        return
    try:
        with trails.open_here(row) as file:
            size = file.seek(0, os.SEEK_END)
    except (TrailMissingError, OSError):
        kept = f" The archive has it: {row.archive.path} in {row.archive.target}." if row.archive and row.is_archived else ""
        yield f"The trail of the session {row.key} is missing.{kept}"
        return
    if size < row.trail_bytes:
        yield f"The trail of the session {row.key} was cut off: it has {size} bytes, and {row.trail_bytes} were recorded."
