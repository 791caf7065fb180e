"""The watch over the machine: every 60 seconds, in a thread of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

import structlog

from doorward.areas.area import Area, Issue
from doorward.areas.worker import Worker

log = structlog.get_logger()

EVERY_SECONDS = 60.0
_STOP_SECONDS = 2.0


class MonitorWatch(Protocol):
    """Something that is looked at."""

    def look(self, now: float) -> None:
        """Look, and raise what is to be raised. ``now`` is monotonic. May block."""

    def issues(self) -> Iterable[Issue]:
        """Return what is wrong by the last look. Never blocks."""


class Monitor(Area):
    """Looks at everything, again and again."""

    def __init__(self, watches: Sequence[MonitorWatch], clock: Callable[[], float] = time.monotonic) -> None:
        self.watches, self._clock = list(watches), clock
        self._worker = Worker("monitor", self._turn, stop_seconds=_STOP_SECONDS)

    def start(self) -> None:
        """Begin to look."""
        self._worker.start()

    def stop(self) -> None:
        """Look no more."""
        self._worker.stop()

    def look(self) -> None:
        """Look at everything once. A watch that fails leaves the others alone."""
        now = self._clock()
        for watch in self.watches:
            try:
                watch.look(now)
            except Exception:
                log.exception("the monitor could not look")

    def issues(self) -> Iterator[Issue]:
        """Yield what is wrong."""
        for watch in self.watches:
            yield from watch.issues()

    def _turn(self) -> float:
        self.look()
        return EVERY_SECONDS
