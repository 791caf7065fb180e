"""What a disk refused may still count: SQLite leaves it in its log, where the next start takes it for what was committed."""

from __future__ import annotations

import sqlite3


def may_be_whole(error: BaseException) -> bool:
    """Whether a transaction that failed may be in the log up to its end: the disk took all of it, and refused to sync it."""
    code = getattr(error, "sqlite_errorcode", None) or 0
    return code & 0xFF == sqlite3.SQLITE_IOERR and code != sqlite3.SQLITE_IOERR_WRITE


def is_written_over(connection: sqlite3.Connection) -> bool:
    """Write over what is in the log of a transaction that was undone; return whether that is on the disk.

    SQLite leaves it there for the next transaction to write over, and takes it for one that was committed where a start comes
    first. What is written is the first page, as it is.
    """
    try:
        connection.execute("PRAGMA user_version = 0")
    except sqlite3.Error:
        return False
    return True
