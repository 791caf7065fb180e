"""The watch over the machine: every 60 seconds, in a thread of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Protocol

import structlog

from doorward.areas.area import Issue

log = structlog.get_logger()

EVERY_SECONDS = 60.0
_STOP_SECONDS = 2.0


class Watch(Protocol):
    """Something that is looked at."""

    def look(self, now: float) -> None:
        """Look, and raise what is to be raised. ``now`` is monotonic. May block."""

    def issues(self) -> Iterable[Issue]:
        """Return what is wrong by the last look. Never blocks."""


class Monitor:
    """Looks at everything, again and again."""

    def __init__(self, watches: Sequence[Watch], clock: Callable[[], float] = time.monotonic) -> None:
        self.watches, self._clock = list(watches), clock
        self.chores: tuple[Callable[[], object], ...] = ()
        """What else is done every time."""
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="monitor", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(_STOP_SECONDS)

    def look(self) -> None:
        """Look at everything once. A watch that fails leaves the others alone."""
        now = self._clock()
        looks: list[Callable[[], object]] = [partial(watch.look, now) for watch in self.watches]
        for work in (*looks, *self.chores):
            try:
                work()
            except Exception:
                log.exception("the monitor could not look")

    def issues(self) -> Iterator[Issue]:
        """Yield what is wrong."""
        for watch in self.watches:
            yield from watch.issues()

    def _work(self) -> None:
        while not self._stopping.is_set():
            self.look()
            self._stopping.wait(EVERY_SECONDS)
