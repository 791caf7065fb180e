"""What protects the packets of one direction: it opens and seals whole packets between buffers, without a copy in Python.

A plain packet lies in a buffer like this (`PLAIN`, `HEAD`)::

    … | sequence number (4) | packet length (4) | padding length (1) | payload | padding
                            ^ HEAD              ^ PLAIN              ^ PAYLOAD

Each class takes the keys of RFC 4253, section 7.2 and owns the counters that come from them. It is used for one direction and one
set of keys, never again.
"""

from __future__ import annotations

from struct import Struct
from typing import Protocol

HEAD = 12
PLAIN = 16
PAYLOAD = 17
UINT32 = Struct(">I")
FORGED = "A packet was damaged or forged on its way"


class Opener(Protocol):
    """Reads packets. ``header``: bytes that show the length; ``block``: what lengths are multiples of; ``tag``: bytes behind."""

    header: int
    block: int
    tag: int
    length_apart: bool
    """Whether the four bytes of the length do not count for the block."""
    is_chained: bool
    """Whether the length is encrypted by chained blocks, so that nothing may be said of it before the code was checked."""

    def length(self, sequence: int, buffer: memoryview, start: int) -> int:
        """Packet length of the packet that starts there. Called once for each packet."""

    def open(self, sequence: int, buffer: memoryview, start: int, length: int, plain: memoryview) -> None:
        """Check and decrypt the packet into ``plain`` from `PLAIN` on; four bytes before ``start`` may be overwritten."""


class Sealer(Protocol):
    """Writes packets."""

    block: int
    tag: int
    length_apart: bool

    def seal(self, sequence: int, plain: memoryview, length: int, out: memoryview, at: int) -> None:
        """Encrypt ``length`` bytes of ``plain`` from `PLAIN` on; the whole packet comes to ``out`` at ``at``."""


class NoCipher:
    """No cipher: until the first keys."""

    header = 4
    block = 8
    tag = 0
    length_apart = False
    is_chained = False

    def length(self, sequence: int, buffer: memoryview, start: int) -> int:
        """See `Opener`."""
        del sequence
        return int(UINT32.unpack_from(buffer, start)[0])

    def open(self, sequence: int, buffer: memoryview, start: int, length: int, plain: memoryview) -> None:
        """See `Opener`."""
        del sequence
        plain[PLAIN : PLAIN + length] = buffer[start + 4 : start + 4 + length]

    def seal(self, sequence: int, plain: memoryview, length: int, out: memoryview, at: int) -> None:
        """See `Sealer`."""
        del sequence
        UINT32.pack_into(out, at, length)
        out[at + 4 : at + 4 + length] = plain[PLAIN : PLAIN + length]
