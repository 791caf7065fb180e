"""The queue of commits: one at a time, in a thread of its own, so that the event loop and all reads go on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import structlog

log = structlog.get_logger()

WAIT_SECONDS = 10.0
"""How long a commit may wait for its turn (protocol, section 8.6)."""

_T = TypeVar("_T")


class QueueTimeoutError(Exception):
    """The turn did not come in time; nothing was done."""


class CommitQueue:
    """Runs blocking work in the commit thread, in order of arrival."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="commit")

    async def run(self, work: Callable[[], _T]) -> _T:
        """Wait for the turn, run the work and return its result. Once begun it ends, whatever becomes of the caller."""
        future = self._thread.submit(work)
        result = asyncio.wrap_future(future)
        result.add_done_callback(lambda ended: ended.cancelled() or ended.exception())  # the caller may be gone by then
        try:
            done, _ = await asyncio.wait((result,), timeout=WAIT_SECONDS)
            if not done and future.cancel():
                raise QueueTimeoutError
            return await asyncio.shield(result)
        except asyncio.CancelledError:
            future.cancel()
            raise

    def wait(self, work: Callable[[], _T]) -> _T:
        """Run the work in its turn and return its result, for threads that have the time to wait."""
        return self._thread.submit(work).result()

    def later(self, work: Callable[[], None]) -> None:
        """Put work into the queue for which nobody waits; what it raises is for the log."""
        self._thread.submit(work).add_done_callback(_tell)

    def close(self) -> None:
        """Wait for the commit that runs and take no more."""
        self._thread.shutdown(wait=True, cancel_futures=True)


def _tell(done: Future[None]) -> None:
    if not done.cancelled() and (error := done.exception()) is not None:
        log.error("work in the commit thread failed", exc_info=error)
