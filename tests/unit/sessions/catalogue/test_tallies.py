"""Rows of sessions that somebody else took out, put in or changed are found by the tally, in a file and in PostgreSQL."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from doorward.sessions.catalogue.checking import damaged_rows
from doorward.sessions.catalogue.dialect import Condition
from doorward.sessions.catalogue.keeping import KeptSessions
from doorward.sessions.catalogue.postgresql import PostgresCatalogue
from doorward.sessions.catalogue.postgresql.connection import WRITING, PostgresConnection, storable
from doorward.sessions.catalogue.postgresql.counts import COUNTED as IN_POSTGRESQL
from doorward.sessions.catalogue.postgresql.tally import check
from doorward.sessions.catalogue.postgresql.tally_memory import TallyKey
from doorward.sessions.catalogue.rows import AlertRow, ChannelRow, DownloadRow, EventRow, Peer, SessionEnd, SessionRow
from doorward.sessions.catalogue.sqlite import SqliteCatalogue
from doorward.sessions.catalogue.sqlite.checking import check_catalogue
from doorward.sessions.catalogue.sqlite.tables import COUNTED as IN_SQLITE
from doorward.sessions.catalogue.statements import Statements
from tests.support.catalogues import ENGINES, NODE
from tests.support.postgresql import cluster

KEY = b"k" * 32
KEYS = [f"s{number:021}" for number in range(3)]
ALTERED = "The tally of the rows was altered."
UNCOUNTED = "The rows were not counted yet; the next start does it."
OUT_OF_ORDER = "The {} are not those that were written, or not in their order."


async def _told(catalogue: KeptSessions) -> None:
    """Three sessions with channels, events, a download and an end; one of them deleted by retention, some things told twice."""
    for number, key in enumerate(KEYS, 1):
        row = SessionRow(
            key=key, number=number, began=number, node=NODE, policy="p", policy_key="k", channel_policy="c",
            client=Peer("192.0.2.1", 22), target=Peer("192.0.2.2", 22),
        )  # fmt: skip
        await catalogue.begin(row)
        await catalogue.channel_opened(key, ChannelRow(number=1, opened=1, type="session-shell", verdict="accept"))
        await catalogue.channel_opened(key, ChannelRow(number=2, opened=2, type="session-shell", verdict="accept"))
        await catalogue.channel_opened(key, ChannelRow(number=2, opened=2, type="session-shell", verdict="accept"))
        await catalogue.channel_closed(key, 2, 3, 10, 20)
        await catalogue.event(key, EventRow(at=1, type="command", action="ls"))
        await catalogue.event(key, EventRow(at=1, type="command", action="ls"))
        await catalogue.event(key, EventRow(at=2, type="command", action="r\0m"))
        await catalogue.alert(key, AlertRow(at=2, type="command", channel=1, rule="rm", regexp="rm", action="log", content="rm"))
        await catalogue.downloaded(key, DownloadRow(at=3, user="admin", address="192.0.2.9", what="replay"))
        await catalogue.end(key, SessionEnd(at=4, verdict="ACCEPT", reason=""))
    await catalogue.number("k")
    await asyncio.wrap_future(catalogue.delete([1, 1]))
    failed = catalogue.writer.durable(_fails)
    assert await asyncio.to_thread(failed.exception) is not None


def _fails(statements: Statements) -> None:
    statements.add_event(2, EventRow(at=9, type="command", action="undone"))
    statements.connection.execute("DELETE FROM events")
    raise ValueError


class Told(ABC):
    """What `_told` left in a database, for somebody to change behind the back of its node."""

    counted: frozenset[str]

    @abstractmethod
    def change(self, sql: str, values: tuple[Any, ...] = ()) -> int:
        """Change something; return how many rows."""

    @abstractmethod
    def found(self, key: bytes = KEY) -> list[str]:
        """Return what is found."""

    @abstractmethod
    def keys(self, table: str) -> list[str]:
        """Return the columns of the primary key."""

    @abstractmethod
    def tables(self) -> set[str]:
        """Return the names of all tables."""

    @abstractmethod
    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Return rows."""


class ToldSqlite(Told):
    """A copy of a file."""

    counted = frozenset(table.table for table in IN_SQLITE)

    def __init__(self, path: Path) -> None:
        self.path = path

    def change(self, sql: str, values: tuple[Any, ...] = ()) -> int:
        with closing(sqlite3.connect(self.path)) as connection, connection:
            if sql.startswith("DELETE FROM sessions"):
                connection.execute("PRAGMA foreign_keys = ON")
            return connection.execute(sql.replace("bytea", "BLOB"), values).rowcount

    def found(self, key: bytes = KEY) -> list[str]:
        return list(check_catalogue(self.path, key))

    def keys(self, table: str) -> list[str]:
        return [row[1] for row in self.rows(f"SELECT * FROM pragma_table_info('{table}') WHERE pk > 0")]  # noqa: S608 - of the test

    def tables(self) -> set[str]:
        names = {name for (name,) in self.rows("SELECT name FROM sqlite_master WHERE type = 'table'")}
        return {name for name in names if not name.startswith(("sqlite_", "text_index"))}

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.path)) as connection:
            return connection.execute(sql).fetchall()


class ToldPostgres(Told):
    """A transaction, which nobody else sees and which is undone."""

    counted = frozenset((*IN_POSTGRESQL, "numbers"))

    def __init__(self, connection: PostgresConnection) -> None:
        self.connection = connection

    def change(self, sql: str, values: tuple[Any, ...] = ()) -> int:
        return self.connection.execute(sql, values).rowcount

    def found(self, key: bytes = KEY) -> list[str]:
        return [
            *damaged_rows(self.connection, Condition("node = ?", (NODE,)), lambda v: storable(v) if isinstance(v, str) else v),
            *check(self.connection, NODE, key, None),
        ]

    def keys(self, table: str) -> list[str]:
        sql = (
            "SELECT attname FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = ANY (indkey)"
            " WHERE indrelid = ?::regclass AND indisprimary"
        )
        return [name for (name,) in self.connection.execute(sql, (table,)).fetchall()]

    def tables(self) -> set[str]:
        return {name for (name,) in self.rows("SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'")}

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return self.connection.execute(sql).fetchall()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("told")
    with closing(SqliteCatalogue(directory / "sessions.db", key=KEY)) as catalogue:
        asyncio.run(_told(catalogue))
    return directory


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> str:
    kept = TallyKey(KEY, tmp_path_factory.mktemp("remembered") / "tally")
    name = cluster().database()
    with closing(PostgresCatalogue(cluster().address(name), NODE, kept=kept)) as catalogue:
        asyncio.run(_told(catalogue))
    return name


@pytest.fixture(params=ENGINES)
def told(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Told]:
    with _open(request, request.param, tmp_path) as opened:
        yield opened


@contextmanager
def _open(request: pytest.FixtureRequest, engine: str, directory: Path) -> Iterator[Told]:
    if engine == "sqlite":
        shutil.copytree(request.getfixturevalue("file"), directory / "copy")
        yield ToldSqlite(directory / "copy" / "sessions.db")
        return
    with closing(PostgresConnection(cluster().address(request.getfixturevalue("database")), WRITING)) as connection:
        connection.execute("BEGIN")
        yield ToldPostgres(connection)


def test_what_was_told_and_deleted_in_order_is_whole(told: Told) -> None:
    assert told.rows("SELECT id FROM sessions ORDER BY id") == [(2,), (3,)]
    assert told.rows("SELECT count(*) FROM events") == [(4,)]
    assert told.found() == []


@pytest.mark.parametrize(
    ("sql", "noun"),
    [
        ("DELETE FROM bodies WHERE id = 3", "sessions"),
        ("DELETE FROM events WHERE session = 2 AND number = 2", "events of sessions"),
        ("DELETE FROM alerts WHERE session = 2", "alerts of sessions"),
        ("DELETE FROM channels WHERE session = 3 AND number = 2", "channels of sessions"),
        ("DELETE FROM downloads WHERE session = 3", "downloads of sessions"),
        ("INSERT INTO channels SELECT session, 3, body FROM channels WHERE session = 2 AND number = 1", "channels of sessions"),
    ],
)
def test_a_row_that_somebody_else_took_out_or_put_in_is_found(told: Told, sql: str, noun: str) -> None:
    assert told.change(sql) == 1
    [said] = [one for one in told.found() if "damaged" not in one]
    assert said.startswith(f"Some {noun} were ")


def test_numbers_that_could_be_given_again_are_found(told: Told) -> None:
    assert told.change("DELETE FROM numbers") == 1
    [said] = told.found()
    assert "umbers of sessions" in said


@pytest.mark.parametrize("number", [2, 3])
def test_a_whole_session_that_somebody_else_removed_is_missed(told: Told, number: int) -> None:
    assert told.change("DELETE FROM sessions WHERE id = ?", (number,)) == 1
    found = told.found()
    assert "Some sessions were taken out by somebody else: there are 1, not 2." in found
    assert len(found) == 5, found


def test_all_sessions_that_somebody_else_removed_are_missed(told: Told) -> None:
    assert told.change("DELETE FROM sessions") == 2
    assert "Some sessions were taken out by somebody else: there are 0, not 2." in told.found()


def test_rows_in_exchanged_places_are_found(told: Told) -> None:
    for before, after in ((1, 9), (2, 1), (9, 2)):
        assert told.change("UPDATE events SET number = ? WHERE session = 2 AND number = ?", (after, before)) == 1
    assert told.found() == [OUT_OF_ORDER.format("events of sessions")]


def test_edits_are_found(told: Told) -> None:
    assert told.change("UPDATE events SET action = 'xy' WHERE session = 2 AND number = 2") == 1
    assert told.found() == [OUT_OF_ORDER.format("events of sessions")]


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("UPDATE tally SET totals = CAST('x' AS bytea)", ALTERED),
        ("UPDATE tally SET mark = mark || '0'", ALTERED),
        ("UPDATE tally SET mark = 'x'", UNCOUNTED),
        ("DELETE FROM tally", UNCOUNTED),
    ],
)
def test_what_becomes_of_the_tally_is_found(told: Told, sql: str, said: str) -> None:
    assert told.change(sql) == 1
    assert told.found() == [said]


def test_a_tally_under_another_key_is_none(told: Told) -> None:
    assert told.found(b"o" * 32) == [UNCOUNTED]


# Every table, and every column of those that are counted

NO_RECORDS = {
    "alembic_version": "the form of the tables",
    "chunks": "text for searches, made of trails, which are sealed",
    "doomed": "trails whose rows are deleted already",
    "marks": "as chunks",
    "meta": "format and release of the file",
    "migrations": "what became of the file",
    "sessions": "for searches: each row has to say what its body says",
    "tally": "marked with the key",
}


def test_every_table_is_counted_or_holds_no_records(told: Told) -> None:
    assert told.tables() - NO_RECORDS.keys() == told.counted


CELLS = [
    *((engine, table.table, column) for engine in ENGINES for table in IN_SQLITE for column in table.cells
      if engine == "sqlite" or table.table in IN_POSTGRESQL),
    ("sqlite", "bodies", "body"), ("postgresql", "bodies", "body"), ("postgresql", "downloads", "node"),
    ("postgresql", "events", "mark"), ("postgresql", "alerts", "mark"),
]  # fmt: skip


@pytest.mark.parametrize(("engine", "table", "column"), CELLS)
def test_every_edit_of_a_cell_is_found(
    request: pytest.FixtureRequest, tmp_path: Path, engine: str, table: str, column: str
) -> None:
    with _open(request, engine, tmp_path) as told:
        if engine == "postgresql" and column in {"id", "session"}:
            told.change(f"ALTER TABLE {table} DROP CONSTRAINT {table}_{column}_fkey")
        keys = told.keys(table)
        row = told.rows(f"SELECT {', '.join(keys)}, {column} FROM {table} ORDER BY {', '.join(keys)} LIMIT 1")[0]  # noqa: S608
        other = {int: 77, str: "x", bytes: b"\x80"}[type(row[-1])]
        where = " AND ".join(f"{key} = ?" for key in keys)
        assert told.change(f"UPDATE {table} SET {column} = ? WHERE {where}", (other, *row[:-1])) == 1  # noqa: S608
        assert told.found()
