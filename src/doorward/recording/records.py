"""What stands in a frame once it is open: records, each with its time, kind, channel and content. Pure.

A record is ``varint time | kind | varint channel | varint length | bytes``; the time is in milliseconds since the record before
it, that of the first in a frame since the session began.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from enum import IntEnum
from typing import Any

from msgspec import Struct

from doorward.recording.format import MAX_BLOCK, TrailDamagedError

MAX_TIME = 1 << 42
"""Milliseconds; about 139 years."""


class RecordKind(IntEnum):
    """What a record tells. ``J``: its content is a JSON object."""

    FACTS = 1
    """J: what became known of the session: users, addresses, methods, algorithms."""
    OPEN = 2
    """J: a channel was opened, or refused: ``type``, ``verdict``, ``rule``, the ends of a forward."""
    REQUEST = 3
    """J: a request on a channel: ``type`` (pty-req, env, shell, exec, subsystem, signal …) and what belongs to it."""
    RESIZE = 4
    """J: ``columns`` and ``rows`` of the terminal from here on."""
    OUTPUT = 5
    """Bytes from the server."""
    ERROR_OUTPUT = 6
    """Bytes from the server's standard error."""
    INPUT = 7
    """Bytes from the client."""
    HIDDEN_INPUT = 8
    """Bytes from the client that the server did not echo, such as passwords: in no export and no index."""
    KEYFRAME = 9
    """The terminal as it is, as output that draws it on an empty one of the same size."""
    FILE = 10
    """J: an operation on a file: ``operation``, ``path``, ``size``, ``sha256``, ``result``, ``file`` (number of kept content)."""
    FILE_CONTENT = 11
    """Content of a file: ``varint number of the file``, then bytes."""
    FORWARD = 12
    """J: a forwarded connection: its ends, bytes each way, digests."""
    FORWARD_DOWN = 13
    """Bytes of a forwarded connection towards the client."""
    FORWARD_UP = 14
    """Bytes of a forwarded connection towards the server."""
    EVENT = 15
    """J: somebody watched, locked, approved, or a policy matched."""
    EXIT = 16
    """J: how the program ended: ``status``, or ``signal``."""
    CLOSE = 17
    """J: the channel is closed: bytes each way."""
    END = 18
    """J: the session is over: ``reason``, ``verdict``."""
    INDEX = 19
    """J: ``channels`` and ``keyframes`` of the whole trail; can be made again from the rest."""


INPUT_KINDS = frozenset({RecordKind.INPUT, RecordKind.HIDDEN_INPUT, RecordKind.FORWARD_UP})
"""What goes under the key of keystrokes."""


class Record(Struct, frozen=True):
    """One record. ``at``: milliseconds since the session began; ``channel`` 0 is the session itself."""

    at: int
    kind: RecordKind
    channel: int
    data: bytes

    @property
    def content(self) -> dict[str, Any]:
        """The JSON object of a kind that has one. Raises TrailDamagedError."""
        try:
            value = json.loads(self.data)
        except (ValueError, RecursionError):
            raise TrailDamagedError("a record is no JSON") from None
        if not isinstance(value, dict):
            raise TrailDamagedError("a record is no object")
        return value


def varint(value: int) -> bytes:
    """Return a number of at least 0, seven bits a byte, the lowest first."""
    encoded = bytearray()
    while value > 0x7F:  # noqa: PLR2004 - seven bits
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """Return the number at an offset, and the offset behind it. Raises TrailDamagedError."""
    value = shift = 0
    while at < len(data) and shift < 63:  # noqa: PLR2004 - nine bytes hold all that are written
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004 - the last byte has no high bit
            return value, at
        shift += 7
    raise TrailDamagedError("a number in a record is cut off")


def encode(record: Record, before: int) -> bytes:
    """Return a record as it stands behind one of the time ``before``; 0 where it is the first of its frame."""
    lead = varint(max(0, record.at - before)) + bytes((record.kind,))
    return lead + varint(record.channel) + varint(len(record.data)) + record.data


def decode(block: bytes) -> Iterator[Record]:
    """Yield the records of an open frame. Kinds that this release does not know are passed over. Raises TrailDamagedError."""
    at = time = 0
    while at < len(block):
        passed, at = read_varint(block, at)
        time += passed
        if at >= len(block) or time > MAX_TIME:
            raise TrailDamagedError("a record is cut off")
        kind = block[at]
        channel, at = read_varint(block, at + 1)
        length, at = read_varint(block, at)
        if length > MAX_BLOCK or at + length > len(block):
            raise TrailDamagedError("a record is cut off")
        if kind in RecordKind._value2member_map_:
            yield Record(time, RecordKind(kind), channel, block[at : at + length])
        at += length


def encode_json(content: dict[str, Any]) -> bytes:
    """Return the content of a record that is a JSON object."""
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


MAX_COLUMNS = 10_000


def terminal_size(content: dict[str, Any]) -> tuple[int, int] | None:
    """Return columns and rows that a request for a terminal, or a resize, names; None: it is none, or names no size."""
    columns, rows = content.get("columns"), content.get("rows")
    if isinstance(columns, int) and isinstance(rows, int) and 0 < columns <= MAX_COLUMNS and 0 < rows <= MAX_COLUMNS:
        return columns, rows
    return None
