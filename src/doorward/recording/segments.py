"""A recorded terminal in segments, each with the screen that it begins with: a player loads the one that it needs.

The form is that of asciinema-player 3.18, whose documentation does not have it: times are seconds since the session began, events
of a segment are from its start to that of the next one, and the last event of all is at the end.
"""

from __future__ import annotations

from codecs import getincrementaldecoder
from dataclasses import dataclass
from itertools import chain, takewhile
from typing import Any, Final

from doorward.recording.format import Stream
from doorward.recording.reader import TrailReader
from doorward.recording.replay import moments

SEGMENT_BYTES: Final = 131_072
"""Bytes of frames, compressed, after which a new segment begins: about a megabyte of output."""
IDLE_MILLISECONDS: Final = 3_000
"""A pause that a viewer may want to skip."""
_FRAME_MILLISECONDS: Final = 1_000
"""How much earlier than its end a frame may have begun."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """Where the segments of a trail begin, when nothing was shown, when it ends: ms since the session began."""

    starts: tuple[int, ...]
    idle: tuple[tuple[int, int], ...]
    until: int


def timeline(reader: TrailReader) -> Timeline:
    """Look at the heads of all frames; nothing is decrypted. Raises TrailDamagedError where one can't begin."""
    starts, idle, size, last, until = [0], [], 0, 0, 0
    for frame in reader.heads():
        until = max(until, frame.at)
        if frame.stream is not Stream.SCREEN:
            continue
        begun = frame.at - _FRAME_MILLISECONDS
        if begun - last >= IDLE_MILLISECONDS:
            idle.append((last, begun))
        if size >= SEGMENT_BYTES and frame.at > starts[-1]:
            starts.append(frame.at)
            size = 0
        size += frame.length
        last = max(last, frame.at)
    return Timeline(tuple(start for start in starts if not start or start < until), tuple(idle), until)


def segment(reader: TrailReader, channel: int, since: int, until: int | None) -> dict[str, Any]:
    """Return the segment of a channel between two moments; ``until`` None: the last one. Raises TrailDamagedError."""
    seen = moments(reader, channel, since)
    columns, _, rows = next(seen).data.decode().partition("x")
    screen = next(seen, None)
    decoder = getincrementaldecoder("utf-8")("replace")
    if screen is not None and (screen.code != "o" or screen.at > since):
        seen, screen = chain([screen], seen), None
    drawing = "" if screen is None else decoder.decode(screen.data)
    events: list[list[object]] = [[since / 1000, "o", ""]]
    events.extend(
        [max(one.at, since) / 1000, one.code, text]
        for one in takewhile(lambda one: until is None or one.at < until, seen)
        if (text := decoder.decode(one.data) if one.code == "o" else one.data.decode())
    )
    if until is None:
        events.append([max(reader.until, since) / 1000, "o", ""])
    return {"events": events, "snapshot": {"cols": int(columns), "init": drawing, "rows": int(rows)}}
