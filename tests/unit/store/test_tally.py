"""Whole rows that somebody takes out, puts in, exchanges or moves are found, in each table that has no chain."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from importlib.resources import files
from typing import TYPE_CHECKING

import pytest

from doorward.store.port import CommitRecord, Confirmation, Intent, Secret, StoreDamagedError, StoredRecord
from doorward.store.rotation import rotate
from doorward.store.sqlite import COUNTED, SqliteStore
from doorward.store.vault import Vault
from tests.unit.store.samples import fill, revision

if TYPE_CHECKING:
    from pathlib import Path


def opened(directory: Path) -> SqliteStore:
    return SqliteStore(directory / "doorward.db", Vault.at(directory / "data.key", create=True))


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A closed store with rows of every sort, some of them changed and removed in the ordinary way."""
    with closing(opened(tmp_path)) as store:
        fill(store)
        store.put_record(*(StoredRecord("run", name, {"result": "ok"}) for name in "abcd"), StoredRecord("mail", "a", {}))
        store.put_record(StoredRecord("run", "b", {"result": "failed"}))
        store.remove_record("run", "d")
        store.save_commit_record(CommitRecord("t1", "admin", "2026-11-21T10:00:00Z"))
        store.save_commit_record(CommitRecord("t2", "admin", "2026-11-21T10:00:01Z"))
        vault = Vault.at(tmp_path / "data.key", create=False)
        secret = Secret("s", "sealed", vault.seal("s:sealed", "text"))
        store.publish(revision(5, 0), [], secrets=[secret])
        store.await_confirmation(Confirmation("t2", "admin", 5, 1e9, 60.0, "boot", 5.0))
        store.begin(Intent("t3", ()), CommitRecord("t3", "admin", "2026-11-21T10:00:02Z"))
        assert (store.check(), store.check_tally()) == ([], [])
    return tmp_path


def tamper(directory: Path, *statements: str) -> None:
    with closing(sqlite3.connect(directory / "doorward.db")) as connection, connection:
        for statement in statements:
            assert connection.execute(statement).rowcount == 1, statement


def found(directory: Path) -> list[str]:
    with closing(opened(directory)) as store:
        return store.check_records() or store.check_tally()


REMOVED = {
    "records WHERE kind = 'run' AND id = 'c'": ("records of the kind run", 2, 3),
    "records WHERE kind = 'mail'": ("records of the kind mail", 0, 1),
    "commits WHERE id = 't1'": ("commit records", 2, 3),
    "secrets WHERE key = 's'": ("secrets", 1, 2),
    "confirmation": ("commits that await confirmation", 0, 1),
    "journal": ("entries of the journal", 0, 1),
}


def missing(noun: str, left: int, before: int) -> str:
    return f"Some {noun} were taken out by somebody else: there are {left}, not {before}."


@pytest.mark.parametrize(("rows", "what"), REMOVED.items())
def test_a_row_that_was_removed_is_missed(state: Path, rows: str, what: tuple[str, int, int]) -> None:
    tamper(state, f"DELETE FROM {rows}")  # noqa: S608
    assert found(state) == [missing(*what)]


def test_the_last_rows_of_all_are_missed_as_well(state: Path) -> None:
    """A lost tail, which no chain of its own would tell from a shorter past."""
    tamper(state, "DELETE FROM records WHERE number = (SELECT max(number) FROM records)")
    assert found(state) == [missing("records of the kind mail", 0, 1)]


@pytest.mark.parametrize(
    "statements",
    [
        # In another order.
        (
            "UPDATE records SET number = 99 WHERE id = 'b'",
            "UPDATE records SET number = 2 WHERE id = 'c'",
            "UPDATE records SET number = 3 WHERE number = 99",
        ),
        # Another one in the place of one.
        ("UPDATE records SET id = 'z' WHERE kind = 'run' AND id = 'a'",),
        # One more instead of one.
        (
            "DELETE FROM records WHERE kind = 'run' AND id = 'a'",
            "INSERT INTO records SELECT 1, kind, 'e', body, checksum FROM records WHERE id = 'c'",
        ),
    ],
)
def test_rows_that_changed_places_are_found(state: Path, statements: tuple[str, ...]) -> None:
    tamper(state, *statements)
    assert found(state)


def test_an_edit_with_a_checksum_computed_anew_is_found(state: Path) -> None:
    with closing(SqliteStore(state / "forged.db", Vault(b"0" * 32))) as forger:
        forger.put_record(StoredRecord("run", "b", {"result": "ok"}))
    with closing(sqlite3.connect(state / "forged.db")) as connection:
        [(body, checksum)] = connection.execute("SELECT body, checksum FROM records")
    tamper(state, f"UPDATE records SET body = '{body}', checksum = '{checksum}' WHERE kind = 'run' AND id = 'b'")  # noqa: S608
    assert found(state) == ["The records of the kind run are not those that were written, or not in their order."]


@pytest.mark.parametrize(("column", "value"), [("totals", "X'90'"), ("mark", "'0'"), ("mark", "CAST(X'FF' AS TEXT)")])
def test_a_tally_that_was_altered_stays_so_however_much_is_written(state: Path, column: str, value: str) -> None:
    tamper(state, f"UPDATE tally SET {column} = {value}")  # noqa: S608
    for _ in range(2):
        with closing(opened(state)) as store:
            store.put_record(StoredRecord("run", "e", {}))
            assert store.check_tally() == ["The tally of the rows was altered."]


def test_what_was_never_counted_is_counted_at_the_next_start(state: Path) -> None:
    tamper(state, "DELETE FROM tally")
    with closing(SqliteStore(state / "doorward.db", Vault.at(state / "data.key", create=False), room=False)) as store:
        assert store.check_tally() == ["The rows were not counted yet; the next start does it."]
    assert found(state) == []


def test_a_transaction_that_fails_leaves_the_tally(state: Path) -> None:
    with closing(opened(state)) as store:
        with pytest.raises(sqlite3.Error):
            store._write(lambda connection: (
                connection.execute("DELETE FROM records"), connection.execute("INSERT INTO nowhere VALUES (1)")
            ))  # fmt: skip
        store.put_record(StoredRecord("run", "e", {}))
        assert store.check_tally() == []


def test_a_row_that_was_damaged_can_be_written_anew(state: Path) -> None:
    tamper(state, "UPDATE records SET body = 'damaged' WHERE kind = 'run' AND id = 'a'")
    assert found(state) == ["The record run a is damaged and left out."]
    with closing(opened(state)) as store:
        store.put_record(StoredRecord("run", "a", {"result": "ok"}))
        assert (store.check_records(), store.check_tally()) == ([], [])


def test_a_new_data_key_counts_anew(state: Path) -> None:
    with closing(opened(state)) as store:
        store.close_journal()
        store.forget_secret("key")  # of the samples, and not sealed
    tamper(state, "DELETE FROM records WHERE kind = 'mail'")
    rotate(state)
    assert found(state) == []
    tamper(state, "DELETE FROM records WHERE kind = 'run' AND id = 'a'")
    assert found(state)


def test_a_store_whose_tally_can_not_be_written_says_why(state: Path) -> None:
    refuse = "CREATE TRIGGER no BEFORE INSERT ON tally BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END"
    tamper(state, "DELETE FROM tally")
    with closing(sqlite3.connect(state / "doorward.db")) as connection:
        connection.execute(refuse)
    with pytest.raises(StoreDamagedError, match="can't be opened: database or disk is full"):
        opened(state)


# Every table, and every column of those that are counted

CHAINED = {"changes", "documents", "revisions"}
"""What the chain of the history covers; test_tampering changes each cell of it."""
NO_RECORDS = {
    "meta": "format and release of the file, and which key signs the history: a start takes each from elsewhere as well",
    "migrations": "what became of the file",
    "tally": "marked with the key",
}


def cells() -> list[tuple[str, str]]:
    """The columns of all tables that are counted, but for what says that a table has one row."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(files("doorward.store").joinpath("schema.sql").read_text())
        return [
            (table.table, column)
            for table in COUNTED
            for (column,) in connection.execute("SELECT name FROM pragma_table_info(?)", (table.table,))
            if column != "only"
        ]


def test_every_table_is_in_the_chain_or_counted_or_holds_no_records(state: Path) -> None:
    with closing(sqlite3.connect(state / "doorward.db")) as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert tables == CHAINED | {table.table for table in COUNTED} | NO_RECORDS.keys()


@pytest.mark.parametrize(("table", "column"), cells())
def test_every_edit_of_a_cell_is_found(state: Path, table: str, column: str) -> None:
    with closing(sqlite3.connect(state / "doorward.db")) as connection, connection:
        [(kind,)] = connection.execute(f"SELECT type FROM pragma_table_info('{table}') WHERE name = ?", (column,))  # noqa: S608
        other = {"INTEGER": 77, "REAL": 77.5, "TEXT": "{}", "BLOB": b"{}"}[kind]
        first = f"rowid = (SELECT min(rowid) FROM {table})"  # noqa: S608
        assert connection.execute(f"UPDATE {table} SET {column} = ? WHERE {first}", (other,)).rowcount == 1  # noqa: S608
    with closing(SqliteStore(state / "doorward.db", Vault.at(state / "data.key", create=False), room=False)) as store:
        assert [*store.check_records(), *store.check_tally()]
