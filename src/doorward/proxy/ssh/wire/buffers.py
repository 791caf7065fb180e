"""Buffers that all legs of an event loop share. Nothing stays in them between two of its turns."""

from __future__ import annotations

import threading
from typing import Protocol

from doorward.proxy.ssh.wire.packets import MAX_PACKET

READ = 256 * 1024
"""Bytes that are read at once."""
START = 16
"""Where received bytes begin; what is before is scratch for ciphers."""
SLACK = 512
"""More than padding, code and block of any cipher."""


class Owner(Protocol):
    """Whose packets lie in ``out``: a `wire.Wire`."""

    def flush(self) -> None:
        """Send them."""


class Buffers:
    """``received``: what came from a socket; ``plain``: one packet; ``out``: packets for one socket, ``owner``'s."""

    def __init__(self) -> None:
        self.received = memoryview(bytearray(START + MAX_PACKET + READ + SLACK))
        self.plain = memoryview(bytearray(MAX_PACKET + SLACK))
        # For messages of our own, which may be made while `plain` still holds one that is looked at.
        self.own = memoryview(bytearray(MAX_PACKET + SLACK))
        self.out = memoryview(bytearray(2 * MAX_PACKET + SLACK))
        self.at = START
        self.owner: Owner | None = None
        self.depth = 0
        """More than 0 while received packets are handled: what is sent waits for the end of it."""


_LOCAL = threading.local()


def shared() -> Buffers:
    """The buffers of this thread, which runs one event loop."""
    try:
        buffers: Buffers = _LOCAL.buffers
    except AttributeError:
        buffers = _LOCAL.buffers = Buffers()
    return buffers
