"""Connections for reading the catalogue: a few, used again and again, in any thread, each read with an end to its time."""

from __future__ import annotations

import ipaddress
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Final

from doorward.sessions.catalogue.port import READ_SECONDS, CatalogueUnavailableError
from doorward.sessions.catalogue.results import TooSlowError

MAX_IDLE: Final = 4
"""Connections that are kept while nobody reads."""
_STEPS: Final = 20_000
"""Steps of SQLite's machine between two looks at the clock; some milliseconds."""
_SETTINGS = ("query_only = ON", "busy_timeout = 5000", "cache_size = -16384", "temp_store = MEMORY", "mmap_size = 1073741824")


class Readers:
    """The connections of one database."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._idle: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        self._closed = False

    @contextmanager
    def reading(self, seconds: float = READ_SECONDS) -> Iterator[sqlite3.Connection]:
        """Give a connection for the time of a block, which sees one state of the database.

        Raises TooSlowError, CatalogueUnavailableError.
        """
        with self._lock:
            connection = self._idle.pop() if self._idle else None
        if connection is None:
            connection = _opened(self._path)
        end = time.monotonic() + seconds
        connection.set_progress_handler(lambda: time.monotonic() > end, _STEPS)
        try:
            connection.execute("BEGIN")
            yield connection
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
                raise TooSlowError from None
            raise CatalogueUnavailableError(f"the session catalogue can't be read: {error}") from error
        finally:
            self._give_back(connection)

    def close(self) -> None:
        """Close what is idle; what is in use is closed when it comes back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _give_back(self, connection: sqlite3.Connection) -> None:
        connection.set_progress_handler(None, 0)
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        with self._lock:
            if not self._closed and len(self._idle) < MAX_IDLE:
                self._idle.append(connection)
                return
        connection.close()


def _opened(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None, check_same_thread=False)
    for setting in _SETTINGS:
        connection.execute(f"PRAGMA {setting}")
    connection.create_function("in_network", 2, _in_network, deterministic=True)
    return connection


def _in_network(address: object, network: str) -> bool:
    try:
        return ipaddress.ip_address(str(address).partition("%")[0]) in _network(network)
    except ValueError:
        return False


@lru_cache(maxsize=64)
def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    return ipaddress.ip_network(text)
