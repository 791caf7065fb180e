"""The workers that control is connected to, and which of them gets the next session."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from doorward.proxy.control.session import WorkerProxy

MAX_WAITING: Final = 256
"""Connections that wait for a first worker."""


class WorkerProxies:
    """All of them, by name. Lives in the event loop."""

    def __init__(self) -> None:
        self._workers: dict[str, WorkerProxy] = {}
        self._come = asyncio.Event()
        self._waiting = 0
        self.banned: set[str] = set()
        """Names of workers that said what none of ours says; they are not talked to any more."""

    def __iter__(self) -> Iterator[WorkerProxy]:
        return iter(list(self._workers.values()))

    def __len__(self) -> int:
        return len(self._workers)

    def find(self, name: str) -> WorkerProxy | None:
        """Return a worker that control is connected to."""
        return self._workers.get(name)

    def add(self, worker: WorkerProxy) -> None:
        """Take a worker in."""
        self._workers[worker.name] = worker
        self._come.set()

    def remove(self, worker: WorkerProxy) -> None:
        """Let go of a worker whose pipe is closed."""
        if self._workers.get(worker.name) is worker:
            del self._workers[worker.name]
            if not self._workers:
                self._come.clear()

    async def wait(self, seconds: float) -> None:
        """Wait for a worker where there is none, as while they are started anew; no longer than this, and with few others."""
        if self._workers or self._waiting >= MAX_WAITING:
            return
        self._waiting += 1
        try:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._come.wait(), seconds)
        finally:
            self._waiting -= 1

    def wake(self) -> None:
        """Let go of whoever waits."""
        self._come.set()

    def least_busy(self) -> WorkerProxy | None:
        """Return the worker with the fewest sessions; None where there is none at all."""
        return min(self._workers.values(), key=lambda worker: len(worker.sessions), default=None)
