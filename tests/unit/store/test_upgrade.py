"""Stores of every earlier format are brought to that of this release, whole or not at all; newer ones stay as they are."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from doorward import __version__
from doorward.configuration.aaa.local_database import users
from doorward.sessions.catalogue.sqlite import tables
from doorward.store.anchor import HistoryKey
from doorward.store.format import FORMATS
from doorward.store.migration import Formats, NewerFormatError
from doorward.store.port import StoreDamagedError
from doorward.store.sqlite import SqliteStore
from doorward.store.vault import Vault
from tests.support.earlier import STATES, unpack

NEWER = FORMATS.current + 1


@pytest.fixture(params=STATES)
def state(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return unpack(request.param, tmp_path / "state")


def opened(state: Path) -> SqliteStore:
    return SqliteStore(state / "doorward.db", Vault.at(state / "data.key", create=False), key=HistoryKey.at(state))


def ask(path: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute(sql).fetchall()
        connection.commit()
        return found


def shape(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Tables and indexes with their columns; SQLite adds columns at the end, so their order is left out."""
    with closing(sqlite3.connect(path)) as connection:
        names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'")]
        columns = 'SELECT name, type, "notnull", dflt_value, pk FROM pragma_table_xinfo(?) UNION ALL '
        columns += "SELECT name, '', 0, '', 0 FROM pragma_index_info(?)"
        return {name: sorted(connection.execute(columns, (name, name)), key=str) for name in names}


def test_there_is_a_state_of_every_format() -> None:
    assert {int(name.partition("-")[0]) for name in STATES} == set(range(1, FORMATS.current))


def test_a_store_of_an_earlier_format_is_brought_up_whole(state: Path, tmp_path: Path) -> None:
    store = opened(state)
    assert (store.check(), store.check_records()) == ([], [])
    assert [(one.number, one.author) for one in store.revisions()] == [(3, "admin"), (2, "admin"), (1, "doorward")]
    documents = {place.path: body for place, _, body in store.documents()}
    assert documents["/api/configuration/datetime/timezone"] == b'"Europe/Budapest"'
    assert {json.loads(body)["name"] for place, _, body in store.documents() if place.path == users.PATH} == {"admin", "jane"}
    assert {one.account for one in store.commit_records()} == {users.ADMIN}
    vault = Vault.at(state / "data.key", create=False)
    assert all(vault.open(secret.name, secret.sealed) for secret in store.secrets())
    store.close()
    SqliteStore(tmp_path / "new.db", Vault(b"k" * 32)).close()
    assert shape(state / "doorward.db") == shape(tmp_path / "new.db")
    [(number, release)] = ask(state / "doorward.db", "SELECT format, release FROM migrations")
    assert (number, release) == (FORMATS.current, __version__)
    if (state / tables.FILE).exists():
        tables.open_for_writing(state / tables.FILE).close()
        tables.open_for_writing(tmp_path / "new-sessions.db").close()
        assert shape(state / tables.FILE) == shape(tmp_path / "new-sessions.db")


def test_who_only_looks_leaves_an_earlier_format_alone(state: Path) -> None:
    before = shape(state / "doorward.db")
    with pytest.raises(StoreDamagedError, match="the next start of the server brings it up"):
        SqliteStore(state / "doorward.db", Vault.at(state / "data.key", create=False), room=False)
    assert shape(state / "doorward.db") == before


class DeadlyConnection(sqlite3.Connection):
    """Ends the process at a statement."""

    left = 0

    def execute(self, sql: str, *values: object) -> sqlite3.Cursor:
        DeadlyConnection.left -= 1
        if DeadlyConnection.left < 0:
            os._exit(9)
        return super().execute(sql, *values)  # type: ignore[arg-type]


def killed_at(path: Path, statement: int) -> bool:
    """Bring a file up in a process that dies at a statement; whether it did."""
    child = os.fork()
    if child == 0:
        connection = sqlite3.connect(path, isolation_level=None, factory=DeadlyConnection)
        DeadlyConnection.left = statement
        FORMATS.bring_up(connection, path)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


def test_a_kill_at_any_statement_leaves_the_old_format_or_the_new(tmp_path: Path) -> None:
    state, statement = unpack("1-records", tmp_path / "state"), 0
    path = state / "doorward.db"
    before = shape(path)
    while killed_at(path, statement):
        assert shape(path) == before
        statement += 1
    assert statement > 15
    store = opened(state)
    assert (store.check(), store.check_records()) == ([], [])
    store.close()


def files(directory: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(directory.rglob("*")):
        if path.is_file():
            yield str(path), path.read_bytes()


@pytest.mark.parametrize("is_in_the_log", [False, True])
def test_a_store_of_a_newer_format_is_named_and_not_touched(tmp_path: Path, is_in_the_log: bool) -> None:
    path = tmp_path / "doorward.db"
    SqliteStore(path, Vault(b"k" * 32)).close()
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("UPDATE meta SET value = ? WHERE name = 'format'", (str(NEWER),))
    writer.execute("INSERT INTO migrations VALUES (?, '7.1.0', 'then')", (NEWER,))
    if not is_in_the_log:
        writer.close()
    before = dict(files(tmp_path))
    said = (
        f"written by release 7.1.0 .format {NEWER}.; this is release {__version__}, which knows formats up to {FORMATS.current}"
    )
    with pytest.raises(NewerFormatError, match=said):
        FORMATS.refuse_newer(path)
    assert {name: content for name, content in files(tmp_path) if not name.endswith("-shm")} == {
        name: content for name, content in before.items() if not name.endswith("-shm")
    }
    writer.close()


def test_a_store_that_a_newer_release_used_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "doorward.db"
    SqliteStore(path, Vault(b"k" * 32)).close()
    ask(path, "UPDATE meta SET value = '7.1.0' WHERE name = 'release'")
    with pytest.raises(NewerFormatError, match=f"used by release 7.1.0; this is {__version__}"):
        FORMATS.refuse_newer(path)
    ask(path, "UPDATE meta SET value = 'mine' WHERE name = 'release'")
    FORMATS.refuse_newer(path)
    with pytest.raises(StoreDamagedError, match="names mine as the release that used it last, which is none"):
        SqliteStore(path, Vault(b"k" * 32))


def test_steps_follow_each_other_in_one_transaction(tmp_path: Path) -> None:
    path, seen = tmp_path / "some.db", list[str]()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        Formats(()).make(connection, "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT)")
        assert Formats(()).check(connection, path) == 1
        steps = [lambda _: seen.append("to 2"), lambda _: seen.append("to 3")]
        Formats(tuple(steps)).bring_up(connection, path)
        Formats(tuple(steps)).bring_up(connection, path)
        assert seen == ["to 2", "to 3"]
        with pytest.raises(ZeroDivisionError):
            Formats((*steps, lambda found: found.execute("DROP TABLE meta"), lambda _: 1 / 0)).bring_up(connection, path)
        assert Formats(tuple(steps)).check(connection, path) == 3
    assert ask(path, "SELECT format FROM migrations") == [(1,), (3,)]
