"""Memory that a crowd of connections took is given back to the machine.

What ended connections leave behind are cycles, which Python looks for late, and holes in the heap, which the C library keeps.
"""

from __future__ import annotations

import asyncio
import gc

from doorward.listening.http.framed import FramedConnection

_EVERY_SECONDS = 5.0
_MANY = 20
"""So many connections that ended are worth the look, which takes some 30 ms."""


async def give_back_memory() -> None:
    """Look every few seconds, without end, whether memory can be given back."""
    before = FramedConnection.ended
    while True:
        await asyncio.sleep(_EVERY_SECONDS)
        if FramedConnection.ended >= before + _MANY:
            before = FramedConnection.ended
            gc.collect()
            await asyncio.to_thread(_trim)


def _trim() -> None:
    import ctypes  # takes a moment, and is not needed at the start

    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's; others keep less
    if trim is not None:
        trim(0)
