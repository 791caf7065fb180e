"""A recorded terminal in segments, each with the screen that it begins with: a player loads the one that it needs.

The form is that of asciinema-player 3.18, whose documentation does not have it: times are seconds since the session began, events
of a segment are from its start to that of the next one, and the last event of all is at the end.
"""

from __future__ import annotations

from codecs import getincrementaldecoder
from collections.abc import Iterable, Iterator
from itertools import chain, takewhile
from typing import Any, Final

from msgspec import Struct

from doorward.recording.format import Start, Stream
from doorward.recording.reader import Landmarks, TrailReader
from doorward.recording.replay import Moment, moments
from doorward.recording.terminal import AvtTerminal

SEGMENT_BYTES: Final = 32_768
"""Bytes of frames, compressed, after which a new segment begins where its screen stands, at a restart: a quarter of a megabyte of
output, or up to a megabyte of what compresses well."""
LONG_SEGMENTS: Final = 4
"""After so many times as much it begins at any frame."""
_SEGMENTS: Final = 10_000
"""About so many segments a very long trail is cut into."""
IDLE_MILLISECONDS: Final = 3_000
"""A pause that a viewer may want to skip."""
MAX_PARTS: Final = 20_000
"""Segments, and pauses, of one trail that are told; more there are in none of ours."""
MAX_OUTPUT: Final = 8 << 20
"""Bytes of output in one segment that are shown as they came. Behind them stands the screen, once in a while: what compresses
well may be thousands of times larger than its frames."""
_DRAWN_MILLISECONDS: Final = 1_000
_CLEAR: Final = b"\x1bc"
"""Resets a terminal: what is drawn stands on an empty one."""
_FRAME_MILLISECONDS: Final = 1_000
"""How much earlier than its end a frame may have begun."""


class Timeline(Struct, frozen=True):
    """Where the segments of a trail begin, when nothing was shown, when it ends: ms since the session began.

    ``landmarks``: what a reader needs to find the beginnings at once.
    """

    starts: tuple[int, ...]
    idle: tuple[tuple[int, int], ...]
    landmarks: Landmarks

    @property
    def until(self) -> int:
        """When it ends."""
        return self.landmarks.until


def timeline(reader: TrailReader) -> Timeline:
    """Pass all frames; nothing is decrypted. Raises TrailDamagedError where one can't begin."""
    least = max(SEGMENT_BYTES, reader.size // _SEGMENTS)
    starts, size, last, until = [0], 0, 0, 0
    idle: list[tuple[int, int]] = []
    restarts: list[tuple[int, Start]] = []
    newest: tuple[int, Start] | None = None
    for frame in reader.walk():
        until = max(until, frame.at)
        if frame.stream != Stream.SCREEN:
            continue
        if frame.is_restart:
            newest = (frame.at, frame.place)
        begun = frame.at - _FRAME_MILLISECONDS
        if begun - last >= IDLE_MILLISECONDS and len(idle) < MAX_PARTS:
            idle.append((last, begun))
        is_enough = size >= (least if frame.is_restart else LONG_SEGMENTS * least)
        if is_enough and frame.at > starts[-1] and len(starts) < MAX_PARTS:
            starts.append(frame.at)
            size = 0
            if newest is not None and (not restarts or restarts[-1] != newest):
                restarts.append(newest)
        size += frame.length
        last = max(last, frame.at)
    begins = tuple(start for start in starts if not start or start < until)
    return Timeline(begins, tuple(idle), Landmarks(tuple(restarts), until))


def segment(reader: TrailReader, channel: int, since: int, until: int | None) -> dict[str, Any]:
    """Return the segment of a channel between two moments; ``until`` None: the last one. Raises TrailDamagedError."""
    seen = moments(reader, channel, since)
    size = next(seen)
    columns, _, rows = size.data.decode().partition("x")
    screen = next(seen, None)
    decoder = getincrementaldecoder("utf-8")("replace")
    if screen is not None and (screen.code != "o" or screen.at > since):
        seen, screen = chain([screen], seen), None
    begin = size, screen or Moment(since, "o", b"")
    drawing = decoder.decode(begin[1].data)
    events: list[list[object]] = [[since / 1000, "o", ""]]
    events.extend(
        [max(one.at, since) / 1000, one.code, text]
        for one in _bounded(takewhile(lambda one: until is None or one.at < until, seen), begin)
        if (text := decoder.decode(one.data) if one.code == "o" else one.data.decode())
    )
    if until is None:
        events.append([max(reader.until, since) / 1000, "o", ""])
    return {"events": events, "snapshot": {"cols": int(columns), "init": drawing, "rows": int(rows)}}


def _bounded(seen: Iterable[Moment], begin: tuple[Moment, Moment]) -> Iterator[Moment]:
    """Yield what was shown after a size and a screen; from so many bytes on the screen in its place.

    Each second at first, then less and less often.
    """
    left, passed = MAX_OUTPUT, list(begin)
    terminal: AvtTerminal | None = None
    pause, due, budget, last = _DRAWN_MILLISECONDS, 0, MAX_OUTPUT, None
    for one in seen:
        left -= len(one.data)
        if left >= 0:
            passed.append(one)
            yield one
            continue
        if terminal is None:
            terminal = AvtTerminal()
            for earlier in passed:
                _feed(terminal, earlier)
            passed.clear()
        _feed(terminal, one)
        if one.code == "r":
            yield one
        last = one.at
        if last >= due:
            drawn, last, due = _drawn(terminal, one.at), None, one.at + pause
            budget -= len(drawn.data)
            if budget < 0:
                budget, pause = MAX_OUTPUT, 2 * pause
            yield drawn
    if terminal is not None and last is not None:
        yield _drawn(terminal, last)


def _feed(terminal: AvtTerminal, one: Moment) -> None:
    if one.code == "o":
        terminal.feed(one.data)
    else:
        columns, _, rows = one.data.decode().partition("x")
        terminal.resize(int(columns), int(rows))


def _drawn(terminal: AvtTerminal, at: int) -> Moment:
    return Moment(at, "o", _CLEAR + terminal.drawing())
