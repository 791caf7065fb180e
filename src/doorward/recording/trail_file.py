"""A trail as a file that is read in pieces.

Never as a map: whoever writes the file could cut it off, and reading beyond the end of a map ends the process that reads.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Final

from doorward.recording.format import TrailDamagedError

_WINDOW: Final = 1 << 18
"""Bytes that are read at a time."""


class TrailPieces:
    """A trail that is read by ``read(begin, size)``, which returns as many bytes. ``size`` is how many there are."""

    def __init__(self, size: int, read: Callable[[int, int], bytes]) -> None:
        self._size, self._read = size, read
        self._begin, self._window = 0, b""

    def __len__(self) -> int:
        """Return how many bytes it had when it was opened."""
        return self._size

    def __getitem__(self, part: slice, /) -> bytes:
        """Return a part. Raises TrailDamagedError where it has become shorter."""
        begin, end, _ = part.indices(self._size)
        at = begin - self._begin
        if at >= 0 and end - self._begin <= len(self._window):
            return self._window[at : end - self._begin]
        if end - begin > _WINDOW:
            return self._read(begin, end - begin)
        self._begin, self._window = begin, self._read(begin, min(_WINDOW, self._size - begin))
        return self._window[: max(0, end - begin)]


class TrailFile(TrailPieces):
    """What an open file holds at the moment; what is written to it later does not count. The descriptor stays its owner's."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(os.fstat(descriptor).st_size, partial(_pread, descriptor))


def _pread(descriptor: int, begin: int, size: int) -> bytes:
    parts = []
    while size > 0:
        part = os.pread(descriptor, size, begin)
        if not part:
            raise TrailDamagedError("the file became shorter while it was read")
        parts.append(part)
        begin, size = begin + len(part), size - len(part)
    return b"".join(parts)
