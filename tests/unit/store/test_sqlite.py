"""What is particular to the SQLite adapter: its file, its format, its damage."""

from __future__ import annotations

import errno
import os
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from doorward.store.format import FORMATS
from doorward.store.port import Confirmation, StoreDamagedError
from doorward.store.sqlite import SqliteStore
from doorward.store.vault import Vault
from tests.unit.store.samples import ZONE, commit_record, edit, fill, revision

VAULT = Vault(b"k" * 32)


def test_the_file_is_written_ahead_and_synced(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "doorward.db", VAULT)
    for name, value in (("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1)):
        assert store._writer.execute(f"PRAGMA {name}").fetchone() == (value,)
    store.close()


def test_all_connections_of_the_process_keep_few_pages_together(tmp_path: Path) -> None:
    SqliteStore(tmp_path / "doorward.db", VAULT).close()
    with closing(sqlite3.connect(":memory:")) as other:
        assert other.execute("PRAGMA soft_heap_limit").fetchone() == (8 << 20,)


def test_threads_that_end_leave_no_connection(tmp_path: Path) -> None:
    """What takes long is done by a thread of its own each time."""
    store = SqliteStore(tmp_path / "doorward.db", VAULT)
    fill(store)

    def open_files() -> int:
        return sum(link.samefile(store._path) for link in Path("/proc/self/fd").iterdir() if link.exists())

    store.commit_records()
    before = open_files()
    for _ in range(5):
        thread = threading.Thread(target=store.commit_records)
        thread.start()
        thread.join()
    assert open_files() == before
    store.close()


def test_the_log_has_its_room_from_the_start_and_what_it_holds_outlives_a_kill(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "doorward.db", VAULT)
    log = tmp_path / "doorward.db-wal"
    room = log.stat().st_size
    assert room > 1 << 20
    fill(store)
    assert log.stat().st_size == room, "what was written lies in the room"
    killed = tmp_path / "killed"
    killed.mkdir()
    for name in ("doorward.db", "doorward.db-wal"):
        (killed / name).write_bytes((tmp_path / name).read_bytes())
    store.close()
    again = SqliteStore(killed / "doorward.db", VAULT)
    assert again.check() == []
    assert [found.number for found in again.revisions()] == [4, 3, 2, 1]
    assert (killed / "doorward.db-wal").stat().st_size == room
    again.publish(revision(5, 0), [])
    assert again.check() == []
    again.close()


def test_a_log_for_which_there_is_no_room_is_left_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_file: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    store = SqliteStore(tmp_path / "doorward.db", VAULT)
    monkeypatch.undo()
    assert (tmp_path / "doorward.db-wal").stat().st_size < 1 << 20
    fill(store)
    assert store.check() == []
    store.close()


def test_every_table_is_strict(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "doorward.db", VAULT)
    tables = store._read("SELECT name, strict FROM pragma_table_list WHERE schema = 'main' AND name NOT LIKE 'sqlite_%'")
    assert tables
    assert [name for name, strict in tables if not strict] == []
    store.close()


def test_a_reader_cannot_write(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "doorward.db", VAULT)
    with pytest.raises(StoreDamagedError, match="readonly"):
        store._read("DELETE FROM revisions")
    store.close()


@pytest.mark.parametrize(
    "sql", ["UPDATE meta SET value = '0'", "UPDATE meta SET value = '99'", "DELETE FROM meta", "DROP TABLE meta"]
)
def test_a_file_of_another_format_is_left_alone(tmp_path: Path, sql: str) -> None:
    path = tmp_path / "doorward.db"
    SqliteStore(path, VAULT).close()
    connection = sqlite3.connect(path)
    connection.execute(sql)
    connection.commit()
    connection.close()
    before = path.read_bytes()
    with pytest.raises(
        StoreDamagedError, match=f"this release reads formats 1 to {FORMATS.current}|knows formats up to|can't be opened"
    ):
        SqliteStore(path, VAULT)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "content", [b"not a database, but long enough to be looked at " * 100, b"SQLite format 3\x00" + bytes(4080)]
)
def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "doorward.db"
    path.write_bytes(content)
    with pytest.raises(StoreDamagedError, match=r"doorward\.db can't be opened"):
        SqliteStore(path, VAULT)
    assert path.read_bytes() == content


def test_a_directory_in_the_way_is_said_plainly(tmp_path: Path) -> None:
    (tmp_path / "doorward.db").mkdir()
    with pytest.raises(StoreDamagedError, match="unable to open"):
        SqliteStore(tmp_path / "doorward.db", VAULT)


def test_a_path_with_signs_of_an_address_is_no_obstacle(tmp_path: Path) -> None:
    directory = tmp_path / "50% of #1? & more"
    directory.mkdir()
    store = SqliteStore(directory / "doorward.db", VAULT)
    fill(store)
    assert store.head() is not None
    store.close()


def test_a_relative_path_stays_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = SqliteStore(Path("doorward.db"), VAULT)
    fill(store)
    assert store.check() == []
    store.close()


def test_a_failed_write_leaves_nothing_and_the_next_one_works(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "doorward.db", VAULT)
    store.publish(revision(1), [edit(ZONE, ..., "a")])
    broken = [edit(ZONE, "a", "b"), edit(ZONE, "a", "c")]
    store._write(lambda connection: connection.execute("CREATE UNIQUE INDEX once ON changes (revision, path)"))
    with pytest.raises(sqlite3.IntegrityError):
        store.publish(revision(2), broken, commit_record("t"))
    head = store.head()
    assert head is not None
    assert head.number == 1
    assert store.commit_record("t") is None
    store.publish(revision(2), [edit(ZONE, "a", "b")])
    assert store.check() == []
    store.close()


def test_whoever_wants_to_know_is_told_what_the_disk_refuses(tmp_path: Path) -> None:
    store, told = SqliteStore(tmp_path / "doorward.db", VAULT), list[str]()
    store.failed.append(told.append)
    fill(store)
    assert told == []
    store._write(lambda connection: connection.execute("PRAGMA max_page_count = 1"))
    with pytest.raises(sqlite3.OperationalError, match="full"):
        store.publish(revision(5), [edit(ZONE, "Etc/UTC", "x" * 100_000)])
    with pytest.raises(StoreDamagedError, match=r"doorward\.db can't be read"):
        store._read("SELECT * FROM nowhere")
    assert told == ["database or disk is full", "no such table: nowhere"]
    assert store.check() == []
    store.close()


def test_only_so_many_records_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("doorward.store.sqlite._MAX_COMMIT_RECORDS", 3)
    store = SqliteStore(tmp_path / "doorward.db", VAULT)
    for index in range(6):
        store.save_commit_record(commit_record(f"t{index}"))
    store.forget_commit_records("2026-11-20T00:00:00Z")
    assert [one.id for one in store.commit_records()] == ["t5", "t4", "t3"]
    store.close()


def test_nothing_can_be_asked_of_a_closed_store(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "doorward.db", VAULT)
    assert store.head() is None
    store.close()
    with pytest.raises(sqlite3.ProgrammingError):
        store.save_commit_record(commit_record("t"))
    with pytest.raises(StoreDamagedError):
        store.head()


def test_closing_leaves_one_file(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "doorward.db", VAULT)
    fill(store)
    store.close()
    assert [path.name for path in tmp_path.iterdir()] == ["doorward.db"]


def test_a_store_that_knew_only_when_a_confirmation_ends_is_brought_on(tmp_path: Path) -> None:
    vault = Vault.at(tmp_path / "data.key", create=True)
    store = SqliteStore(tmp_path / "doorward.db", vault)
    store.await_confirmation(Confirmation("t1", "jane", 1, 1234.5, 60.0, "boot", 7.5, "refused"))
    store.close()
    with closing(sqlite3.connect(tmp_path / "doorward.db")) as connection:
        for column in ("seconds", "boot", "moment", "failure"):
            connection.execute(f"ALTER TABLE confirmation DROP COLUMN {column}")
        connection.execute("UPDATE meta SET value = '1' WHERE name = 'format'")
        connection.commit()
    for _ in range(2):
        store = SqliteStore(tmp_path / "doorward.db", vault)
        assert store.confirmation() == Confirmation("t1", "jane", 1, 1234.5, 3600.0)
        store.close()
