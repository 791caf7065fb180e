"""The catalogue in a SQLite file: what is on the disk, what is refused, and what a full disk does."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from doorward.sessions.catalogue.numbering import NUMBERS_AHEAD
from doorward.sessions.catalogue.port import CatalogueUnavailableError
from doorward.sessions.catalogue.rows import IndexLine, SessionEnd
from doorward.sessions.catalogue.sqlite import SqliteCatalogue
from doorward.sessions.catalogue.sqlite.tables import CatalogueDamagedError
from tests.support.recorded import key_of, row, tell

END = SessionEnd(at=57_000, verdict="ACCEPT", reason="", down=1000, up=50)


def test_a_row_that_began_is_on_the_disk(tmp_path: Path) -> None:
    """Another process begins a row and is gone at once, as by kill -9."""
    script = (
        "import asyncio, os\nfrom pathlib import Path\nfrom tests.support.recorded import row\n"
        "from doorward.sessions.catalogue.sqlite import SqliteCatalogue\n"
        f"c = SqliteCatalogue(Path({str(tmp_path / 'sessions.db')!r}))\n"
        "print(asyncio.run(c.number('p')))\nasyncio.run(c.begin(row()))\nos.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stdout == "1\n", done.stderr
    catalogue = SqliteCatalogue(tmp_path / "sessions.db")
    assert [one.key for one in catalogue.open_sessions()] == [key_of(1)]
    assert asyncio.run(catalogue.number("p")) == 1 + NUMBERS_AHEAD
    catalogue.close()


def test_a_row_of_another_release_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "sessions.db"
    SqliteCatalogue(path).close()
    connection = sqlite3.connect(path)
    connection.execute("UPDATE meta SET value = '99' WHERE name = 'format'")
    connection.commit()
    connection.close()
    with pytest.raises(CatalogueDamagedError, match="format 99"):
        SqliteCatalogue(path)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "sessions.db"
    path.write_bytes(b"something else entirely" * 100)
    with pytest.raises(CatalogueDamagedError):
        SqliteCatalogue(path)


class FullDisk:
    """A connection whose commits fail for want of space, for as long as it is told."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection, self.is_full = connection, True

    def execute(self, sql: str, values: Any = ()) -> Any:
        if self.is_full and sql == "COMMIT":
            error = sqlite3.OperationalError("database or disk is full")
            error.sqlite_errorcode = sqlite3.SQLITE_FULL
            raise error
        return self._connection.execute(sql, values)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


def test_nothing_begins_while_nothing_can_be_written_and_nothing_is_lost(tmp_path: Path) -> None:
    catalogue = SqliteCatalogue(tmp_path / "sessions.db")
    tell(catalogue, row(1), end=None)
    full = FullDisk(catalogue.transactions.connection)
    catalogue.transactions.connection = full  # type: ignore[assignment]

    async def while_full() -> None:
        ending = asyncio.create_task(catalogue.end(key_of(1), END))
        await catalogue.text(key_of(1), 1, [IndexLine(9000, "screen", "still taken")])
        with pytest.raises(CatalogueUnavailableError, match="full"):
            await catalogue.begin(row(2))
        with pytest.raises(CatalogueUnavailableError, match="full"):
            await catalogue.number("p")
        assert not ending.done()
        full.is_full = False
        await ending
        await catalogue.begin(row(2))

    asyncio.run(while_full())
    ended = catalogue.session(key_of(1))
    assert ended is not None
    assert ended.ended is not None
    with catalogue.looking() as look:
        assert [hit.snippet for hit in look.hits(1, '"still taken"')] == ["still taken"]
    assert [one.key for one in catalogue.open_sessions()] == [key_of(2)]
    assert catalogue.failing is None
    catalogue.close()


def test_the_file_is_for_this_user_alone_and_no_link(tmp_path: Path) -> None:
    path = tmp_path / "sessions.db"
    made = SqliteCatalogue(path)
    asyncio.run(made.begin(row()))
    assert {one.stat().st_mode & 0o777 for one in tmp_path.iterdir()} == {0o600}
    made.close()
    link = tmp_path / "link.db"
    link.symlink_to(path)
    with pytest.raises(OSError, match=r"symbolic links|not a file"):
        SqliteCatalogue(link)
