"""The files that a session copied, as the trail tells of them, and what it kept of their contents."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from doorward.recording.format import Stream
from doorward.recording.reader import TrailReader
from doorward.recording.records import RecordKind, read_varint


class Transfer(Struct, frozen=True):
    """An operation on a file. ``number`` counts them from 1; ``kept`` is the number of its contents in the trail, None: none.

    ``at``: ms since the session began. What is not known is None or "".
    """

    number: int
    channel: int
    at: int
    operation: str
    path: str
    size: int | None
    sha256: str
    result: str
    kept: int | None


def transfers(reader: TrailReader) -> Iterator[Transfer]:
    """Yield what a session did with files, in order. Reads the whole trail. Raises TrailDamagedError."""
    number = 0
    for record in reader.records(Stream.SCREEN):
        if record.kind is RecordKind.FILE:
            number += 1
            content = record.content
            size, kept = content.get("size"), content.get("file")
            yield Transfer(
                number=number,
                channel=record.channel,
                at=record.at,
                operation=_text(content.get("operation")),
                path=_text(content.get("path")),
                size=size if isinstance(size, int) and 0 <= size < 1 << 63 else None,
                sha256=_text(content.get("sha256")),
                result=_text(content.get("result")),
                kept=kept if isinstance(kept, int) else None,
            )


def _text(value: object) -> str:
    """Return a value as text that every encoding has; "" for none."""
    return "" if value is None else str(value).encode("utf-8", "replace").decode()


def contents(reader: TrailReader, kept: int) -> Iterator[bytes]:
    """Yield the contents of a file that the trail kept, by their number. Reads the whole trail. Raises TrailDamagedError."""
    for record in reader.records(Stream.SCREEN):
        if record.kind is RecordKind.FILE_CONTENT:
            number, at = read_varint(record.data, 0)
            if number == kept:
                yield record.data[at:]
