"""Records: what is durable without being configuration."""

from __future__ import annotations

import dataclasses
import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING

from msgspec.structs import replace
from structlog.testing import capture_logs

from doorward.events.mail import Mail
from doorward.events.queue import KIND
from doorward.store.port import CommitRecord, StoredRecord
from doorward.store.records import Records
from tests.unit.store.samples import ZONE, commit_record, edit, fill, revision

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from doorward.store.port import Store


def test_records_are_kept_by_kind_those_made_last_first(open_store: Callable[[], Store]) -> None:
    store = open_store()
    for name in ("a", "b", "c"):
        store.put_record(StoredRecord("run", name, {"name": name}))
    store.put_record(StoredRecord("drill", "a", None))
    again = open_store()
    assert [record.id for record in again.records("run")] == ["c", "b", "a"]
    assert [record.id for record in again.records("run", limit=1, offset=1)] == ["b"]
    assert again.record("run", "b") == StoredRecord("run", "b", {"name": "b"})
    assert again.record("drill", "a") == StoredRecord("drill", "a", None)
    assert again.record("drill", "b") is None


def test_whoever_looks_for_new_records_hears_of_every_way_to_write_them(store: Store) -> None:
    one = StoredRecord("run", "a", 1)
    ways: list[Callable[[], object]] = [
        lambda: store.put_record(one),
        lambda: store.save_commit_record(commit_record("t1"), [one]),
        lambda: store.publish(revision(1), [edit(ZONE, None, "UTC")], records=[one]),
        lambda: store.remove_record("run", "a"),
    ]
    for write in ways:
        before = store.record_writes
        write()
        assert store.record_writes > before
    before = store.record_writes
    store.save_commit_record(commit_record("t2"))
    assert store.record_writes == before


def test_a_record_that_is_put_again_keeps_its_place(store: Store) -> None:
    for name in ("a", "b"):
        store.put_record(StoredRecord("run", name, 1))
    store.put_record(StoredRecord("run", "a", 2), StoredRecord("run", "z", 3))
    assert [(record.id, record.body) for record in store.records("run")] == [("z", 3), ("b", 1), ("a", 2)]


def test_a_removed_record_is_gone(store: Store) -> None:
    store.put_record(StoredRecord("run", "a", 1))
    store.put_record(StoredRecord("drill", "a", 1))
    store.remove_record("run", "a")
    store.remove_record("run", "a")
    assert store.records("run") == []
    assert store.record("drill", "a") is not None


def older(connection: sqlite3.Connection) -> None:
    """Make of a store one from before records had checksums."""
    connection.execute("UPDATE meta SET value = '1' WHERE name = 'format'")
    for table in ("commits", "records"):
        connection.execute(f"ALTER TABLE {table} DROP COLUMN checksum")
    connection.execute("DROP TABLE tally")


def test_a_store_made_before_there_were_records_gets_them(open_store: Callable[[], Store], tmp_path: Path) -> None:
    open_store().close()
    connection = sqlite3.connect(tmp_path / "doorward.db")
    older(connection)
    connection.execute("DROP TABLE records")
    connection.commit()
    connection.close()
    assert open_store().records("run") == []


@dataclass(frozen=True, slots=True)
class Thing:
    """Something that is kept."""

    id: str
    color: str = "red"
    big: bool = False
    parent: str | None = None
    data: bytes = b""


def things(store: Store) -> Records[Thing]:
    return Records(store, "thing", Thing)


def test_values_come_back_as_they_were_put(open_store: Callable[[], Store]) -> None:
    made = [Thing("a", "blé", data=b"\x00\xff"), Thing("b", big=True, parent="a")]
    things(open_store()).put(*made)
    again = things(open_store())
    assert again.find() == made[::-1]
    assert (again.get("a"), again.get("c")) == (made[0], None)
    again.put(dataclasses.replace(made[0], color="green"))
    assert [one.color for one in again.find()] == ["red", "green"]
    again.remove("b", "c")
    assert [one.id for one in again.find()] == ["a"]


def test_values_are_found_by_what_their_members_are(store: Store) -> None:
    kept = things(store)
    kept.put(*(Thing(str(n), "red" if n % 2 else "blue", n > 100, "x" if n == 7 else None) for n in range(120)))
    store.put_record(StoredRecord("other", "o", {"color": "red"}))
    assert [one.id for one in kept.find(2, 1, color="red")] == ["117", "115"]
    assert [one.id for one in kept.each(color="blue", big=True)] == [str(n) for n in range(118, 100, -2)]
    assert [one.id for one in kept.find(parent="x")] == ["7"]
    assert len(kept.find(parent=None)) == 119
    assert len(list(kept.each())) == 120
    assert kept.find(color="it's") == kept.find(**{"no such": 1}) == []


def test_only_the_values_made_last_are_left(store: Store) -> None:
    kept = things(store)
    kept.put(*(Thing(str(n)) for n in range(5)))
    kept.trim(9)
    assert len(kept.find()) == 5
    kept.trim(2)
    assert [one.id for one in kept.find()] == ["4", "3"]


def test_a_value_that_this_release_can_not_read_is_left_out_and_told_of_once(store: Store) -> None:
    kept = things(store)
    kept.put(Thing("a"))
    store.put_record(StoredRecord("thing", "b", {"color": 7}), StoredRecord("thing", "c", "no object"))
    with capture_logs() as logs:
        assert [one.id for one in kept.find()] == [one.id for one in kept.each()] == ["a"]
        assert kept.get("b") is None
    assert [(log["log_level"], log["record"]) for log in logs] == [("error", "thing c"), ("error", "thing b")]


def test_a_record_is_written_along_with_a_revision(store: Store) -> None:
    store.publish(revision(1), [edit(ZONE, ..., 1)], records=[things(store).record(Thing("a", "blue"))])
    assert things(store).get("a") == Thing("a", "blue")


def test_records_have_no_part_in_the_history(store: Store) -> None:
    fill(store)
    store.put_record(StoredRecord("run", "a", 1))
    assert store.check() == []


def test_mails_that_wait_in_a_table_of_their_own_become_records(open_store: Callable[[], Store], tmp_path: Path) -> None:
    """As an older store has them."""
    open_store().close()
    connection = sqlite3.connect(tmp_path / "doorward.db")
    older(connection)
    connection.execute("CREATE TABLE mails (id TEXT, recipient TEXT, subject TEXT, text TEXT, queued REAL, due REAL)")
    rows = [(name, "a@example.com", "Subject", "Text\nof Ödön.\n", 99.5, 160.25) for name in ("1", "2")]
    connection.executemany("INSERT INTO mails VALUES (?, ?, ?, ?, ?, ?)", rows)
    connection.commit()
    connection.close()
    for _ in range(2):
        store = open_store()
        assert Records(store, KIND, Mail).find() == [Mail(*row) for row in reversed(rows)]
        store.close()


def test_store_of_an_earlier_release_gets_the_column_for_results(open_store: Callable[[], Store], tmp_path: Path) -> None:
    open_store().close()
    connection = sqlite3.connect(tmp_path / "doorward.db")
    older(connection)
    connection.execute("ALTER TABLE commits DROP COLUMN results")
    connection.execute("INSERT INTO commits VALUES ('1', 'admin', 'then', 'done', NULL, 1, NULL, '[]', 'k', 'x', '-1')")
    connection.commit()
    connection.close()
    for _ in range(2):
        assert open_store().commit_record("1") == CommitRecord(
            "1", "admin", "then", "done", None, 1, idempotency_key="k", request="x", account="-1"
        )


def test_results_are_kept_as_long_as_the_key(store: Store) -> None:
    results = [{"href": "/api/x", "key": "x", "status": 200}]
    record = CommitRecord("1", "admin", "2026-01-01T00:00:00Z", "done", idempotency_key="k", request="x", account="-1")
    record = replace(record, results=results)
    store.save_commit_record(record)
    assert store.commit_record("k", "-1") == record
    store.forget_commit_records("2026-01-02T00:00:00Z")
    assert store.commit_record("1") == replace(record, idempotency_key=None, results=None)
