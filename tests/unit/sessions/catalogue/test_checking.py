"""Rows of sessions that are not what was written are found, each by its key."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from doorward.sessions.catalogue.columns import columns_of
from doorward.sessions.catalogue.rows import Peer, SessionRow
from doorward.sessions.catalogue.sqlite.checking import check_catalogue
from doorward.sessions.catalogue.sqlite.tables import open_for_writing
from doorward.sessions.catalogue.sqlite.writing import SqliteStatements

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
