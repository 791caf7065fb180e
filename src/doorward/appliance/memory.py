"""Memory that a crowd of connections, a backup or a restore took is given back to the machine.

What work leaves behind are cycles, which Python looks for late, and holes in the heap, which the C library keeps.
"""

from __future__ import annotations

import gc

from doorward.areas.area import Area
from doorward.areas.resident import resident_bytes
from doorward.areas.worker import Worker

_EVERY_SECONDS = 5.0
_MUCH = 16 << 20
"""Bytes more than after the last time are worth the look, which takes some 30 ms."""


class Memory(Area):
    """Looks every few seconds whether memory can be given back."""

    def __init__(self) -> None:
        self._before = 0
        self._worker = Worker("memory", self._turn, delay=_EVERY_SECONDS)

    def start(self) -> None:
        """Begin."""
        self._worker.start()

    def stop(self) -> None:
        """End."""
        self._worker.stop()

    def _turn(self) -> float:
        if resident_bytes() > self._before + _MUCH:
            gc.collect()
            _trim()
            self._before = resident_bytes()
        return _EVERY_SECONDS


def _trim() -> None:
    import ctypes  # takes a moment, and is not needed at the start

    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's; others keep less
    if trim is not None:
        trim(0)
