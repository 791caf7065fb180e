"""Writes one thing onto a disk that fails, in a process that ends right then; tells whether a start finds it.

``python -m tests.proof.refused_writes DIRECTORY``, under the shim. It prints a line of JSON for each change of files that fails,
of a record in the store and of a session in its catalogue.
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
import sqlite3
import sys
from pathlib import Path

import structlog

from doorward.sessions.catalogue.port import CatalogueUnavailableError
from doorward.sessions.catalogue.sqlite import SqliteCatalogue
from doorward.sessions.catalogue.sqlite.checking import check_catalogue
from doorward.store.database import UndecidedError
from doorward.store.port import StoredRecord
from doorward.store.sqlite import SqliteStore
from doorward.store.vault import Vault
from tests.proof.shim import ALL, Orders
from tests.support.recorded import key_of, row

KIND = "refused"
BEYOND = 100
"""More changes of files than one write makes."""
TALLY = b"t" * 32


class RecordInStore:
    """A record of the configuration's store."""

    name = "record"

    def __init__(self, directory: Path) -> None:
        key = directory / "data.key"
        self._store = SqliteStore(directory / "doorward.db", Vault.at(key, create=not key.exists()))

    def write(self) -> str:
        """Write it; return how that ended."""
        try:
            self._store.put_record(StoredRecord(KIND, "it", {}))
        except UndecidedError:
            return "undecided"
        except sqlite3.Error:
            return "refused"
        return "done"

    def close(self) -> bool:
        """Look whether it is there and all is whole."""
        there = self._store.record(KIND, "it") is not None
        assert self._store.check_records() == self._store.check_tally() == []
        self._store.close()
        return there


class RowOfSession:
    """The row of a session that begins. Whoever begins it is refused, whether the disk told or not."""

    name = "session"

    def __init__(self, directory: Path) -> None:
        self._path = directory / "sessions.db"
        self._catalogue = SqliteCatalogue(self._path, key=TALLY)

    def write(self) -> str:
        """Write it; return how that ended."""
        try:
            asyncio.run(self._catalogue.begin(row()))
        except CatalogueUnavailableError:
            return "refused"
        return "done"

    def close(self) -> bool:
        """Look whether it is there and all is whole."""
        there = self._catalogue.session(key_of(1)) is not None
        self._catalogue.close()
        assert list(check_catalogue(self._path, TALLY)) == []
        return there


def written(subject: type[RecordInStore | RowOfSession], directory: Path, after: int, times: int) -> str:
    """Write while changes of files fail, from one on, so many times; what came of it."""
    opened, orders = subject(directory), Orders.of_this_process()
    with orders.failing(ALL, errno.EIO, after=after, times=times):
        said = opened.write()
        return said if said != "done" or orders.failed else "untouched"


def main() -> None:
    root = Path(sys.argv[1])
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    for subject in (RecordInStore, RowOfSession):
        for times in (1, -1):
            for after in range(BEYOND):
                directory = root / f"{subject.name}-{times}-{after}"
                directory.mkdir()
                subject(directory).close()
                reading, writing = os.pipe()
                child = os.fork()
                if not child:
                    os.write(writing, written(subject, directory, after, times).encode())
                    os._exit(0)
                os.close(writing)
                with os.fdopen(reading) as told:
                    said = told.read()
                os.waitpid(child, 0)
                there = subject(directory).close()
                line = {"what": subject.name, "times": times, "said": said, "there": there}
                print(json.dumps(line), flush=True)  # noqa: T201 - it is the result
                if said == "untouched":
                    break


if __name__ == "__main__":
    main()
