"""The queue of commits: one at a time, in a thread of its own, so that the event loop and all reads go on."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from typing import Any, TypeVar

import structlog

log = structlog.get_logger()

WAIT_SECONDS = 10.0
"""How long a commit may wait for its turn (protocol, section 8.6)."""

_PAUSE_SECONDS = 0.05
"""How long after an answer work is taken up that was put off: by then it has left, and other commits may have come."""

_T = TypeVar("_T")


class QueueTimeoutError(Exception):
    """The turn did not come in time; nothing was done."""


class CommitQueue:
    """Runs blocking work in the commit thread, in order of arrival."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="commit")
        self._put_off = deque[Callable[[], None]]()
        self._is_due = False
        """Whether what was put off is about to be taken up. Only the event loop looks at it."""

    async def run(self, work: Callable[[], _T]) -> _T:
        """Wait for the turn, run the work and return its result. Once begun it ends, whatever becomes of the caller."""
        future = self._thread.submit(copy_context().run, work)  # a span of the commit is one of the request
        result = asyncio.wrap_future(future)
        result.add_done_callback(self._ended)
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
        future = self._thread.submit(work)
        self._thread.submit(self._catch_up)
        return future.result()

    def later(self, work: Callable[[], None]) -> None:
        """Put work into the queue for which nobody waits; what it raises is for the log."""
        self._thread.submit(work).add_done_callback(_tell)
        self._thread.submit(self._catch_up)

    def put_off(self, work: Callable[[], None]) -> None:
        """Do work in the commit thread, where this is called, some moments after the answer, which has not to wait for it."""
        self._put_off.append(work)

    def close(self) -> None:
        """Wait for the commit that runs, do what was put off, and take no more."""
        self._thread.shutdown(wait=True, cancel_futures=True)
        self._catch_up()

    def _ended(self, result: asyncio.Future[Any]) -> None:
        if not result.cancelled():
            # The caller may be gone by now.
            result.exception()
        if self._put_off and not self._is_due:
            self._is_due = True
            result.get_loop().call_later(_PAUSE_SECONDS, self._take_up)

    def _take_up(self) -> None:
        self._is_due = False
        # Closed meanwhile: then it is done.
        with suppress(RuntimeError):
            self._thread.submit(self._catch_up)

    def _catch_up(self) -> None:
        while self._put_off:
            try:
                self._put_off.popleft()()
            except Exception:
                log.exception("work that follows from a commit failed")


def _tell(done: Future[None]) -> None:
    if not done.cancelled() and (error := done.exception()) is not None:
        log.error("work in the commit thread failed", exc_info=error)
