"""How much of bodies this process keeps in memory, of all clients and of each one."""

from __future__ import annotations

MAX_BYTES, MAX_BYTES_OF_SOURCE = 128 << 20, 16 << 20
"""Bytes of bodies whose requests are not answered yet: of all, and of one source."""


class BuffersFullError(Exception):
    """There is no room for the body of a request: 503."""


class BodyBuffers:
    """Counts the bytes of bodies that are kept, by source: the address of a client as far as it counts as one."""

    def __init__(self) -> None:
        self._of: dict[str, int] = {}
        self.total = 0

    def take(self, source: str, size: int) -> bool:
        """Count bytes that came; False, and not counted, where there is no room for them."""
        held = self._of.get(source, 0) + size
        if held > MAX_BYTES_OF_SOURCE or self.total + size > MAX_BYTES:
            return False
        self._of[source] = held
        self.total += size
        return True

    def give_back(self, source: str, size: int) -> None:
        """Count bytes that are not kept any more."""
        self.total -= size
        left = self._of[source] - size
        if left:
            self._of[source] = left
        else:
            del self._of[source]


BUFFERS = BodyBuffers()
"""Those of this process: its memory is one, however many listeners and services there are."""
