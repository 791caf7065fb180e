"""A trail that lies on another node, read piece by piece."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from typing import Any

from typing_extensions import Buffer, override

from doorward.sessions.central.questions import MAX_PIECE, TrailPieceQuestion, TrailSizeQuestion


class _RawTrail(io.RawIOBase):
    def __init__(self, ask: Callable[[Any], Any], key: str) -> None:
        self._ask, self._key, self._at = ask, key, 0
        self._size: int = ask(TrailSizeQuestion(key=key))

    @override
    def readable(self) -> bool:
        return True

    @override
    def seekable(self) -> bool:
        return True

    @override
    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        begin = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        self._at = max(0, begin + offset)
        return self._at

    @override
    def readinto(self, buffer: Buffer, /) -> int:
        room = memoryview(buffer)
        size = min(len(room), self._size - self._at, MAX_PIECE)
        if size <= 0:
            return 0
        piece: bytes = self._ask(TrailPieceQuestion(key=self._key, offset=self._at, size=size))
        room[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)


class RemoteTrail(io.BufferedReader):
    """A file of a trail with as many bytes as there were when it was opened. ``ask`` asks the node that has it, and blocks."""

    def __init__(self, ask: Callable[[Any], Any], key: str) -> None:
        super().__init__(_RawTrail(ask, key), MAX_PIECE)
