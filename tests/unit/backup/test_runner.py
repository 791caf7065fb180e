"""Runs in their turn: what is due, what waits, what was missed, and what a restart makes of it."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from doorward.backup import runner as module
from doorward.backup.failure import BackupError
from doorward.backup.records import Log, Run
from doorward.backup.runner import AlreadyWaitingError, Runner, Selected
from doorward.backup.runs import RunStop
from doorward.backup.schedule import NAME, DueJobs
from doorward.host.resources import Job
from doorward.store.port import StoreDamagedError
from doorward.store.sqlite import SqliteStore
from tests.support.server import until
from tests.unit.backup.fakes import Clock

NIGHTLY = Job(NAME, ("02:30", "14:30"), "UTC", "p1")


@pytest.fixture(autouse=True)
def fast_response(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MISSED_SECONDS", 0.0)
    monkeypatch.setattr(module, "STEP_SECONDS", 1e9)  # the clock of the tests jumps


class Rig:
    """A runner whose runs take until they are let go. ``started`` False: only ``tick`` looks at the clock."""

    def __init__(self, store: SqliteStore, clock: Clock, job: Job | None = NIGHTLY) -> None:
        self.clock, self.log = clock, Log(store, Run)
        self.table = DueJobs(store, clock)
        self.policy: Selected | None = Selected("p1", {"name": "nightly"})
        if job is not None:
            self.table.put(job)
        self.told: list[Run] = []
        self.go = threading.Event()
        self.runner = Runner(self.log, self.table, lambda: self.policy, self.carry_out, self.told.append, clock)

    def carry_out(self, run: Run, _selected: Selected, stop: RunStop) -> Run:
        while not self.go.wait(0.01):
            if stop.event.is_set():
                return run.end("cancelled", self.clock(), stop.code)
        return run.end("succeeded", self.clock())

    def results(self) -> list[tuple[str, str | None, str | None]]:
        return [(run.reason, run.result, run.code) for run in self.log.find()]

    def finished(self, count: int = 1) -> None:
        until(lambda: sum(run.finished for run in self.log.find()) >= count and self.runner.working is None)


@pytest.fixture
def rig(store: SqliteStore, clock: Clock) -> Iterator[Rig]:
    made = Rig(store, clock)
    yield made
    made.runner.stop()


def test_a_run_begins_when_it_is_due_and_not_again(rig: Rig) -> None:
    rig.go.set()
    rig.runner.start()
    rig.runner.tick()
    assert rig.log.find() == []
    rig.clock.now = datetime(2026, 11, 21, 14, 30, tzinfo=UTC)
    rig.runner.tick()
    rig.finished()
    rig.runner.tick()
    [run] = rig.log.find()
    assert (run.reason, run.result, run.scheduled_for, run.policy) == ("schedule", "succeeded", "2026-11-21T14:30:00Z", "p1")
    assert [told.id for told in rig.told] == [run.id]


def test_a_run_that_is_asked_for_says_who_asked(rig: Rig) -> None:
    rig.go.set()
    rig.runner.start()
    run = rig.runner.ask("alice")
    rig.finished()
    found = rig.log.get(run.id)
    assert found is not None
    assert (found.reason, found.author, found.result) == ("manual", "alice", "succeeded")


def test_a_run_lets_others_go_first(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    def niceness() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    seen: list[int] = []

    def carry_out(run: Run, selected: Selected, stop: RunStop) -> Run:
        seen.append(niceness())
        return Rig.carry_out(rig, run, selected, stop)

    monkeypatch.setattr(rig.runner, "_carry_out", carry_out)
    before = niceness()
    rig.go.set()
    rig.runner.start()
    rig.runner.ask("alice")
    rig.finished()
    assert (seen, niceness()) == ([min(before + 10, 19)], before)  # 19 is the most that there is


class Right:
    """A right that can be taken away."""

    def __init__(self) -> None:
        self.held = True

    def __call__(self) -> bool:
        return self.held


def test_a_run_at_work_ends_when_who_asked_for_it_loses_the_right(rig: Rig) -> None:
    right, other = Right(), Right()
    rig.runner.start()
    run = rig.runner.ask("alice", right)
    until(lambda: rig.runner.working)
    other.held = False
    rig.runner.published()
    assert rig.runner.working, "somebody else lost something"
    right.held = False
    rig.runner.published()
    rig.finished()
    found = rig.log.get(run.id)
    assert found is not None
    assert (found.result, found.code) == ("cancelled", "cancelled")


def test_a_waiting_run_ends_when_who_asked_for_it_loses_the_right(rig: Rig) -> None:
    right = Right()
    rig.runner.start()
    rig.runner.ask("alice")
    until(lambda: rig.runner.working)
    waiting = rig.runner.ask("bob", right)
    right.held = False
    rig.runner.published()
    found = rig.log.get(waiting.id)
    assert found is not None
    message = "Its author lost the account or the right to it."
    assert (found.result, found.code, found.message) == ("cancelled", "cancelled", message)
    rig.go.set()
    rig.finished(2)


def test_a_run_whose_right_went_before_it_was_queued_does_nothing(rig: Rig) -> None:
    right = Right()
    right.held = False
    rig.runner.start()
    run = rig.runner.ask("alice", right)
    rig.finished()
    found = rig.log.get(run.id)
    assert found is not None
    assert (found.result, found.code) == ("cancelled", "cancelled")
    assert found.attempts == []


def test_one_run_waits_and_no_second_one(rig: Rig) -> None:
    rig.runner.start()
    first = rig.runner.ask("alice")
    until(lambda: rig.runner.working)
    second = rig.runner.ask("bob")
    with pytest.raises(AlreadyWaitingError) as refused:
        rig.runner.ask("carol")
    assert refused.value.run.id == second.id
    rig.clock.now = datetime(2026, 11, 21, 14, 30, tzinfo=UTC)
    rig.runner.tick()
    rig.go.set()
    rig.finished(3)
    by_id = {run.id: run for run in rig.log.find()}
    assert by_id[first.id].result == by_id[second.id].result == "succeeded"
    [skipped] = [run for run in by_id.values() if run.id not in {first.id, second.id}]
    assert (skipped.result, skipped.code, skipped.scheduled_for) == ("skipped", "overlap", "2026-11-21T14:30:00Z")
    rig.runner.tick()
    assert len(rig.log.find()) == 3


def test_without_a_policy_nothing_can_be_asked_for_and_nothing_is_due(store: SqliteStore, clock: Clock) -> None:
    rig = Rig(store, clock, None)
    rig.policy = None
    with pytest.raises(BackupError):
        rig.runner.ask("alice")
    clock.ahead(days=2)
    rig.runner.tick()
    assert rig.log.find() == []


def test_a_run_can_be_cancelled_while_it_waits_and_while_it_works(rig: Rig) -> None:
    rig.runner.start()
    first = rig.runner.ask("alice")
    until(lambda: rig.runner.working)
    second = rig.runner.ask("bob")
    assert rig.runner.cancel(second.id)
    assert rig.runner.cancel(first.id)
    rig.finished(2)
    assert rig.results() == [("manual", "cancelled", "cancelled")] * 2
    assert not rig.runner.cancel(first.id)
    assert not rig.runner.cancel("nothing")


def test_a_waiting_run_is_dropped_when_another_policy_is_selected(rig: Rig) -> None:
    rig.runner.start()
    rig.runner.ask("alice")
    until(lambda: rig.runner.working)
    waiting = rig.runner.ask("bob")
    rig.runner.published()
    assert rig.log.find()[0].status == "waiting"
    rig.policy = Selected("p2", {})
    rig.runner.published()
    dropped = rig.log.get(waiting.id)
    assert dropped is not None
    assert (dropped.result, dropped.code) == ("skipped", "policy_changed")
    rig.go.set()
    rig.finished(2)
    assert rig.log.find()[1].policy == "p1"


def test_what_was_due_while_the_server_was_down_is_made_up_for_by_one_run(store: SqliteStore, clock: Clock) -> None:
    before = Rig(store, clock)
    before.runner.tick()
    clock.ahead(days=3)
    rig = Rig(store, clock)
    rig.go.set()
    rig.runner.start()
    rig.finished()
    [run] = rig.log.find()
    assert (run.reason, run.scheduled_for, run.result) == ("missed", "2026-11-24T02:30:00Z", "succeeded")
    rig.runner.stop()


def test_a_clock_that_is_set_ahead_over_a_due_time_makes_a_missed_run(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STEP_SECONDS", 5.0)
    rig.go.set()
    rig.runner.tick()
    rig.clock.ahead(hours=5)
    rig.runner.tick()
    [run] = rig.log.find()
    assert (run.reason, run.scheduled_for) == ("missed", "2026-11-21T14:30:00Z")


@pytest.mark.parametrize("killed", [False, True])
def test_a_run_that_ended_with_the_server_is_made_up_for_after_the_next_start(
    store: SqliteStore, clock: Clock, *, killed: bool
) -> None:
    before = Rig(store, clock)
    before.runner.start()
    before.runner.ask("alice")
    until(lambda: before.runner.working)
    if killed:
        store.put_record(store.records("backup_run")[0])  # as the process left it: neither over nor broken off
        left = before.log.find()[0]
        before.runner.stop()
        before.log.save(left)
    else:
        before.runner.stop()
    rig = Rig(store, clock)
    rig.go.set()
    rig.runner.start()
    rig.finished(2)
    assert rig.results() == [("missed", "succeeded", None), ("manual", "cancelled", "shutdown")]
    rig.runner.stop()
    again = Rig(store, clock)
    again.runner.start()
    again.runner.stop()
    assert len(again.log.find()) == 2


def test_a_run_that_ends_every_server_is_not_tried_for_ever(store: SqliteStore, clock: Clock) -> None:
    first = Rig(store, clock)
    first.runner.start()
    first.runner.ask("alice")
    for _ in range(5):
        first.runner.stop()
        first = Rig(store, clock)
        first.runner.start()
    first.runner.stop()
    assert first.results() == [("missed", "cancelled", "shutdown")] * 2 + [("manual", "cancelled", "shutdown")]


def test_a_run_that_stumbles_is_over_and_the_next_one_goes(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    stumbles = [True]

    def carry_out(run: Run, selected: Selected, stop: RunStop) -> Run:
        if stumbles:
            stumbles.pop()
            raise ZeroDivisionError
        return Rig.carry_out(rig, run, selected, stop)

    monkeypatch.setattr(rig.runner, "_carry_out", carry_out)
    rig.go.set()
    rig.runner.start()
    rig.runner.ask("alice")
    rig.finished()
    rig.runner.ask("alice")
    rig.finished(2)
    assert rig.results() == [("manual", "succeeded", None), ("manual", "failed", "store_error")]


def test_a_store_that_fails_ends_neither_the_runs_nor_the_server(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise StoreDamagedError("The disk does not answer.")

    def carry_out(_run: Run, _selected: Selected, _stop: RunStop) -> Run:
        for name in ("get", "save"):
            monkeypatch.setattr(rig.log, name, broken)
        raise StoreDamagedError("The disk does not answer.")

    rig.runner.start()
    with monkeypatch.context() as once:
        once.setattr(rig.runner, "_carry_out", carry_out)
        rig.runner.ask("alice")
        until(lambda: rig.told)
    assert [(run.result, run.code) for run in rig.told] == [("failed", "store_error")]
    monkeypatch.undo()
    rig.runner.ask("alice")  # which the first one is waited for
    until(lambda: rig.runner.working)
    rig.runner.ask("bob")
    monkeypatch.setattr(rig.log, "save", broken)
    rig.runner.stop()
    assert [(run.author, run.result, run.code) for run in rig.told[1:]] == [
        ("bob", "cancelled", "shutdown"), ("alice", "cancelled", "shutdown"),
    ]  # fmt: skip
    monkeypatch.undo()


def test_old_records_go(store: SqliteStore, clock: Clock) -> None:
    log = Log(store, Run)
    old = log.save(Run().end("succeeded", clock()))
    unfinished = log.save(Run())
    clock.ahead(days=401)
    new = log.save(Run().end("succeeded", clock()))
    log.prune(clock())
    assert [run.id for run in log.find()] == [new.id, unfinished.id]
    assert log.get(old.id) is None
    assert log.newest("succeeded") == new
