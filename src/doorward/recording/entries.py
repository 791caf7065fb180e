"""The entries of a segment of the journal: ``length | crc32 | epoch | offset | name | frame``.

Those of an older epoch behind the newest are left over, and are passed over.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator

from doorward.recording.format import Data

_HEAD = struct.Struct(">IIQQ22s")
_CHECKED = struct.Struct(">IQQ22s")
NAME = re.compile(r"[A-Za-z][A-Za-z0-9]{21}\Z")
"""What the name of a session is, which that of its file begins with."""


def entry(epoch: int, name: str, offset: int, frame: bytes) -> bytes:
    """Return an entry of a segment."""
    checked = zlib.crc32(frame, zlib.crc32(_CHECKED.pack(len(frame), epoch, offset, name.encode())))
    return _HEAD.pack(len(frame), checked, epoch, offset, name.encode()) + frame


def entries(segment: Data) -> Iterator[tuple[int, str, int, bytes]]:
    """Yield the entries of a segment's newest epoch: epoch, name, offset, frame. Ends at the first that is torn or older."""
    at, newest = 0, None
    while at + _HEAD.size <= len(segment):
        length, checked, epoch, offset, raw = _HEAD.unpack(segment[at : at + _HEAD.size])
        frame = bytes(segment[at + _HEAD.size : at + _HEAD.size + length])
        name = raw.decode("ascii", "replace")
        if not length or len(frame) < length or not NAME.match(name) or epoch != (newest or epoch):
            return
        if zlib.crc32(frame, zlib.crc32(_CHECKED.pack(length, epoch, offset, raw))) != checked:
            return
        yield epoch, name, offset, frame
        newest = epoch
        at += _HEAD.size + length
