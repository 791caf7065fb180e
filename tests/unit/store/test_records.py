"""Records: what is durable without being configuration."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from typing import TYPE_CHECKING

from doorward.events.mail import Mail
from doorward.events.queue import KIND
from doorward.store.port import CommitRecord, Record
from tests.unit.store.samples import fill

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from doorward.store.port import Store


def test_records_are_kept_by_kind_those_made_last_first(open_store: Callable[[], Store]) -> None:
    store = open_store()
    for name in ("a", "b", "c"):
        store.put_record(Record("run", name, {"name": name}))
    store.put_record(Record("drill", "a", None))
    again = open_store()
    assert [record.id for record in again.records("run")] == ["c", "b", "a"]
    assert [record.id for record in again.records("run", limit=1, offset=1)] == ["b"]
    assert again.record("run", "b") == Record("run", "b", {"name": "b"})
    assert again.record("drill", "a") == Record("drill", "a", None)
    assert again.record("drill", "b") is None


def test_a_record_that_is_put_again_keeps_its_place(store: Store) -> None:
    for name in ("a", "b"):
        store.put_record(Record("run", name, 1))
    store.put_record(Record("run", "a", 2), Record("run", "z", 3))
    assert [(record.id, record.body) for record in store.records("run")] == [("z", 3), ("b", 1), ("a", 2)]


def test_a_removed_record_is_gone(store: Store) -> None:
    store.put_record(Record("run", "a", 1))
    store.put_record(Record("drill", "a", 1))
    store.remove_record("run", "a")
    store.remove_record("run", "a")
    assert store.records("run") == []
    assert store.record("drill", "a") is not None


def test_a_store_made_before_there_were_records_gets_them(open_store: Callable[[], Store], tmp_path: Path) -> None:
    open_store().close()
    connection = sqlite3.connect(tmp_path / "doorward.db")
    connection.execute("DROP TABLE records")
    connection.close()
    assert open_store().records("run") == []


def test_records_have_no_part_in_the_history(store: Store) -> None:
    fill(store)
    store.put_record(Record("run", "a", 1))
    assert store.check() == []


def test_mails_that_wait_in_a_table_of_their_own_become_records(open_store: Callable[[], Store], tmp_path: Path) -> None:
    """As an older store has them."""
    open_store().close()
    connection = sqlite3.connect(tmp_path / "doorward.db")
    connection.execute("CREATE TABLE mails (id TEXT, recipient TEXT, subject TEXT, text TEXT, queued REAL, due REAL)")
    rows = [(name, "a@example.com", "Subject", "Text\nof Ödön.\n", 99.5, 160.25) for name in ("1", "2")]
    connection.executemany("INSERT INTO mails VALUES (?, ?, ?, ?, ?, ?)", rows)
    connection.commit()
    connection.close()
    for _ in range(2):
        store = open_store()
        assert [Mail(record.id, **record.body) for record in store.records(KIND)] == [Mail(*row) for row in reversed(rows)]
        store.close()


def test_store_of_an_earlier_release_gets_the_column_for_results(open_store: Callable[[], Store], tmp_path: Path) -> None:
    open_store().close()
    connection = sqlite3.connect(tmp_path / "doorward.db")
    connection.execute("ALTER TABLE commits DROP COLUMN results")
    connection.execute("INSERT INTO commits VALUES ('1', 'admin', 'then', 'done', NULL, 1, NULL, '[]', 'k', 'x', '-1')")
    connection.commit()
    connection.close()
    for _ in range(2):
        assert open_store().ticket("1") == CommitRecord(
            "1", "admin", "then", "done", None, 1, idempotency_key="k", request="x", account="-1"
        )


def test_results_are_kept_as_long_as_the_key(store: Store) -> None:
    results = [{"href": "/api/x", "key": "x", "status": 200}]
    ticket = CommitRecord("1", "admin", "2026-01-01T00:00:00Z", "done", idempotency_key="k", request="x", account="-1")
    ticket = replace(ticket, results=results)
    store.save_commit_record(ticket)
    assert store.ticket("k", "-1") == ticket
    store.forget_commit_records("2026-01-02T00:00:00Z")
    assert store.ticket("1") == replace(ticket, idempotency_key=None, results=None)
