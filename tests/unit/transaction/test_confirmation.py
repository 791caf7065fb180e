"""Commits that go back by themselves unless they are confirmed, with a clock and a timer that the test moves."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from doorward.transaction import pipeline
from doorward.transaction.confirmation import Confirmations
from doorward.tree import times
from tests.support.server import until
from tests.unit.transaction.failing import FailingStore
from tests.unit.transaction.rig import GROUPS, PASSWORDS, SERVERS, WEB, ZONE, Rig, ip

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

A, B = [ip("198.51.100.1")], [ip("198.51.100.2")]
POOL = [{"selection": "fqdn", "value": "pool.ntp.org"}]


class Clock:
    """Stands in for the module ``time``: ``now`` moves as time passes, ``set`` is by how much the time of day was changed."""

    def __init__(self) -> None:
        self.now = self._began = 1_000_000.0
        self.set = 0.0
        self._moment = time.monotonic() + 3600
        """Ahead of the real one, so that nothing that goes by that takes too long."""

    def time(self) -> float:
        return self.now + self.set

    def monotonic(self) -> float:
        return self._moment + self.now - self._began


class Timer:
    """A timer that goes off when the test says so."""

    running: list[Timer]

    def __init__(self, seconds: float, work: Callable[..., None], given: list[Any]) -> None:
        self.seconds, self.work, self.given = seconds, work, given
        self.daemon = False

    def start(self) -> None:
        self.running.append(self)

    def cancel(self) -> None:
        if self in self.running:
            self.running.remove(self)

    def go_off(self) -> None:
        self.running.remove(self)
        self.work(*self.given)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    for module in (pipeline, times):
        monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(threading, "Timer", Timer)
    Timer.running = []
    return clock


def pending_commit(rig: Rig, *, seconds: int = 60) -> str:
    """A commit that awaits its confirmation; returns its record's id."""
    candidate = rig.candidate()
    rig.put(candidate, SERVERS, A)
    rig.put(candidate, ZONE, "Europe/Budapest")
    record = rig.commit(candidate, user="jane", confirm_seconds=seconds)
    rig.confirmations.load()
    return record.id


def state(rig: Rig, commit_id: str) -> str:
    found = rig.store.commit_record(commit_id)
    assert found is not None
    return found.state


def test_without_a_pending_commit_there_is_nothing_to_wait_for(clock: Clock, rig: Rig) -> None:
    rig.committed((SERVERS, A))
    rig.confirmations.load()
    assert rig.confirmations.pending is None
    assert rig.confirmations.remaining_seconds is None
    assert Timer.running == []


def test_a_pending_commit_is_in_effect_and_counts_down(clock: Clock, rig: Rig) -> None:
    commit_id = pending_commit(rig)
    assert rig.sources() == b"server 198.51.100.1 iburst\n"
    assert state(rig, commit_id) == "awaiting_confirmation"
    assert rig.confirmations.remaining_seconds == 60
    clock.now += 45.6
    assert rig.confirmations.remaining_seconds == 14
    clock.now += 100
    assert rig.confirmations.remaining_seconds == 0
    [timer] = Timer.running
    assert timer.seconds == 60
    assert timer.daemon


def test_a_confirmed_commit_stays(clock: Clock, rig: Rig) -> None:
    commit_id = pending_commit(rig)
    pending = rig.confirmations.pending
    assert pending is not None
    assert (pending.user, pending.revision, pending.commit_id) == ("jane", 2, commit_id)
    rig.confirmations.confirm(pending)
    assert state(rig, commit_id) == "done"
    assert rig.confirmations.pending is None
    assert rig.store.confirmation() is None
    assert Timer.running == []
    clock.now += 1000
    rig.confirmations.go_back()
    assert (rig.number, rig.value(SERVERS)) == (2, A)


def test_a_commit_that_nobody_confirms_goes_back_as_a_revision_of_its_own(clock: Clock, rig: Rig) -> None:
    zone = rig.value(ZONE)
    commit_id = pending_commit(rig)
    clock.now += 60
    Timer.running[0].go_off()
    assert (rig.number, rig.value(SERVERS), rig.value(ZONE)) == (3, POOL, zone)
    assert rig.sources() == b"pool pool.ntp.org iburst maxsources 4\n"
    assert state(rig, commit_id) == "reverted"
    assert rig.confirmations.pending is None
    assert rig.store.confirmation() is None
    head = rig.store.head()
    assert head is not None
    assert (head.author, head.address, head.message) == ("doorward", "", "Revision 2 was not confirmed in time.")
    assert rig.store.check() == []
    assert Timer.running == []


def test_the_deadline_holds_over_a_restart(clock: Clock, rig: Rig) -> None:
    commit_id = pending_commit(rig)
    clock.now += 20
    again = rig.restarted()
    assert again.confirmations.remaining_seconds == 40
    [timer] = Timer.running
    assert timer.seconds == 40
    clock.now += 40
    timer.go_off()
    assert again.value(SERVERS) == POOL
    assert state(again, commit_id) == "reverted"
    again.close()


def test_a_deadline_that_passed_while_nothing_ran_is_kept_at_the_start(clock: Clock, rig: Rig) -> None:
    commit_id = pending_commit(rig)
    clock.now += 3600
    again = rig.restarted()
    assert (again.number, again.value(SERVERS)) == (3, POOL)
    assert again.sources() == b"pool pool.ntp.org iburst maxsources 4\n"
    assert state(again, commit_id) == "reverted"
    assert Timer.running == []
    again.close()


def test_a_return_that_the_host_refuses_is_tried_again(clock: Clock, rig: Rig) -> None:
    commit_id = pending_commit(rig)
    clock.now += 60
    rig.host.fail_at = 0
    Timer.running[0].go_off()
    assert (rig.number, rig.value(SERVERS)) == (2, A)
    assert rig.confirmations.pending is not None
    assert state(rig, commit_id) == "revert_failed"
    rig.host.fail_at = None
    [timer] = Timer.running
    assert 0 < timer.seconds <= 60
    timer.go_off()
    assert (rig.number, rig.value(SERVERS)) == (3, POOL)
    assert state(rig, commit_id) == "reverted"


def test_a_refused_return_is_told_of_and_tried_again_less_and_less_often(clock: Clock, rig: Rig) -> None:
    commit_id = pending_commit(rig)
    clock.now += 60
    rig.host.fail_at = 0
    waits, records = [], len(rig.store.commit_records())
    for _ in range(8):
        Timer.running[0].go_off()
        waits.append(Timer.running[0].seconds)
        assert len(Timer.running) == 1
    assert waits == [30, 60, 120, 240, 480, 600, 600, 600]
    assert len(rig.store.commit_records()) == records + 1, "all tries have one record"
    assert rig.confirmations.failure is not None
    message, path = rig.confirmations.failure
    assert path == f"/api/commits/{commit_id}"
    assert message == rig.confirmations.reason
    assert message.startswith("Revision 2 was not confirmed in time, and the host refuses to go back: ")
    found = rig.store.commit_record(commit_id)
    assert found is not None
    assert found.error is not None
    assert (found.state, found.revision, found.error["restored"]) == ("revert_failed", 2, True)
    assert rig.confirmations.remaining_seconds == 0


def test_a_refused_return_outlives_a_restart(clock: Clock, rig: Rig) -> None:
    commit_id = pending_commit(rig)
    clock.now += 60
    rig.host.fail_at = 0
    Timer.running[0].go_off()
    clock.set = -86400.0
    rig.confirmations.close()
    again = Confirmations(rig.store, rig.pipeline, lambda work: work())
    again.load()
    assert again.failure is not None
    assert state(rig, commit_id) == "revert_failed"
    assert [timer.seconds for timer in Timer.running] == [30]
    rig.host.fail_at = None
    Timer.running[0].go_off()
    assert (state(rig, commit_id), rig.number, rig.value(SERVERS)) == ("reverted", 3, POOL)
    assert again.failure is None


def test_what_runs_can_be_kept_where_the_host_refuses_to_go_back(clock: Clock, rig: Rig) -> None:
    commit_id = pending_commit(rig)
    clock.now += 60
    rig.host.fail_at = 0
    Timer.running[0].go_off()
    pending = rig.confirmations.pending
    assert pending is not None
    rig.confirmations.confirm(pending)
    found = rig.store.commit_record(commit_id)
    assert found is not None
    assert (found.state, found.error, rig.number, rig.value(SERVERS)) == ("done", None, 2, A)
    assert rig.confirmations.failure is None
    assert Timer.running == []


def test_a_refused_return_that_the_store_cannot_note_is_told_of_all_the_same(clock: Clock, tmp_path: Path) -> None:
    rig = Rig(tmp_path, make=FailingStore).started()
    assert isinstance(rig.store, FailingStore)
    commit_id = pending_commit(rig)
    clock.now += 60
    rig.host.fail_at = 0
    rig.store.fails = frozenset({"await_confirmation"})
    Timer.running[0].go_off()
    assert rig.confirmations.failure is not None
    rig.store.fails, rig.host.fail_at = frozenset(), None
    Timer.running[0].go_off()
    assert state(rig, commit_id) == "reverted"
    rig.close()


def nothing_to_take_back(rig: Rig) -> str:
    """A commit that awaits its confirmation; a password that nobody owns stays where it is."""
    candidate = rig.candidate()
    rig.post(candidate, PASSWORDS, {"plain": "correct horse battery"})
    record = rig.commit(candidate, confirm_seconds=60)
    rig.confirmations.load()
    return record.id


@pytest.mark.parametrize("made", [pending_commit, nothing_to_take_back])
@pytest.mark.parametrize("broken", ["begin", "confirmation", "confirmed", "publish", "save_commit_record"])
def test_a_return_that_the_store_refuses_is_tried_again(
    clock: Clock, tmp_path: Path, broken: str, made: Callable[[Rig], str]
) -> None:
    rig = Rig(tmp_path, make=FailingStore).started()
    assert isinstance(rig.store, FailingStore)
    commit_id = made(rig)
    clock.now += 60
    rig.store.fails = frozenset({broken})
    Timer.running[0].go_off()
    rig.store.fails = frozenset()
    for timer in list(Timer.running):
        timer.go_off()
    assert state(rig, commit_id) == "reverted"
    assert rig.value(SERVERS) == POOL
    assert rig.confirmations.pending is None
    assert Timer.running == []
    rig.close()


@pytest.mark.parametrize("years", [-1, 1])
def test_a_clock_that_is_set_changes_nothing_in_the_time_to_confirm(clock: Clock, rig: Rig, years: int) -> None:
    commit_id = pending_commit(rig)
    clock.set = years * 365 * 86400.0
    clock.now += 50
    assert rig.confirmations.remaining_seconds == 10
    clock.now += 10
    (timer,) = Timer.running
    assert timer.seconds == 60
    timer.go_off()
    assert state(rig, commit_id) == "reverted"


@pytest.mark.parametrize("days", [-365, -2, -1 / 24, 365])
def test_a_clock_that_is_set_changes_nothing_over_a_restart_of_the_server(clock: Clock, rig: Rig, days: float) -> None:
    commit_id = pending_commit(rig)
    clock.now += 20
    clock.set = days * 86400.0
    rig.confirmations.close()
    again = Confirmations(rig.store, rig.pipeline, lambda work: work())
    again.load()
    assert again.remaining_seconds == 40
    [timer] = Timer.running
    assert timer.seconds == 40
    timer.go_off()
    assert state(rig, commit_id) == "reverted"


@pytest.mark.parametrize("days", [-365, -2, -1 / 24])
def test_a_clock_that_is_set_back_over_a_boot_keeps_nobody_longer_than_was_left(
    clock: Clock, rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days: float
) -> None:
    """Boot after boot, with a clock that is an hour, or two days, behind."""
    commit_id = pending_commit(rig)

    def loaded() -> Confirmations:
        rig.confirmations.close()
        rig.confirmations = Confirmations(rig.store, rig.pipeline, lambda work: work())
        rig.confirmations.load()
        return rig.confirmations

    clock.set = days * 86400.0
    for boot, left in (("second", 60), ("third", 40)):
        (tmp_path / boot).write_text(f"{boot}\n")
        monkeypatch.setattr(times, "BOOT_ID", tmp_path / boot)
        assert loaded().remaining_seconds == left
        clock.now += 20
        assert loaded().remaining_seconds == left - 20, "a restart within the boot goes on counting"
    clock.now += 40
    loaded()
    assert state(rig, commit_id) == "reverted"


def test_time_that_passed_while_the_machine_was_off_counts(
    clock: Clock, rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pending_commit(rig)
    rig.confirmations.close()
    (tmp_path / "boot").write_text("second\n")
    monkeypatch.setattr(times, "BOOT_ID", tmp_path / "boot")
    clock.now += 50
    again = Confirmations(rig.store, rig.pipeline, lambda work: work())
    again.load()
    assert again.remaining_seconds == 10
    again.close()


def test_a_commit_without_changes_awaits_nothing(clock: Clock, rig: Rig) -> None:
    record = rig.commit(rig.candidate(), confirm_seconds=60)
    rig.confirmations.load()
    assert record.state == "done"
    assert rig.confirmations.pending is None


def test_a_pending_commit_that_leaves_nothing_to_take_back_is_over_too(clock: Clock, rig: Rig) -> None:
    commit_id = nothing_to_take_back(rig)
    clock.now += 60
    Timer.running[0].go_off()
    assert state(rig, commit_id) == "reverted"
    assert rig.confirmations.pending is None
    assert rig.store.confirmation() is None


def test_objects_of_a_pending_commit_go_too(clock: Clock, rig: Rig) -> None:
    candidate = rig.candidate()
    key = rig.post(candidate, GROUPS, {"name": "own"})
    rig.put(candidate, WEB, {"timeout": 5})
    rig.commit(candidate, confirm_seconds=60)
    rig.confirmations.load()
    clock.now += 60
    Timer.running[0].go_off()
    assert rig.value(GROUPS, key) is None
    assert rig.value(WEB) == {"timeout": 10}


def test_the_time_to_confirm_begins_when_the_commit_is_in_effect(clock: Clock, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    apply = rig.host.apply

    def slow(*given: Any, **named: Any) -> None:
        clock.now += 12
        apply(*given, **named)

    monkeypatch.setattr(rig.host, "apply", slow)
    pending_commit(rig, seconds=10)
    assert rig.confirmations.remaining_seconds == 10
    assert (rig.number, rig.value(SERVERS)) == (2, A)


def test_a_real_timer_takes_a_commit_back(rig: Rig) -> None:
    """The smallest time that the API lets through is longer; the pipeline itself has no such limit."""
    pending_commit(rig, seconds=1)
    assert until(lambda: rig.number == 3)
    assert rig.value(SERVERS) == POOL
