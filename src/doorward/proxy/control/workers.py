"""The workers that control is connected to, and which of them gets the next session."""

from __future__ import annotations

from collections.abc import Iterator

from doorward.proxy.control.session import WorkerProxy


class WorkerProxies:
    """All of them, by name. Lives in the event loop."""

    def __init__(self) -> None:
        self._workers: dict[str, WorkerProxy] = {}
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

    def remove(self, worker: WorkerProxy) -> None:
        """Let go of a worker whose pipe is closed."""
        if self._workers.get(worker.name) is worker:
            del self._workers[worker.name]

    def least_busy(self) -> WorkerProxy | None:
        """Return the worker with the fewest sessions; None where there is none at all."""
        return min(self._workers.values(), key=lambda worker: len(worker.sessions), default=None)
