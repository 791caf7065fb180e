"""Rows of sessions that are not what was written are found, each by its key."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from contextlib import closing
from importlib.resources import files
from typing import TYPE_CHECKING

import pytest

from doorward.sessions.catalogue.columns import columns_of
from doorward.sessions.catalogue.rows import AlertRow, ChannelRow, DownloadRow, EventRow, Peer, SessionEnd, SessionRow
from doorward.sessions.catalogue.sqlite import SqliteCatalogue
from doorward.sessions.catalogue.sqlite.checking import check_catalogue
from doorward.sessions.catalogue.sqlite.tables import COUNTED, open_for_writing
from doorward.sessions.catalogue.sqlite.writing import SqliteStatements
from doorward.sessions.catalogue.statements import Statements

if TYPE_CHECKING:
    from pathlib import Path

KEYS = [f"s{number:021}" for number in range(3)]

COLUMNS = sorted(columns_of(SessionRow(
    key="", number=0, began=0, node="", policy="", policy_key="", channel_policy="", client=Peer(), target=Peer(),
)).keys() - {"key"})  # fmt: skip


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "sessions.db"
    with closing(open_for_writing(path)) as connection:
        for number, key in enumerate(KEYS, 1):
            row = SessionRow(
                key=key, number=number, began=number, node="n", policy="p", policy_key="k", channel_policy="c",
                client=Peer("192.0.2.1", 22), target=Peer("192.0.2.2", 22), gateway_groups=("staff",),
            )  # fmt: skip
            assert SqliteStatements(connection).insert(row) == number
    return path


def statement(path: Path, sql: str, *values: object) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        assert connection.execute(sql, values).rowcount > 0


def test_rows_as_they_were_written_are_whole(path: Path) -> None:
    assert list(check_catalogue(path)) == []
    with closing(open_for_writing(path)) as connection:
        statements = SqliteStatements(connection)
        found = statements.find(KEYS[1])
        assert found is not None
        number, row, _ = found
        statements.change(number, row, SessionRow(**{name: getattr(row, name) for name in row.__struct_fields__} | {"ended": 9}))
    assert list(check_catalogue(path)) == []


def test_an_edit_of_a_row_is_found(path: Path) -> None:
    statement(path, "UPDATE bodies SET body = CAST(body || X'00' AS BLOB) WHERE id = 2")
    assert list(check_catalogue(path)) == [f"The row of the session {KEYS[1]} is damaged."]


def test_the_last_row_is_told_from_one_that_is_missing(path: Path) -> None:
    statement(path, "UPDATE bodies SET body = zeroblob(length(body)) WHERE id = 3")
    assert list(check_catalogue(path)) == [f"The row of the session {KEYS[2]} is damaged."]
    statement(path, "DELETE FROM bodies WHERE id = 3")
    assert list(check_catalogue(path)) == [f"The row of the session {KEYS[2]} is damaged."]
    statement(path, "DELETE FROM sessions WHERE id = 3")
    assert list(check_catalogue(path)) == []


def test_rows_in_exchanged_places_are_found(path: Path) -> None:
    swap = "UPDATE bodies SET body = (SELECT body FROM bodies AS o WHERE o.id = ?), checksum = ? WHERE id = ?"
    with closing(sqlite3.connect(path)) as connection:
        sums = dict(connection.execute("SELECT id, checksum FROM bodies"))
    statement(path, swap, 1, sums[1], 2)
    assert list(check_catalogue(path)) == [f"The row of the session {KEYS[1]} is damaged."]


@pytest.mark.parametrize("column", COLUMNS)
def test_an_edit_of_what_is_searched_is_found(path: Path, column: str) -> None:
    statement(path, f'UPDATE sessions SET "{column}" = 7 WHERE id = 1')  # noqa: S608 - one of our columns
    assert list(check_catalogue(path)) == [
        f"What is searched of the session {KEYS[0]} is not what is kept of it: {column}."
    ]  # fmt: skip


def test_a_body_without_session_is_found(path: Path) -> None:
    statement(path, "DELETE FROM sessions WHERE id = 2")
    assert list(check_catalogue(path)) == ["The catalogue holds bodies of 1 sessions that are not there."]


def test_rows_of_an_earlier_release_get_their_sums_at_the_start(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("ALTER TABLE bodies DROP COLUMN checksum")
        connection.execute("UPDATE meta SET value = '1' WHERE name = 'format'")
        connection.commit()
    assert list(check_catalogue(path)) == []
    open_for_writing(path).close()
    assert list(check_catalogue(path)) == []
    statement(path, "UPDATE bodies SET body = CAST(body || X'00' AS BLOB) WHERE id = 1")
    assert len(list(check_catalogue(path))) == 1


def test_a_file_that_is_none_is_said_to_be_none(tmp_path: Path) -> None:
    path = tmp_path / "sessions.db"
    path.write_bytes(b"something else" * 1000)
    assert list(check_catalogue(path)) == [f"{path} can't be read: file is not a database."]


# With the key of the tally, whole rows as well


KEY = b"k" * 32


async def _told(catalogue: SqliteCatalogue) -> None:
    """Three sessions with a channel, events, a download and an end; one of them deleted by retention, one told twice."""
    for number, key in enumerate(KEYS, 1):
        row = SessionRow(
            key=key, number=number, began=number, node="n", policy="p", policy_key="k", channel_policy="c",
            client=Peer("192.0.2.1", 22), target=Peer("192.0.2.2", 22),
        )  # fmt: skip
        await catalogue.begin(row)
        await catalogue.channel_opened(key, ChannelRow(number=1, opened=1, type="session-shell", verdict="accept"))
        await catalogue.channel_opened(key, ChannelRow(number=2, opened=2, type="session-shell", verdict="accept"))
        await catalogue.event(key, EventRow(at=1, type="command", action="ls"))
        await catalogue.event(key, EventRow(at=1, type="command", action="ls"))
        await catalogue.event(key, EventRow(at=2, type="command", action="rm"))
        await catalogue.alert(key, AlertRow(at=2, type="command", channel=1, rule="rm", regexp="rm", action="log", content="rm"))
        await catalogue.downloaded(key, DownloadRow(at=3, user="admin", address="192.0.2.9", what="replay"))
        await catalogue.end(key, SessionEnd(at=4, verdict="ACCEPT", reason=""))
    await catalogue.number("k")
    await asyncio.wrap_future(catalogue.delete([1]))


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("counted")
    catalogue = SqliteCatalogue(directory / "sessions.db", key=KEY)
    asyncio.run(_told(catalogue))
    failed = catalogue.writer.durable(_fails)
    assert failed.exception() is not None
    catalogue.close()
    return directory


def _fails(statements: Statements) -> None:
    statements.connection.execute("DELETE FROM events")
    raise ValueError


@pytest.fixture
def copied(counted: Path, tmp_path: Path) -> Path:
    shutil.copytree(counted, tmp_path / "copy")
    return tmp_path / "copy" / "sessions.db"


def test_what_was_told_and_deleted_in_order_is_whole(copied: Path) -> None:
    assert list(check_catalogue(copied, KEY)) == []
    SqliteCatalogue(copied, key=KEY).close()
    assert list(check_catalogue(copied, KEY)) == []


@pytest.mark.parametrize(
    ("sql", "noun"),
    [
        ("DELETE FROM events WHERE session = 2 AND number = 2", "events of sessions"),
        ("DELETE FROM channels WHERE session = 3 AND number = 2", "channels of sessions"),
        ("DELETE FROM downloads WHERE session = 3", "downloads of sessions"),
        ("DELETE FROM numbers", "numbers of sessions"),
        ("INSERT INTO channels SELECT session, 3, body FROM channels WHERE session = 2 AND number = 1", "channels of sessions"),
    ],
)
def test_a_row_that_somebody_else_took_out_or_put_in_is_found(copied: Path, sql: str, noun: str) -> None:
    statement(copied, sql)
    [said] = check_catalogue(copied, KEY)
    assert said.startswith(f"Some {noun} were ")


@pytest.mark.parametrize("number", [2, 3])
def test_a_whole_session_that_somebody_else_removed_is_missed(copied: Path, number: int) -> None:
    with closing(sqlite3.connect(copied)) as connection, connection:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("DELETE FROM sessions WHERE id = ?", (number,))
    found = list(check_catalogue(copied, KEY))
    assert "Some sessions were taken out by somebody else: there are 1, not 2." in found
    assert len(found) == 5, found


def test_edits_and_another_order_are_found(copied: Path) -> None:
    statement(copied, "UPDATE events SET action = 'ls' WHERE session = 2 AND number = 2 AND action = 'rm'")
    assert list(check_catalogue(copied, KEY)) == [
        "The events of sessions are not those that were written, or not in their order."
    ]


def test_a_tally_under_another_key_is_counted_anew_at_the_next_start(copied: Path) -> None:
    other = b"o" * 32
    assert list(check_catalogue(copied, other)) == ["The rows were not counted yet; the next start does it."]
    SqliteCatalogue(copied, key=other).close()
    assert list(check_catalogue(copied, other)) == []


# Every table, and every column of those that are counted

NO_RECORDS = {
    "chunks": "text for searches, made of trails, which are sealed",
    "doomed": "trails whose rows are deleted already",
    "marks": "as chunks",
    "meta": "format and release of the file",
    "migrations": "what became of the file",
    "sessions": "for searches: each row has to say what its body says",
    "tally": "marked with the key",
}


def cells() -> list[tuple[str, str]]:
    """The columns of all tables that are counted."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(files("doorward.sessions.catalogue.sqlite").joinpath("schema.sql").read_text())
        return [
            (table.table, column)
            for table in COUNTED
            for (column,) in connection.execute("SELECT name FROM pragma_table_info(?)", (table.table,))
        ]


def test_every_table_is_counted_or_holds_no_records(copied: Path) -> None:
    with closing(sqlite3.connect(copied)) as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    own = {name for name in tables if not name.startswith(("sqlite_", "text_index"))}
    assert own == {table.table for table in COUNTED} | NO_RECORDS.keys()


@pytest.mark.parametrize(("table", "column"), cells())
def test_every_edit_of_a_cell_is_found(copied: Path, table: str, column: str) -> None:
    with closing(sqlite3.connect(copied)) as connection, connection:
        [(kind,)] = connection.execute(f"SELECT type FROM pragma_table_info('{table}') WHERE name = ?", (column,))  # noqa: S608
        other = {"INTEGER": 77, "TEXT": "x", "BLOB": b"\x80"}[kind]
        keys = [row[1] for row in connection.execute(f"SELECT * FROM pragma_table_info('{table}') WHERE pk > 0")]  # noqa: S608
        row = connection.execute(f"SELECT {', '.join(keys)} FROM {table} LIMIT 1").fetchone()  # noqa: S608
        where = " AND ".join(f"{key} = ?" for key in keys)
        assert connection.execute(f"UPDATE {table} SET {column} = ? WHERE {where}", (other, *row)).rowcount == 1  # noqa: S608
    assert list(check_catalogue(copied, KEY))
