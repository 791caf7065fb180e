"""Packets of SFTP, as far as a recording follows them (draft-ietf-secsh-filexfer-02, OpenSSH's PROTOCOL). Pure."""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import Final

from doorward.proxy.ssh.taps.raw import UndecodableError

MAX_PACKET: Final = 1 << 20
"""Bytes of a packet. OpenSSH takes 256 KiB."""
_LENGTH = struct.Struct(">I")
_LONG = struct.Struct(">Q")


class Packet(IntEnum):
    """The types of packets that matter here."""

    INIT = 1
    VERSION = 2
    OPEN = 3
    CLOSE = 4
    READ = 5
    WRITE = 6
    SETSTAT = 9
    FSETSTAT = 10
    OPENDIR = 11
    REMOVE = 13
    MKDIR = 14
    RMDIR = 15
    RENAME = 18
    SYMLINK = 20
    STATUS = 101
    HANDLE = 102
    DATA = 103
    EXTENDED = 200


RESULTS = (
    "ok", "end of file", "no such file", "permission denied", "failure", "bad message", "no connection", "connection lost",
    "not supported",
)  # fmt: skip
"""What a status says, by its number."""


class PacketFields:
    """Reads the fields of a packet, one after the other. Raises UndecodableError beyond its end."""

    def __init__(self, packet: bytes) -> None:
        self._packet, self._at = memoryview(packet), 0

    def byte(self) -> int:
        """Return a byte."""
        return self._take(1)[0]

    def number(self) -> int:
        """Return a uint32."""
        return int(_LENGTH.unpack(self._take(4))[0])

    def long(self) -> int:
        """Return a uint64."""
        return int(_LONG.unpack(self._take(8))[0])

    def string(self) -> bytes:
        """Return a string."""
        return bytes(self._take(self.number()))

    def _take(self, length: int) -> memoryview:
        taken = self._packet[self._at : self._at + length]
        if len(taken) < length:
            raise UndecodableError("a packet is too short for what is in it")
        self._at += length
        return taken


class Buffer:
    """The bytes of one direction, cut into packets."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._done = 0

    def feed(self, data: bytes) -> None:
        """Take what has come."""
        self._bytes += data

    def next(self) -> bytes | None:
        """Return the next packet that is whole, without its length; the one before it is done. Raises UndecodableError."""
        del self._bytes[: self._done]
        self._done = 0
        if len(self._bytes) < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack_from(self._bytes)
        if not 0 < length <= MAX_PACKET:
            raise UndecodableError("no packet begins here")
        end = _LENGTH.size + length
        if end > len(self._bytes):
            return None
        self._done = end
        with memoryview(self._bytes) as view:
            return bytes(view[_LENGTH.size : end])

    def rest(self) -> bytes:
        """Return, once, what is not done: the packet that could not be followed, and what came behind it."""
        rest = bytes(self._bytes)
        self._bytes.clear()
        self._done = 0
        return rest
