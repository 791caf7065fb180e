"""When a backup is overdue, and who hears of it."""

from __future__ import annotations

from datetime import timedelta

from doorward.backup.records import Drill, Log, Run
from doorward.backup.schedule import NAME, DueJobs
from doorward.backup.status import BackupWatch, freshness
from doorward.events.events import Event, Events
from doorward.host.resources import Job
from doorward.store.sqlite import SqliteStore
from tests.unit.backup.fakes import Clock

NIGHTLY = Job(NAME, ("02:30",), "UTC", "p1")


class Rig:
    def __init__(self, store: SqliteStore, clock: Clock, job: Job = NIGHTLY) -> None:
        self.clock, self.runs, self.drills = clock, Log(store, Run), Log(store, Drill)
        self.table = DueJobs(store, clock)
        self.table.put(job)
        self.table.take_due()
        self.events: list[Event] = []
        self.bus = Events()
        self.bus.listeners.append(self.events.append)
        self.watch = BackupWatch(self.bus, self.runs, self.table, clock)

    def overdue(self) -> bool:
        self.watch.look(self.clock().timestamp())
        found = freshness(self.runs, self.drills, self.table, self.clock()).overdue
        assert found == any("No backup" in issue.message for issue in self.watch.issues())
        return found


def test_a_policy_that_was_just_selected_is_given_two_due_times(store: SqliteStore, clock: Clock) -> None:
    rig = Rig(store, clock)  # 12:00
    assert not rig.overdue()
    clock.ahead(hours=24)  # one due time passed
    assert not rig.overdue()
    clock.ahead(hours=15)  # two
    assert rig.overdue()


def test_a_success_ends_it_and_both_are_told(store: SqliteStore, clock: Clock) -> None:
    rig = Rig(store, clock)
    clock.ahead(hours=48)
    assert rig.overdue()
    assert rig.overdue()
    rig.runs.save(Run(files=[{"name": "x"}]).end("succeeded", clock()))
    assert not rig.overdue()
    clock.ahead(hours=24)
    assert not rig.overdue()
    rig.bus.start()
    rig.bus.stop()
    assert [(event.id, event.text.partition(":")[0]) for event in rig.events] == [
        ("doorwardBackupOverdue", "No backup has succeeded yet."),
        ("doorwardBackupOverdue", "Over"),
    ]


def test_nothing_is_overdue_within_26_hours_however_often_it_is_due(store: SqliteStore, clock: Clock) -> None:
    rig = Rig(store, clock, Job(NAME, tuple(f"{hour:02d}:00" for hour in range(24)), "UTC", "p1"))
    clock.ahead(hours=25)
    assert not rig.overdue()
    clock.ahead(hours=2)
    assert rig.overdue()


def test_a_success_of_a_clock_that_was_years_ahead_does_not_count_for_years(store: SqliteStore, clock: Clock) -> None:
    rig = Rig(store, clock)
    clock.ahead(hours=47)
    rig.runs.save(Run().end("succeeded", clock()))
    rig.runs.save(Run().end("succeeded", clock() + timedelta(days=365)))
    assert not rig.overdue()
    clock.ahead(hours=49)
    assert rig.overdue()


def test_a_policy_without_times_is_never_overdue(store: SqliteStore, clock: Clock) -> None:
    rig = Rig(store, clock, Job(NAME, (), "UTC", "p1"))
    clock.ahead(days=100)
    assert not rig.overdue()


def test_a_failed_run_is_an_issue_until_one_succeeds(store: SqliteStore, clock: Clock) -> None:
    rig = Rig(store, clock)
    failed = rig.runs.save(Run().end("failed", clock(), "no_space", "The target is full."))
    rig.runs.save(Run().end("skipped", clock(), "overlap"))
    rig.watch.look(0)
    assert [(issue.message, issue.path) for issue in rig.watch.issues()] == [
        ("The last backup failed: no_space.", f"/api/backup/runs/{failed.id}")
    ]
    rig.runs.save(Run().end("succeeded", clock()))
    rig.watch.look(60)
    assert list(rig.watch.issues()) == []
