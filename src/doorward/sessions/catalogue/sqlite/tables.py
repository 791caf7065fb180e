"""The file: how it is opened and made, which formats it had, and what of it is counted."""

from __future__ import annotations

import os
import sqlite3
from importlib.resources import files
from pathlib import Path
from typing import Final

from doorward.host.ownership import open_own
from doorward.sessions.catalogue.columns import sum_of
from doorward.store.migration import TALLY, FormatError, Formats, has_column, has_table, run
from doorward.store.tally import Counted

FILE: Final = "sessions.db"
"""Name of the database in the state directory."""
LOG_PAGES: Final = 4096
"""After so many pages the log is carried into the file."""
_WRITING = (
    "synchronous = FULL", "foreign_keys = ON", "busy_timeout = 5000", f"wal_autocheckpoint = {LOG_PAGES}", "secure_delete = ON",
    "cache_size = -8192", "temp_store = MEMORY",
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
            FORMATS.make(connection, files("doorward.sessions.catalogue.sqlite").joinpath("schema.sql").read_text())
        FORMATS.bring_up(connection, path)
    except FormatError as error:
        raise CatalogueDamagedError(str(error)) from error
    except (sqlite3.Error, UnicodeDecodeError) as error:
        raise CatalogueDamagedError(f"{path} can't be used: {error}.") from error
    return connection


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
