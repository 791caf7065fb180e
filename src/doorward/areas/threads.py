"""Threads for work of requests that takes long, so that nobody else waits for it: heavy computing, and other machines.

They are no threads of an executor, which the end of the process would wait for: what is unfinished then is given up, as by a
``kill -9``.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any, ParamSpec, TypeVar

_Given = ParamSpec("_Given")
_T = TypeVar("_T")


class StoppedError(Exception):
    """The node stops before the work is done."""


class _Job:
    def __init__(self, owner: str, work: Callable[[], Any]) -> None:
        self.owner, self._work, self._context = owner, work, contextvars.copy_context()
        self.done: Future[Any] = Future()

    def carry_out(self) -> None:
        if not self.done.set_running_or_notify_cancel():
            return
        try:
            result = self._context.run(self._work)
        except BaseException as error:  # noqa: BLE001 - for whoever waits
            self.fail(error)
        else:
            if not self.done.done():
                self.done.set_result(result)

    def fail(self, error: BaseException) -> None:
        if not self.done.done():
            self.done.set_exception(error)


class Workers:
    """Does ``places`` works at a time, ``places_of_one`` of them for the same owner; others wait, who came first is first."""

    def __init__(self, name: str, places: int, places_of_one: int) -> None:
        self._name, self._places, self._places_of_one = name, places, places_of_one
        self._lock = threading.RLock()
        self._waiting: list[_Job] = []
        self._running: list[_Job] = []
        self._stopped = False

    async def run(self, owner: str, work: Callable[_Given, _T], *given: _Given.args, **named: _Given.kwargs) -> _T:
        """Do blocking work and return its result. Who stops waiting gives its place back when the work ends. StoppedError."""
        job = _Job(owner, partial(work, *given, **named))
        with self._lock:
            if self._stopped:
                raise StoppedError
            self._waiting.append(job)
            self._begin()
        found: _T = await asyncio.wrap_future(job.done)
        return found

    def stop(self) -> None:
        """End every wait; what runs goes on, but nobody waits for it, the end of the process neither."""
        with self._lock:
            self._stopped = True
            for job in [*self._waiting, *self._running]:
                job.fail(StoppedError())
            self._waiting.clear()

    def _begin(self) -> None:
        """Begin what there is a place for."""
        with self._lock:
            self._waiting = [job for job in self._waiting if not job.done.cancelled()]
            busy = Counter(job.owner for job in self._running)
            for job in list(self._waiting):
                if len(self._running) >= self._places:
                    return
                if busy[job.owner] < self._places_of_one:
                    busy[job.owner] += 1
                    self._waiting.remove(job)
                    self._running.append(job)
                    threading.Thread(target=self._work, args=(job,), name=self._name, daemon=True).start()

    def _work(self, job: _Job) -> None:
        try:
            job.carry_out()
        finally:
            with self._lock:
                self._running.remove(job)
                self._begin()


HEAVY = Workers("heavy", places=4, places_of_one=2)
"""Key generation, OpenPGP, archives. The owner is an account."""
SEARCH = Workers("search", places=4, places_of_one=2)
"""Looks through recorded sessions. The owner is an account."""
REMOTE = Workers("remote", places=8, places_of_one=8)
"""What waits for other machines."""


async def call_remote(work: Callable[_Given, _T], *given: _Given.args, **named: _Given.kwargs) -> _T:
    """Do blocking work that depends on another machine, and return its result. Raises StoppedError."""
    return await REMOTE.run("", work, *given, **named)


def stop() -> None:
    """End every wait for work, because the node stops."""
    HEAVY.stop()
    SEARCH.stop()
    REMOTE.stop()
