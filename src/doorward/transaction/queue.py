"""The queue of commits: one at a time, in a thread of its own, so that the event loop and all reads go on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

WAIT_SECONDS = 10.0
"""How long a commit may wait for its turn (protocol, section 8.6)."""

_T = TypeVar("_T")


class QueueTimeout(Exception):
    """The turn did not come in time; nothing was done."""


class CommitQueue:
    """Runs blocking work in the commit thread, in order of arrival."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="commit")

    async def run(self, work: Callable[[], _T]) -> _T:
        """Wait for the turn, run the work and return its result. Once begun it ends, whatever becomes of the caller."""
        loop = asyncio.get_running_loop()
        begun = asyncio.Event()

        def job() -> _T:
            loop.call_soon_threadsafe(begun.set)
            return work()

        future = self._thread.submit(job)
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await begun.wait()
        except TimeoutError:
            if future.cancel():
                raise QueueTimeout from None
        except asyncio.CancelledError:
            future.cancel()
            raise
        return await asyncio.shield(asyncio.wrap_future(future))

    def wait(self, work: Callable[[], _T]) -> _T:
        """Run the work in its turn and return its result, for threads that have the time to wait."""
        return self._thread.submit(work).result()

    def later(self, work: Callable[[], None]) -> None:
        """Put work into the queue for which nobody waits."""
        self._thread.submit(work)

    def close(self) -> None:
        """Wait for the commit that runs and take no more."""
        self._thread.shutdown(wait=True, cancel_futures=True)
