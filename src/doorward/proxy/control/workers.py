"""The workers that control is connected to, and which of them gets the next session."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from doorward.proxy.control.ports import WorkerLink
from doorward.proxy.control.session import Session
from doorward.proxy.messages import Message


@dataclass(slots=True, eq=False, repr=False)
class Worker:
    """One worker. ``pid`` is what it says itself."""

    name: str
    pid: int
    link: WorkerLink
    sessions: set[Session] = field(default_factory=set)
    memory: int = 0
    lag: int = 0
    """Milliseconds by which its recording is behind."""
    noted: dict[str, int] = field(default_factory=dict)
    """The last serial of each session that was taken and is not known to be on the disk."""
    strangers: set[str] = field(default_factory=set)
    """Sessions that it has and that control knows nothing of: it was told to end them."""

    def __repr__(self) -> str:
        return f"Worker({self.name})"

    def send(self, message: Message, descriptor: int | None = None) -> bool:
        """Send a message; whether the pipe is open."""
        return self.link.send(message, descriptor)


class Workers:
    """All of them, by name. Lives in the event loop."""

    def __init__(self) -> None:
        self._workers: dict[str, Worker] = {}
        self.banned: set[str] = set()
        """Names of workers that said what none of ours says; they are not talked to any more."""

    def __iter__(self) -> Iterator[Worker]:
        return iter(list(self._workers.values()))

    def __len__(self) -> int:
        return len(self._workers)

    def find(self, name: str) -> Worker | None:
        """Return a worker that control is connected to."""
        return self._workers.get(name)

    def add(self, worker: Worker) -> None:
        """Take a worker in."""
        self._workers[worker.name] = worker

    def remove(self, worker: Worker) -> None:
        """Let go of a worker whose pipe is closed."""
        if self._workers.get(worker.name) is worker:
            del self._workers[worker.name]

    def least_busy(self) -> Worker | None:
        """Return the worker with the fewest sessions; None where there is none at all."""
        return min(self._workers.values(), key=lambda worker: len(worker.sessions), default=None)
