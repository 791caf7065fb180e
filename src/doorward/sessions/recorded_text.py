"""The text of a session out of its trail: what its worker had not told of when it died is found by it all the same."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import structlog

from doorward.recording.channels import channels
from doorward.recording.export import transcript
from doorward.recording.format import Stream, TrailDamagedError
from doorward.recording.reader import TrailReader
from doorward.recording.records import Record, RecordKind
from doorward.sessions.catalogue.rows import IndexLine, SessionRow
from doorward.sessions.rules import TEXT_KINDS
from doorward.sessions.trails import EncryptedTrailError, TrailMissingError, Trails

MAX_TEXT: Final = 4 << 20
"""Characters of a session: what a worker may tell of a channel at once."""

log = structlog.get_logger()


def recorded_text(trails: Trails, row: SessionRow) -> list[tuple[int, list[IndexLine]]]:
    """Return the lines for the index, channel by channel: commands, operations on files, and what terminals showed.

    Only what the policy of the session wants, and nothing of a trail that can't be read here. What programs without a terminal
    put out is left out. Blocks.
    """
    wanted = TEXT_KINDS.get(row.text, frozenset())
    found: dict[int, list[IndexLine]] = {}
    if not wanted or not row.trail or not trails.may_read(row):
        return []
    left = MAX_TEXT
    try:
        with trails.reading(row) as reader:
            for channel, line in _lines(reader, has_screen="screen" in wanted):
                left -= len(line.text)
                if left < 0:
                    break
                if line.kind in wanted:
                    found.setdefault(channel, []).append(line)
    except (TrailMissingError, EncryptedTrailError):
        return []
    except (TrailDamagedError, OSError) as error:
        log.warning("the text of a session can't be read to its end", session=row.session_id, reason=str(error))
    return list(found.items())


def _lines(reader: TrailReader, *, has_screen: bool) -> Iterator[tuple[int, IndexLine]]:
    for record in reader.records(Stream.SCREEN):
        if (line := _told(record)) is not None:
            yield record.channel, line
    if not has_screen:
        return
    for channel in channels(reader.records(Stream.SCREEN)).values():
        if channel.terminal:
            last = ""
            for at, text in transcript(reader, channel.number):
                if text and text != last:
                    yield channel.number, IndexLine(at, "screen", text)
                last = text


def _told(record: Record) -> IndexLine | None:
    """Return the line that a record stands for."""
    if record.kind is RecordKind.EVENT and record.content.get("event") == "command":
        return IndexLine(record.at, "command", str(record.content.get("command", "")))
    if record.kind is RecordKind.FILE:
        return IndexLine(record.at, "file", f"{record.content.get('operation', '')} {record.content.get('path', '')}")
    return None
