"""Memory that a crowd of connections took is given back to the machine.

What ended connections leave behind are cycles, which Python looks for late, and holes in the heap, which the C library keeps.
"""

from __future__ import annotations

import gc

from doorward.areas.area import Area
from doorward.areas.worker import Worker
from doorward.listening.http.framed import FramedConnection

_EVERY_SECONDS = 5.0
_MANY = 20
"""So many connections that ended are worth the look, which takes some 30 ms."""


class Memory(Area):
    """Looks every few seconds whether memory can be given back."""

    def __init__(self) -> None:
        self._before = FramedConnection.ended
        self._worker = Worker("memory", self._turn, delay=_EVERY_SECONDS)

    def start(self) -> None:
        """Begin."""
        self._worker.start()

    def stop(self) -> None:
        """End."""
        self._worker.stop()

    def _turn(self) -> float:
        if FramedConnection.ended >= self._before + _MANY:
            self._before = FramedConnection.ended
            gc.collect()
            _trim()
        return _EVERY_SECONDS


def _trim() -> None:
    import ctypes  # takes a moment, and is not needed at the start

    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's; others keep less
    if trim is not None:
        trim(0)
