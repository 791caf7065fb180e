"""Commits wait for their turn in one thread, and what has begun ends whatever becomes of the caller."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest
import structlog

from doorward.transaction import queue
from doorward.transaction.queue import CommitQueue, QueueTimeoutError
from tests.support.server import until
from tests.support.waiting import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def commits() -> Iterator[CommitQueue]:
    made = CommitQueue()
    yield made
    made.close()


class Gate:
    """Work that says when it began and ends when it is let go."""

    def __init__(self) -> None:
        self.began, self.let_go = threading.Event(), threading.Event()
        self.ended = False

    def __call__(self) -> str:
        self.began.set()
        assert self.let_go.wait(PATIENCE)
        self.ended = True
        return "done"


async def began(gate: Gate) -> None:
    assert await asyncio.to_thread(gate.began.wait, 20)


def test_work_is_done_in_the_commit_thread_and_its_result_comes_back(commits: CommitQueue) -> None:
    names = [asyncio.run(commits.run(lambda: threading.current_thread().name)) for _ in range(2)]
    assert names == ["commit_0", "commit_0"]


def test_what_the_work_raises_is_raised_to_its_caller(commits: CommitQueue) -> None:
    def broken() -> None:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        asyncio.run(commits.run(broken))


def test_work_is_done_one_after_another_in_the_order_of_arrival(commits: CommitQueue) -> None:
    log: list[str] = []

    def step(name: str) -> Callable[[], None]:
        def work() -> None:
            log.append(f"{name} begins")
            log.append(f"{name} ends")

        return work

    async def main() -> None:
        gate = Gate()
        first = asyncio.create_task(commits.run(gate))
        await began(gate)
        others = [asyncio.create_task(commits.run(step(str(number)))) for number in range(5)]
        await asyncio.sleep(0)
        assert log == []
        gate.let_go.set()
        await asyncio.gather(first, *others)

    asyncio.run(main())
    assert log == [f"{number} {what}" for number in range(5) for what in ("begins", "ends")]


def test_the_event_loop_goes_on_meanwhile(commits: CommitQueue) -> None:
    async def main() -> int:
        gate, turns = Gate(), 0
        waiting = asyncio.create_task(commits.run(gate))
        await began(gate)
        for _ in range(100):
            await asyncio.sleep(0)
            turns += 1
        gate.let_go.set()
        assert await waiting == "done"
        return turns

    assert asyncio.run(main()) == 100


def test_whoever_waits_too_long_is_turned_away_and_nothing_is_done(commits: CommitQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "WAIT_SECONDS", 0.05)
    done: list[str] = []

    async def main() -> None:
        gate = Gate()
        first = asyncio.create_task(commits.run(gate))
        await began(gate)
        with pytest.raises(QueueTimeoutError):
            await commits.run(lambda: done.append("second"))
        gate.let_go.set()
        assert await first == "done"
        await commits.run(lambda: done.append("third"))

    asyncio.run(main())
    assert done == ["third"]


def test_work_that_has_begun_may_take_longer_than_the_wait(commits: CommitQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "WAIT_SECONDS", 0.05)

    async def main() -> str:
        gate = Gate()
        task = asyncio.create_task(commits.run(gate))
        await began(gate)
        await asyncio.sleep(0.15)
        assert not task.done()
        gate.let_go.set()
        return await task

    assert asyncio.run(main()) == "done"


def test_a_caller_that_goes_away_before_its_turn_leaves_nothing_behind(commits: CommitQueue) -> None:
    done: list[str] = []

    async def main() -> None:
        gate = Gate()
        first = asyncio.create_task(commits.run(gate))
        await began(gate)
        second = asyncio.create_task(commits.run(lambda: done.append("second")))
        await asyncio.sleep(0)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        gate.let_go.set()
        await first
        await commits.run(lambda: done.append("third"))

    asyncio.run(main())
    assert done == ["third"]


def test_a_caller_that_goes_away_later_stops_nothing(commits: CommitQueue) -> None:
    gate = Gate()

    async def main() -> None:
        task = asyncio.create_task(commits.run(gate))
        await began(gate)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        gate.let_go.set()
        await commits.run(lambda: None)

    asyncio.run(main())
    assert gate.ended


def test_work_for_which_nobody_waits_has_its_turn_too(commits: CommitQueue) -> None:
    done = threading.Event()
    commits.later(done.set)
    assert done.wait(PATIENCE)


def test_what_work_raises_that_nobody_waits_for_is_in_the_log(commits: CommitQueue) -> None:
    def broken() -> None:
        raise ValueError("broken")

    with structlog.testing.capture_logs() as records:
        commits.later(broken)
        commits.wait(lambda: None)
        until(lambda: records)
    assert [str(record["exc_info"]) for record in records] == ["broken"]


def test_closing_waits_for_what_runs_and_takes_no_more() -> None:
    commits, gate, never = CommitQueue(), Gate(), threading.Event()
    commits.later(gate)  # type: ignore[arg-type]
    commits.later(never.set)
    assert gate.began.wait(PATIENCE)
    closing = threading.Thread(target=commits.close)
    closing.start()
    gate.let_go.set()
    closing.join(PATIENCE)
    assert not closing.is_alive()
    assert gate.ended
    assert not never.is_set()
    with pytest.raises(RuntimeError):
        commits.later(never.set)


def test_what_is_put_off_is_done_after_the_answer_in_the_commit_thread(commits: CommitQueue) -> None:
    done: list[str] = []

    def work() -> str:
        commits.put_off(lambda: done.append(threading.current_thread().name))
        return "answer"

    async def ask() -> list[str]:
        assert await commits.run(work) == "answer"
        before = list(done)
        assert await commits.run(work) == "answer"
        await asyncio.to_thread(until, lambda: len(done) == 2)
        return before

    assert asyncio.run(ask()) == []
    assert done == ["commit_0"] * 2


def test_threads_that_wait_have_no_loop_and_put_off_as_well(commits: CommitQueue) -> None:
    done: list[int] = []
    commits.wait(lambda: commits.put_off(lambda: done.append(1)))
    until(lambda: done == [1])
    commits.later(lambda: commits.put_off(lambda: done.append(2)))
    until(lambda: done == [1, 2])


def test_what_was_put_off_is_done_when_the_queue_closes_whatever_goes_wrong(commits: CommitQueue) -> None:
    done: list[int] = []

    def work() -> None:
        commits.put_off(lambda: done.append(1))
        commits.put_off(lambda: done.append(1 // 0))
        commits.put_off(lambda: done.append(2))

    with structlog.testing.capture_logs() as logged:
        asyncio.run(commits.run(work))
        commits.close()
    assert done == [1, 2]
    assert [entry["event"] for entry in logged] == ["work that follows from a commit failed"]
