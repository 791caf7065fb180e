"""Memory that a crowd of connections, a backup or a restore took is given back to the machine.

What work leaves behind are cycles, which Python looks for late, and holes in the heap, which the C library keeps.
"""

from __future__ import annotations

import gc
from itertools import chain, repeat

from doorward.areas.area import Area
from doorward.areas.resident import resident_bytes
from doorward.areas.worker import Worker

_SETTLED_SECONDS = 1.0
"""After so long a start is over, its connections included."""
_EVERY_SECONDS = 5.0
_MAX_SECONDS = 40.0
_MUCH = 12 << 20
"""Bytes more than what is needed for long are worth looks, of which each takes some 30 ms."""
_MAX_LOOKS = 30
"""After so many looks in some twenty minutes, what is still held is needed."""


class Memory(Area):
    """Looks every few seconds whether memory can be given back."""

    def __init__(self) -> None:
        self._needed = resident_bytes()
        self._looks = 0
        self._turns = chain((self._settle,), repeat(self._turn))
        self._worker = Worker("memory", self._take_turn, delay=_SETTLED_SECONDS)

    def start(self) -> None:
        """Begin."""
        self._worker.start()

    def stop(self) -> None:
        """End."""
        self._worker.stop()

    def _take_turn(self) -> float:
        return next(self._turns)()

    def _settle(self) -> float:
        """Give back what the start left behind."""
        _give_back()
        return _EVERY_SECONDS

    def _turn(self) -> float:
        """Give back what can be, again and again while much is held: the work that took it may still go on."""
        if resident_bytes() <= self._needed + _MUCH:
            self._looks = 0
            return _EVERY_SECONDS
        _give_back()
        self._looks += 1
        if self._looks >= _MAX_LOOKS:
            self._needed, self._looks = resident_bytes(), 0
        return float(min(_EVERY_SECONDS * 2**self._looks, _MAX_SECONDS))


def _give_back() -> None:
    """Collect everything. What lives on is left out by Python's own looks, but not by the next of ours: it may have died."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    _trim()


def _trim() -> None:
    import ctypes  # takes a moment, and is not needed at the start

    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's; others keep less
    if trim is not None:
        trim(0)
