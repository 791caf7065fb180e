"""Forwarded TCP connections of a trail as a capture file, for tcpdump, Wireshark and the like.

The trail has what the connections carried, with times; IP and TCP around it are made up: a handshake, a segment for each piece,
acknowledgements, an end. Format: https://datatracker.ietf.org/doc/draft-ietf-opsawg-pcap/, link type RAW.
"""

from __future__ import annotations

import ipaddress
import struct
import sys
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from doorward.recording.reader import TrailReader
from doorward.recording.records import RecordKind

HEAD: Final = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 1 << 18, 101)
MAX_SEGMENT: Final = 32_768
_NAMES: Final = ipaddress.IPv4Network("198.51.100.0/24")
"""Stands for hosts that are known by name alone (RFC 5737)."""
_SYN, _FIN, _ACK, _PUSH = 2, 1, 16, 8
_WINDOW = 65_535
_TCP = 6

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(slots=True)
class _End:
    address: Address
    port: int
    sequence: int = 1000


class _Connection:
    """A connection, from the end that opened it."""

    def __init__(self, opener: _End, acceptor: _End, *, opened_by_client: bool) -> None:
        if opener.address.version != acceptor.address.version:
            opener.address, acceptor.address = _as_6(opener.address), _as_6(acceptor.address)
        self._opener, self._acceptor, self._opened_by_client = opener, acceptor, opened_by_client

    def begin(self) -> Iterator[bytes]:
        yield self._segment(self._opener, self._acceptor, _SYN)
        yield self._segment(self._acceptor, self._opener, _SYN | _ACK)
        yield self._segment(self._opener, self._acceptor, _ACK)

    def data(self, data: bytes, *, down: bool) -> Iterator[bytes]:
        source, target = self._opener, self._acceptor
        if down is self._opened_by_client:
            source, target = target, source
        for at in range(0, len(data), MAX_SEGMENT):
            yield self._segment(source, target, _PUSH | _ACK, data[at : at + MAX_SEGMENT])

    def end(self) -> Iterator[bytes]:
        yield self._segment(self._opener, self._acceptor, _FIN | _ACK)
        yield self._segment(self._acceptor, self._opener, _FIN | _ACK)
        yield self._segment(self._opener, self._acceptor, _ACK)

    def _segment(self, source: _End, target: _End, flags: int, data: bytes = b"") -> bytes:
        acknowledged = target.sequence if flags & _ACK else 0
        numbers = source.port, target.port, source.sequence & 0xFFFFFFFF, acknowledged & 0xFFFFFFFF
        source.sequence += len(data) + bool(flags & (_SYN | _FIN))
        size = 20 + len(data)
        ends = source.address.packed + target.address.packed
        head = struct.pack(">HHIIBBHHH", *numbers, 5 << 4, flags, _WINDOW, 0, 0)
        checked = _checksum(ends + struct.pack(">II", size, _TCP) + head + data)
        return self._packet(ends, head[:16] + struct.pack(">H", checked) + head[18:] + data)

    def _packet(self, ends: bytes, segment: bytes) -> bytes:
        if self._opener.address.version == 6:  # noqa: PLR2004 - IP's
            return struct.pack(">IHBB", 6 << 28, len(segment), _TCP, 64) + ends + segment
        head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(segment), 0, 0, 64, _TCP, 0)
        return head[:10] + struct.pack(">H", _checksum(head + ends)) + ends + segment


class Capture:
    """The capture of a trail. ``names`` has, once all was taken, which address stands for which name; ``count`` connections."""

    def __init__(self, reader: TrailReader) -> None:
        self._reader = reader
        self.names: dict[str, Address] = {}
        self.count = 0

    def pieces(self) -> Iterator[bytes]:
        """Yield the file, piece by piece. Raises TrailDamagedError."""
        yield HEAD
        began = datetime.fromisoformat(str(self._reader.header["started"])).timestamp()
        open_ones: dict[int, _Connection] = {}
        for record in self._reader.records():
            packets: Iterator[bytes] = iter(())
            connection = open_ones.get(record.channel)
            if record.kind is RecordKind.OPEN:
                made = self._connection(record.content)
                if made is not None:
                    open_ones[record.channel] = made
                    packets = made.begin()
            elif connection is None:
                continue
            elif record.kind in {RecordKind.FORWARD_DOWN, RecordKind.FORWARD_UP}:
                packets = connection.data(record.data, down=record.kind is RecordKind.FORWARD_DOWN)
            elif record.kind is RecordKind.CLOSE:
                packets = connection.end()
                del open_ones[record.channel]
            micros = round((began + record.at / 1000) * 1_000_000)
            for packet in packets:
                yield struct.pack("<IIII", micros // 1_000_000, micros % 1_000_000, len(packet), len(packet)) + packet

    def _connection(self, opened: dict[str, Any]) -> _Connection | None:
        """Return a connection of an opening; None: it is no TCP connection, or none that was let through."""
        kind, port = opened.get("kind"), _port(opened.get("port"))
        if kind not in {"direct-tcpip", "forwarded-tcpip"} or opened.get("verdict") != "accept" or port is None:
            return None
        self.count += 1
        opener = _End(self._address(opened.get("originator")), _port(opened.get("originator_port")) or 0)
        acceptor = _End(self._address(opened.get("host")), port)
        return _Connection(opener, acceptor, opened_by_client=kind == "direct-tcpip")

    def _address(self, host: object) -> Address:
        name = str(host)
        try:
            return ipaddress.ip_address(ipaddress.ip_address(name).packed)  # without its zone
        except ValueError:
            return self.names.setdefault(name, _NAMES[1 + len(self.names) % 254])


def _port(value: object) -> int | None:
    return value if isinstance(value, int) and 0 <= value < 1 << 16 else None


def _as_6(address: Address) -> Address:
    return (
        ipaddress.IPv6Address(b"\0" * 10 + b"\xff\xff" + address.packed)
        if isinstance(address, ipaddress.IPv4Address)
        else address
    )


def _checksum(data: bytes) -> int:
    """Return the checksum of the Internet (RFC 1071)."""
    words = array("H", data + b"\0" * (len(data) % 2))
    if sys.byteorder == "little":
        words.byteswap()
    total = sum(words)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
