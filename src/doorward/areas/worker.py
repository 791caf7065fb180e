"""Background work: a thread that takes one turn after the other, goes on after an error, and ends when it is told to."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress

import structlog

log = structlog.get_logger()

_FIRST_PAUSE_SECONDS, _MAX_PAUSE_SECONDS = 1.0, 30.0
"""How long nothing is done after an error: twice as long after each further one."""

Turn = Callable[[], float | None]
"""Does what is to be done now; returns after how many seconds its next turn comes, None: when somebody wakes the worker."""


class Worker:
    """A thread of its own for a turn that is taken again and again. All methods may be called in any thread.

    What a turn raises is logged; after a pause the next turn comes. ``delay``: seconds before the first turn. ``last_turn``: one
    more turn is taken when the worker is told to end, for what still waits. ``niceness``: that of the thread, which is what Linux
    changes, and of the programs that it starts. ``stop_seconds``: how long ``stop`` waits for the end; None: for as long as it
    takes.
    """

    def __init__(
        self,
        name: str,
        turn: Turn,
        *,
        delay: float | None = 0.0,
        last_turn: bool = False,
        niceness: int = 0,
        stop_seconds: float | None = 5.0,
    ) -> None:
        self.name = name
        self._turn, self._delay, self._last_turn = turn, delay, last_turn
        self._niceness, self._stop_seconds = niceness, stop_seconds
        self._wake, self._stop = threading.Event(), threading.Event()
        self._failures = 0
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)

    @property
    def is_stopping(self) -> bool:
        """Whether the worker was told to end. A long turn looks now and then."""
        return self._stop.is_set()

    @property
    def is_woken(self) -> bool:
        """Whether somebody woke the worker since its turn began."""
        return self._wake.is_set()

    @property
    def is_current(self) -> bool:
        """Whether the thread that asks is the worker's."""
        return threading.current_thread() is self._thread

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wake(self) -> None:
        """Have the next turn taken at once; after the one that is going on, if there is one."""
        self._wake.set()

    def rest(self, seconds: float) -> bool:
        """Wait within a turn; return whether the worker is to end, which cuts the wait short. To wake it does not."""
        return self._stop.wait(seconds)

    def stop(self, *, wait: bool = True) -> None:
        """Have the worker end after its turn, and wait for that. Does nothing where it was never started."""
        self._stop.set()
        self._wake.set()
        if wait and self._thread.is_alive() and not self.is_current:
            self._thread.join(self._stop_seconds)

    def _work(self) -> None:
        if self._niceness:
            # A courtesy: where a filter of system calls forbids it, the work is done all the same.
            with suppress(OSError):
                os.nice(self._niceness)
        pause = self._delay
        while self._waited(pause):
            pause = self._take_turn()
        if self._last_turn:
            self._take_turn()

    def _waited(self, pause: float | None) -> bool:
        """Wait for the next turn; return whether there is to be one."""
        if pause is None or pause > 0:
            self._wake.wait(None if pause is None else min(pause, threading.TIMEOUT_MAX))
        self._wake.clear()  # before the turn: who wakes the worker from now on has it take another one
        return not self.is_stopping

    def _take_turn(self) -> float | None:
        try:
            pause = self._turn()
        except Exception:
            log.exception("background work failed", worker=self.name)
            self.rest(min(_FIRST_PAUSE_SECONDS * 2**self._failures, _MAX_PAUSE_SECONDS))
            self._failures = min(self._failures + 1, 10)
            return 0.0
        self._failures = 0
        return pause
