"""Threads for what takes long: their number, the share of an owner, and that the end of the node waits for none of them."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest

from doorward.areas.threads import HEAVY, StoppedError, Workers
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.filterwarnings("error")


class Gate:
    """Work that waits until the gate opens, and notes who is inside."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.inside: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.order: list[str] = []
        self._lock = threading.Lock()

    def enter(self, owner: str, name: str = "") -> str:
        with self._lock:
            self.inside[owner] += 1
            self.most[owner] = max(self.most[owner], self.inside[owner])
            self.most["*"] = max(self.most["*"], self.inside.total())
            self.order.append(name)
        self.open.wait(PATIENCE)
        with self._lock:
            self.inside[owner] -= 1
        return name

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():  # noqa: ASYNC110 - threads tell nobody
            await asyncio.sleep(0.005)


def run(work: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(60):
            await work()

    asyncio.run(limited())


def test_heavy_work_has_two_places_for_an_account_of_four() -> None:
    assert (HEAVY._places, HEAVY._places_of_one) == (4, 2)


def test_an_owner_has_its_share_and_others_do_not_wait_for_it() -> None:
    async def work() -> None:
        greedy = [asyncio.ensure_future(workers.run("greedy", gate.enter, "greedy", f"g{n}")) for n in range(20)]
        await gate.until(lambda: gate.inside["greedy"] == 2)
        other = asyncio.ensure_future(workers.run("other", gate.enter, "other", "o"))
        await gate.until(lambda: gate.inside["other"] == 1)
        assert gate.order == ["g0", "g1", "o"]
        gate.open.set()
        assert await asyncio.gather(*greedy, other) == [*(f"g{n}" for n in range(20)), "o"]
        assert gate.most == {"greedy": 2, "other": 1, "*": 3}

    workers, gate = Workers("test", 4, 2), Gate()
    run(work)


def test_all_together_have_no_more_places_than_there_are() -> None:
    async def work() -> None:
        asked = [asyncio.ensure_future(workers.run(str(n % 5), gate.enter, str(n % 5))) for n in range(20)]
        await gate.until(lambda: gate.inside.total() == 4)
        gate.open.set()
        await asyncio.gather(*asked)
        assert gate.most["*"] == 4

    workers, gate = Workers("test", 4, 2), Gate()
    run(work)


def test_who_stops_waiting_keeps_its_place_until_the_work_ends() -> None:
    async def work() -> None:
        first = asyncio.ensure_future(workers.run("a", gate.enter, "a", "first"))
        await gate.until(lambda: gate.inside["a"] == 1)
        waiting = asyncio.ensure_future(workers.run("a", gate.enter, "a", "given up"))
        last = asyncio.ensure_future(workers.run("a", gate.enter, "a", "last"))
        await asyncio.sleep(0)
        first.cancel()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        await asyncio.sleep(0.05)
        assert gate.order == ["first"]
        gate.open.set()
        assert await last == "last"
        assert gate.order == ["first", "last"]

    workers, gate = Workers("test", 4, 1), Gate()
    run(work)


def test_errors_come_through_and_free_the_place() -> None:
    async def work() -> None:
        for _ in range(3):
            with pytest.raises(ZeroDivisionError):
                await workers.run("a", divmod, 1, 0)
        assert await workers.run("a", divmod, 7, 2) == (3, 1)

    workers = Workers("test", 1, 1)
    run(work)


def test_a_stop_ends_every_wait() -> None:
    async def work() -> None:
        asked = [asyncio.ensure_future(workers.run("a", gate.enter, "a")) for _ in range(5)]
        await gate.until(lambda: gate.inside["a"] == 2)
        workers.stop()
        assert {type(found) for found in await asyncio.gather(*asked, return_exceptions=True)} == {StoppedError}
        with pytest.raises(StoppedError):
            await workers.run("b", gate.enter, "b")
        gate.open.set()
        await gate.until(lambda: gate.inside.total() == 0)

    workers, gate = Workers("test", 4, 2), Gate()
    run(work)


def test_the_end_of_the_process_waits_for_no_work() -> None:
    script = (
        "import asyncio, threading\n"
        "from doorward.areas.threads import HEAVY\n"
        "async def main():\n"
        "    begun = asyncio.Event(); loop = asyncio.get_running_loop()\n"
        "    def work(): loop.call_soon_threadsafe(begun.set); threading.Event().wait()\n"
        "    task = asyncio.ensure_future(HEAVY.run('a', work))\n"
        "    await begun.wait(); HEAVY.stop()\n"
        "    print(type((await asyncio.gather(task, return_exceptions=True))[0]).__name__)\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=PATIENCE)
    assert (done.stdout, done.stderr) == ("StoppedError\n", "")
