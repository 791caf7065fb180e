"""Damage of records: it is found, told of by name, and nothing else suffers."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from doorward.store.commits import COLUMNS
from doorward.store.port import Confirmation, DamagedRecordError, StoredRecord
from doorward.store.records import Records
from tests.unit.store.samples import ZONE, commit_record, edit, fill, revision

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from doorward.store.port import Store

DAMAGE = {
    "another value": '{"color":"blue"}',
    "no JSON": '{"color":',
    "no text": b'{"color":"\xff"}',
    "nothing": "",
}


@dataclass(frozen=True, slots=True)
class Thing:
    """Something that is kept."""

    id: str
    color: str = "red"


def change(directory: Path, sql: str, *values: Any) -> None:
    """Change the file without Doorward."""
    with closing(sqlite3.connect(directory / "doorward.db")) as connection:
        assert connection.execute(sql, values).rowcount == 1
        connection.commit()


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_record_is_left_out_and_told_of(open_store: Callable[[], Store], tmp_path: Path, damage: str) -> None:
    things = Records(open_store(), "thing", Thing)
    things.put(Thing("a"), Thing("b"), Thing("c"))
    change(tmp_path, "UPDATE records SET body = CAST(? AS TEXT) WHERE id = 'b'", DAMAGE[damage])
    store = open_store()
    things = Records(store, "thing", Thing)
    with capture_logs() as logs:
        for _ in range(2):
            assert [one.id for one in things.find()] == ["c", "a"]
            assert [one.id for one in things.find(color="red")] == ["c", "a"]
            assert things.find(color="blue") == []
            assert things.get("b") is None
        with pytest.raises(DamagedRecordError, match="The record thing b is damaged"):
            store.record("thing", "b")
    assert [(log["event"], log["record"]) for log in logs] == [("a record is damaged", "The record thing b")], "once"
    assert store.check_records() == ["The record thing b is damaged and left out."]
    assert store.check() == [], "the history is whole"
    things.put(Thing("b", "green"))
    assert [one.id for one in things.find()] == ["c", "b", "a"]
    assert store.check_records() == []


@pytest.mark.parametrize("column", ["kind", "id", "body", "checksum"])
def test_every_changed_cell_of_a_record_is_found(open_store: Callable[[], Store], tmp_path: Path, column: str) -> None:
    store = open_store()
    store.put_record(StoredRecord("thing", "a", {"color": "red"}), StoredRecord("thing", "b", None))
    for other in ("x", b"\xfe"):
        with closing(sqlite3.connect(tmp_path / "doorward.db")) as connection:
            [[before]] = connection.execute(f"SELECT {column} FROM records WHERE number = 1")  # noqa: S608
        change(tmp_path, f"UPDATE records SET {column} = CAST(? AS TEXT) WHERE number = 1", other)  # noqa: S608
        assert len(store.check_records()) == 1
        change(tmp_path, f"UPDATE records SET {column} = ? WHERE number = 1", before)  # noqa: S608
        assert store.check_records() == []


def test_a_damaged_record_can_be_removed(open_store: Callable[[], Store], tmp_path: Path) -> None:
    store = open_store()
    store.put_record(StoredRecord("thing", "a", 1), StoredRecord("thing", "b", 2), StoredRecord("thing", "c", 3))
    change(tmp_path, "UPDATE records SET body = '' WHERE id = 'a'")
    store.trim_records("thing", 2)
    assert store.check_records() == []
    change(tmp_path, "UPDATE records SET body = '' WHERE id = 'b'")
    store.remove_record("thing", "b")
    assert store.check_records() == []


@pytest.mark.parametrize("column", COLUMNS[1:])
def test_every_changed_cell_of_a_commit_record_is_found(open_store: Callable[[], Store], tmp_path: Path, column: str) -> None:
    store = open_store()
    whole = commit_record(
        "t1", state="failed", finished="2026-11-21T10:00:09Z", revision=3, error={"type": "é"}, warnings=[{"code": "x"}],
        idempotency_key="k", request="r", results=[{"status": 200}],
    )  # fmt: skip
    for one in (commit_record("t0"), whole, commit_record("t2")):
        store.save_commit_record(one)
    assert store.check_records() == []
    kind = "INTEGER" if column == "revision" else "TEXT"
    for other in ["7"] if column == "revision" else ["x", b"\xfe", "[]"]:
        change(tmp_path, f"UPDATE commits SET {column} = CAST(? AS {kind}) WHERE id = 't1'", other)  # noqa: S608
        assert store.check_records() == ["The commit record t1 is damaged and left out."]
        assert [one.id for one in store.commit_records()] == ["t2", "t0"]
        assert store.commit_record("t1") is None
    store.forget_commit_records("2027-01-01T00:00:00Z")
    store.save_commit_record(replace(whole, user="admin"))
    assert store.commit_record("t1") is not None or column in {"user", "started"}


def test_the_commit_that_is_taken_back_may_have_a_damaged_record(open_store: Callable[[], Store], tmp_path: Path) -> None:
    store = open_store()
    awaited = Confirmation("t1", "jane", 1, 1.0, 60.0)
    store.publish(revision(1), [edit(ZONE, ..., "x")], commit_record("t1", state="awaiting_confirmation"), (), awaited)
    change(tmp_path, "UPDATE commits SET state = '' WHERE id = 't1'")
    store.publish(revision(2), [edit(ZONE, "x", "y")], commit_record("t2", state="done"))
    assert store.confirmation() is None
    assert store.commit_record("t2") == commit_record("t2", state="done")


def test_a_record_that_goes_on_keeps_its_beginning_and_is_whole(store: Store) -> None:
    store.save_commit_record(commit_record("t1", started="2026-11-21T10:00:00Z"))
    store.save_commit_record(commit_record("t1", started="2026-11-21T11:00:00Z", state="failed"))
    assert store.commit_record("t1") == commit_record("t1", started="2026-11-21T10:00:00Z", state="failed")


def test_the_history_has_no_part_in_it(store: Store) -> None:
    fill(store)
    assert store.check_records() == []
