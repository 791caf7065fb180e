"""The log of the store: what a crash leaves is read, what was damaged is found before SQLite drops the commits behind it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from doorward.store.port import StoreDamagedError
from doorward.store.sqlite import SqliteStore
from doorward.store.vault import Vault
from tests.unit.store.samples import fill

VAULT = Vault(bytes(32))
FRAME = 24 + 4096
REVISIONS = 4


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a kill leaves of a store with four revisions: the tables and all of them lie in the log."""
    directory = tmp_path_factory.mktemp("killed")
    store = SqliteStore(directory / "live.db", VAULT)
    fill(store)
    for end in ("", "-wal"):
        shutil.copy(directory / f"live.db{end}", directory / f"doorward.db{end}")
    store.close()
    return directory


@pytest.fixture
def database(killed: Path, tmp_path: Path) -> Path:
    for end in ("", "-wal"):
        shutil.copy(killed / f"doorward.db{end}", tmp_path)
    return tmp_path / "doorward.db"


def log(database: Path) -> bytearray:
    return bytearray(database.with_name("doorward.db-wal").read_bytes())


def revisions(database: Path, data: bytearray) -> int:
    """How many revisions a store with such a log has. Raises StoreDamagedError."""
    database.with_name("doorward.db-wal").write_bytes(data)
    store = SqliteStore(database, VAULT)
    try:
        assert store.check() == []
        return len(store.revisions())
    finally:
        store.close()


def frames(data: bytearray) -> list[int]:
    """Where the frames begin that belong to the log."""
    return [at for at in range(32, len(data) - FRAME + 1, FRAME) if data[at + 8 : at + 16] == data[16:24]]


def commits(data: bytearray) -> list[int]:
    """Where the frames begin that end a commit."""
    return [at for at in frames(data) if any(data[at + 4 : at + 8])]


def test_a_whole_log_is_read(database: Path) -> None:
    assert revisions(database, log(database)) == REVISIONS


def test_a_damaged_byte_before_another_commit_is_found_and_the_log_left_alone(database: Path) -> None:
    whole = log(database)
    last = commits(whole)[-2]
    for frame in [at for at in frames(whole) if at <= last]:
        for byte in (frame + 5, frame + 20, frame + 24 + 1000):
            data = bytearray(whole)
            data[byte] ^= 1
            with pytest.raises(StoreDamagedError, match="-wal is damaged"):
                revisions(database, data)
            assert log(database) == data


@pytest.mark.parametrize("byte", [0, 9, 17, 30])
def test_a_damaged_head_of_the_log_is_found(database: Path, byte: int) -> None:
    data = log(database)
    data[byte] ^= 1
    with pytest.raises(StoreDamagedError, match="is damaged"):
        revisions(database, data)


def test_a_last_commit_that_was_cut_off_is_no_damage(database: Path) -> None:
    """What a loss of power leaves of a write that nobody was told of: any part of its frames."""
    whole = log(database)
    *_, before, last = commits(whole)
    for frame in range(before + FRAME, last + 1, FRAME):
        data = bytearray(whole)
        data[frame + 24 + 100 : frame + FRAME] = bytes(FRAME - 124)
        assert revisions(database, data) == REVISIONS - 1
        data[last:] = bytes(len(data) - last)
        assert revisions(database, data) == REVISIONS - 1


def test_what_an_earlier_round_left_behind_the_end_is_no_damage(database: Path) -> None:
    store = SqliteStore(database, VAULT)
    store._writer.execute("PRAGMA wal_checkpoint(RESTART)")
    store.close_journal()
    data = log(database)
    assert len(data) > 32 + 2 * FRAME
    shutil.copy(database, database.with_name("copy.db"))
    store.close()
    shutil.move(database.with_name("copy.db"), database)
    assert revisions(database, data) == REVISIONS


def test_who_only_looks_gives_the_log_no_room(database: Path) -> None:
    data = log(database)[: frames(log(database))[-1] + FRAME]
    database.with_name("doorward.db-wal").write_bytes(data)
    store = SqliteStore(database, VAULT, room=False)
    assert log(database) == data
    store.close()
