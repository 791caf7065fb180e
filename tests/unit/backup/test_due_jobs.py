"""The due table over restarts, and with a node that is late on purpose."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from doorward.backup.schedule import NAME, DueJobs
from doorward.host.resources import Job
from doorward.store.sqlite import SqliteStore
from tests.unit.backup.fakes import Clock

NIGHTLY = Job(NAME, ("02:30",), "UTC", "p1")


def test_what_had_its_run_is_known_after_a_restart(store: SqliteStore, clock: Clock) -> None:
    table = DueJobs(store, clock)
    table.put(NIGHTLY)
    assert table.take_due() == []
    assert table.next_due(NAME) == datetime(2026, 11, 22, 2, 30, tzinfo=UTC)
    clock.now = datetime(2026, 11, 22, 9, tzinfo=UTC)
    again = DueJobs(store, clock)
    again.put(NIGHTLY)
    due = again.take_due()
    assert [found.local for found in due] == ["2026-11-22 02:30"]
    again.served(due)
    third = DueJobs(store, clock)
    third.put(NIGHTLY)
    assert third.take_due() == []


def test_a_job_that_goes_is_not_due(store: SqliteStore, clock: Clock) -> None:
    table = DueJobs(store, clock)
    changes: list[None] = []
    table.changed = lambda: changes.append(None)
    table.put(NIGHTLY)
    table.remove(NAME)
    assert (table.job(NAME), table.next_due(NAME), table.take_due()) == (None, None, [])
    assert len(changes) == 2


def test_a_node_can_be_late_on_purpose(store: SqliteStore, clock: Clock) -> None:
    table = DueJobs(store, clock, lambda: 90.0)
    table.put(NIGHTLY)
    table.take_due()
    late = datetime(2026, 11, 22, 2, 31, 30, tzinfo=UTC)
    assert table.next_due(NAME) == late
    clock.now = late - timedelta(seconds=1)
    assert table.take_due() == []
    clock.now = late
    assert [due.at for due in table.take_due()] == [late]
