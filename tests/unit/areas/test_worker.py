"""Background work: turns, pauses, errors, the end."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from typing import Any

import pytest
from structlog.testing import capture_logs

from doorward.areas import worker
from doorward.areas.worker import Turn, Worker
from tests.support.waiting import PATIENCE

Make = Callable[..., Worker]
_LONG = 3600.0


@pytest.fixture
def started() -> Iterator[Make]:
    made: list[Worker] = []

    def make(turn: Turn, **how: Any) -> Worker:
        made.append(Worker("test", turn, stop_seconds=None, **how))
        made[-1].start()
        return made[-1]

    yield make
    for one in made:
        one.stop()


def test_turns_follow_one_another(started: Make) -> None:
    turns: SimpleQueue[str] = SimpleQueue()

    def turn() -> float:
        turns.put(threading.current_thread().name)
        return 0.0

    started(turn)
    assert [turns.get() for _ in range(3)] == ["test"] * 3


def test_work_is_done_where_nobody_may_be_nicer(started: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_by: int) -> int:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "nice", refused)
    turns: SimpleQueue[None] = SimpleQueue()

    def turn() -> None:
        turns.put(None)

    started(turn, niceness=10)
    turns.get(timeout=PATIENCE)


@pytest.mark.parametrize("pause", [None, _LONG])
def test_a_pause_lasts_until_somebody_wakes_the_worker(started: Make, pause: float | None) -> None:
    turns: SimpleQueue[None] = SimpleQueue()

    def turn() -> float | None:
        turns.put(None)
        return pause

    work = started(turn, delay=None)
    assert turns.empty()
    for _ in range(3):
        work.wake()
        turns.get()
        assert turns.empty()


def test_who_is_woken_during_a_turn_takes_another_one(started: Make) -> None:
    turns: SimpleQueue[bool] = SimpleQueue()

    def turn() -> None:
        work.wake()
        turns.put(work.is_woken)

    work = Worker("test", turn)
    work.start()
    assert (turns.get(), turns.get()) == (True, True)
    work.stop()  # it would never rest


def test_an_error_is_logged_and_the_work_goes_on(started: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "_FIRST_PAUSE_SECONDS", 0.0)
    turns: SimpleQueue[int] = SimpleQueue()
    taken = 0

    def turn() -> None:
        nonlocal taken
        taken += 1
        turns.put(taken)
        if taken < 3:
            raise ValueError("something unforeseen")

    with capture_logs() as logs:
        work = started(turn)
        assert [turns.get() for _ in range(3)] == [1, 2, 3]
        work.stop()
    assert [(log["event"], log["worker"], log["log_level"]) for log in logs] == [("background work failed", "test", "error")] * 2


def test_pauses_after_errors_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    rests: SimpleQueue[float] = SimpleQueue()

    def turn() -> None:
        raise ValueError

    def rest(seconds: float) -> bool:
        rests.put(seconds)
        if seconds == 30.0:
            work.stop(wait=False)
        return False

    work = Worker("test", turn)
    monkeypatch.setattr(work, "rest", rest)
    work.start()
    assert [rests.get() for _ in range(6)] == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0]
    work.stop()


def test_the_end_cuts_pauses_and_rests_short(started: Make) -> None:
    resting, rested = threading.Event(), SimpleQueue[bool]()

    def turn() -> float:
        resting.set()
        rested.put(work.rest(_LONG))
        return _LONG

    work = started(turn, delay=None)
    work.wake()
    resting.wait()
    work.wake()  # by which a rest is not cut short
    assert rested.empty()
    work.stop()
    assert rested.get() is True
    assert work.is_stopping


def test_what_waits_still_has_its_turn_at_the_end() -> None:
    waiting, done = [1, 2], list[int]()

    def turn() -> None:
        while waiting:
            done.append(waiting.pop(0))

    work = Worker("test", turn, delay=None, last_turn=True, stop_seconds=None)
    work.start()
    work.stop()
    assert done == [1, 2]


def test_one_that_was_never_started_can_be_stopped() -> None:
    Worker("test", lambda: None).stop()
