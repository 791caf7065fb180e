"""The file of the SQLite store: WAL, every commit synced, one writer at a time, read-only connections for all who read."""

from __future__ import annotations

import errno
import os
import sqlite3
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from doorward.store import log
from doorward.store.format import bring_up
from doorward.store.port import StoreDamagedError
from doorward.store.refused import is_written_over, may_be_whole
from doorward.store.tally import Tally

_T = TypeVar("_T")
_LOG_PAGES = 256
"""After so many pages the log is carried into the file and begun again."""
_PAGES_BYTES = 8 << 20
"""Of pages, that all connections of the process keep together, those to other files too: a further page takes the place of
one that was not used for long. Each by itself could keep some megabytes, and there are as many as ever read at a time."""
_SETTINGS = (
    "synchronous = FULL", "foreign_keys = ON", "busy_timeout = 5000", f"wal_autocheckpoint = {_LOG_PAGES}", "secure_delete = ON",
    f"soft_heap_limit = {_PAGES_BYTES}",
)  # fmt: skip
"""Of a connection that writes. What is deleted is overwritten, whatever the library was built with and whoever deletes it."""
_FULL = {errno.ENOSPC, errno.EDQUOT}
_FULL_STORE = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE}
"""The latter is told as an error of the disk, by who opens a store beside which there is no room for the index of its log."""


UNDECIDED = "the next write that the disk takes, or else the next start, decides whether it counts"


class UndecidedError(sqlite3.OperationalError):
    """The disk did not confirm a transaction that it may hold as a whole, nor did it take what would write over it."""


def is_full(error: BaseException) -> bool:
    """Whether a file or the store could not be written for want of space, and not by a fault of the program."""
    if isinstance(error, OSError):
        return error.errno in _FULL
    return isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", None) in _FULL_STORE


def reason(error: Exception) -> str:
    """Return why something failed, that there is no space above all."""
    return os.strerror(errno.ENOSPC) if is_full(error) else str(error)


class Database:
    """A SQLite file with the tables of a store; made if it does not exist. Raises StoreDamagedError.

    ``room`` False is for who only looks, maybe beside a server: the log gets no room ahead, and a file of an earlier
    format stays as it is.
    """

    def __init__(self, path: Path, *, room: bool = True) -> None:
        self._path = path
        wal = path.with_name(f"{path.name}-wal")
        log.check(wal)
        self._idle: list[sqlite3.Connection] = []
        """What nobody reads with at the moment: as many as ever read at a time."""
        self._closed = False
        self._writing = threading.Lock()
        self.failed: list[Callable[[str], None]] = []
        self._tally: Tally | None = None
        self._writer = self._open(room=room)
        if room:
            log.make_room(wal)

    def _open(self, *, room: bool) -> sqlite3.Connection:
        try:
            connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        except sqlite3.DatabaseError as error:
            raise StoreDamagedError(f"{self._path} can't be opened: {error}.") from error
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            for setting in _SETTINGS:
                connection.execute(f"PRAGMA {setting}")
            bring_up(connection, self._path, is_user=room)
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:  # the latter in an error message of SQLite
            connection.close()
            raise StoreDamagedError(f"{self._path} can't be opened: {reason(error)}.") from error
        except StoreDamagedError:
            connection.close()
            raise
        return connection

    def _write(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """Run one transaction, one at a time, and return when it is on the disk."""
        try:
            with self._writing:
                self._writer.execute("BEGIN IMMEDIATE")
                try:
                    result = work(self._writer)
                    if self._tally is not None:
                        self._tally.settle()
                    self._writer.execute("COMMIT")
                except BaseException as error:
                    if self._tally is not None:
                        self._tally.undone()
                    if self._writer.in_transaction:
                        self._writer.execute("ROLLBACK")
                    if may_be_whole(error) and not is_written_over(self._writer):
                        raise UndecidedError(f"{error}; {UNDECIDED}") from error
                    raise
                if self._tally is not None:
                    self._tally.committed()
                return result
        except sqlite3.Error as error:
            self._refused(error)
            raise

    def _refused(self, error: Exception) -> None:
        for tell in self.failed:
            tell(str(error))

    def _read(self, sql: str, *values: Any) -> list[Any]:
        return self._read_with(lambda connection: connection.execute(sql, values).fetchall())

    def _read_with(self, look: Callable[[sqlite3.Connection], _T]) -> _T:
        """Return what a look finds, by a connection that is its alone meanwhile. Looks may come from any thread."""
        try:
            connection = self._reader()
            try:
                return look(connection)
            finally:
                self._idle.append(connection)
                if self._closed:
                    self._close_idle()
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
            self._refused(error)
            raise StoreDamagedError(f"{self._path} can't be read: {error}.") from error

    def _reader(self) -> sqlite3.Connection:
        with suppress(IndexError):
            return self._idle.pop()
        if self._closed:
            raise sqlite3.ProgrammingError("it is closed")
        connection = sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=ro", uri=True, check_same_thread=False)
        connection.execute("PRAGMA busy_timeout = 5000")
        return connection

    def _close_idle(self) -> None:
        with suppress(IndexError):
            while True:
                self._idle.pop().close()

    def close(self) -> None:
        """Close the file. Nothing may be asked of it afterwards."""
        self._closed = True
        self._close_idle()
        with self._writing:  # last, since the last one leaves everything in the one file
            self._writer.close()
