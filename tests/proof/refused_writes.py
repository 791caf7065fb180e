"""Writes one record into a store whose disk fails, in a process that ends right then; tells whether a start finds it.

``python -m tests.proof.refused_writes DIRECTORY``, under the shim. It prints a line of JSON for each change of files that fails.
"""

from __future__ import annotations

import errno
import json
import os
import sqlite3
import sys
from pathlib import Path

from doorward.store.database import UndecidedError
from doorward.store.port import StoredRecord
from doorward.store.sqlite import SqliteStore
from doorward.store.vault import Vault
from tests.proof.shim import ALL, Orders

KIND = "refused"
BEYOND = 100
"""More changes of files than one write makes."""


def store(directory: Path) -> SqliteStore:
    key = directory / "data.key"
    return SqliteStore(directory / "doorward.db", Vault.at(key, create=not key.exists()))


def written(directory: Path, after: int, times: int) -> str:
    """Write while changes of files fail, from one on, so many times; what came of it."""
    opened, orders = store(directory), Orders.of_this_process()
    with orders.failing(ALL, errno.EIO, after=after, times=times):
        try:
            opened.put_record(StoredRecord(KIND, "it", {"after": after}))
        except UndecidedError:
            return "undecided"
        except sqlite3.Error:
            return "refused"
        return "done" if orders.failed else "untouched"


def main() -> None:
    root = Path(sys.argv[1])
    for times in (1, -1):
        for after in range(BEYOND):
            directory = root / f"{times}-{after}"
            directory.mkdir()
            store(directory).close()
            reading, writing = os.pipe()
            child = os.fork()
            if not child:
                os.write(writing, written(directory, after, times).encode())
                os._exit(0)
            os.close(writing)
            with os.fdopen(reading) as told:
                said = told.read()
            os.waitpid(child, 0)
            found = store(directory)
            there = found.record(KIND, "it") is not None
            assert found.check_records() == found.check_tally() == []
            found.close()
            print(json.dumps({"times": times, "said": said, "there": there}), flush=True)  # noqa: T201 - it is the result
            if said == "untouched":
                break


if __name__ == "__main__":
    main()
