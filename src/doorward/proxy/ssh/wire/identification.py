"""Who the peer of a leg says it is: the first line of a connection (RFC 4253, section 4.2)."""

from __future__ import annotations

from doorward.proxy.ssh.wire.errors import ProtocolViolationError

MAX_LINE = 255
"""Bytes of an identification, line end included."""
MAX_LINES = 50
MAX_GREETING = 16 * 1024
"""Lines and bytes that a server may send before its identification."""


class Identification:
    """Looks for the line. ``lines_first``: others may come before it."""

    __slots__ = ("_greeting", "_lines")

    def __init__(self, *, lines_first: bool) -> None:
        self._lines = MAX_LINES if lines_first else 0
        self._greeting = 0

    def take(self, data: bytes) -> tuple[bytes | None, int]:
        """Return the line, None where it has not come, and how many of the bytes are done with. Raises ProtocolViolationError."""
        start = 0
        while True:
            cut = data.find(b"\n", start, start + MAX_GREETING)
            if cut < 0:
                if len(data) - start > (MAX_GREETING if self._lines else MAX_LINE):
                    raise ProtocolViolationError("No SSH identification came")
                return None, start
            line = data[start:cut].removesuffix(b"\r")
            length = cut - start
            start = cut + 1
            if line.startswith(b"SSH-"):
                if len(line) > MAX_LINE:
                    raise ProtocolViolationError("The SSH identification is too long")
                return line, start
            self._lines -= 1
            self._greeting += length
            if self._lines < 0 or self._greeting > MAX_GREETING:
                raise ProtocolViolationError("What came first was no SSH identification")
