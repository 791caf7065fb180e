"""The word of a store about what the disk refused."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest

from tests.unit.store.samples import commit_record

if TYPE_CHECKING:
    from doorward.store.sqlite import SqliteStore


def test_what_the_disk_refuses_is_told(store: SqliteStore) -> None:
    told: list[str] = []
    store.failed.append(told.append)
    store._writer.execute("PRAGMA query_only = ON")
    with pytest.raises(sqlite3.OperationalError):
        store.save_commit_record(commit_record("x"))
    assert told == ["attempt to write a readonly database"]
    store._writer.execute("PRAGMA query_only = OFF")
    store.save_commit_record(commit_record("x"))
    assert len(told) == 1
