"""Puts the last seal behind a trail that was closed while control was away."""

from __future__ import annotations

import mmap
import os
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from doorward.recording.format import NO_FLAGS, Stream, TrailDamagedError, first_chain, frame_head, frames, read_beginning
from doorward.recording.records import encode_json


def add_seal(path: Path, note: Mapping[str, Any], frame: int, chain: bytes) -> bool:
    """Append a seal over everything up to a frame, durable on return; whether the trail still ends there. Raises OSError."""
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        at = _end(descriptor, frame, chain)
        if at is None:
            return False
        payload = encode_json(dict(note))
        whole = frame_head(len(payload), Stream.CLEAR, NO_FLAGS, at) + payload
        view = memoryview(whole)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
        return True
    finally:
        os.close(descriptor)


def _end(descriptor: int, number: int, chain: bytes) -> int | None:
    """Return the time of the last frame, if it is the one that the seal is for; None: it is not."""
    with mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ) as data:
        try:
            _, begin = read_beginning(data)
            found = deque(frames(data, begin, first_chain(bytes(data[:begin]))), maxlen=1)
        except TrailDamagedError:
            return None
        if not found or found[0].number != number or found[0].next_chain != chain or found[0].end != len(data):
            return None
        return found[0].at
