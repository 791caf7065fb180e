"""Whether something failed because the disk is full, and not by a fault of the program."""

from __future__ import annotations

import errno
import os
import sqlite3

_FULL = {errno.ENOSPC, errno.EDQUOT}
_FULL_STORE = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE}
"""The latter is told as an error of the disk, by who opens a store beside which there is no room for the index of its log."""


def is_full(error: BaseException) -> bool:
    """Whether a file or the store could not be written for want of space."""
    if isinstance(error, OSError):
        return error.errno in _FULL
    return isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", None) in _FULL_STORE


def reason(error: Exception) -> str:
    """Return why something failed, that there is no space above all."""
    return os.strerror(errno.ENOSPC) if is_full(error) else str(error)
