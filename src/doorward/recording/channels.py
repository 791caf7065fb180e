"""What a trail holds of each channel, collected in one pass over its records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from doorward.recording.format import Stream
from doorward.recording.reader import TrailReader
from doorward.recording.records import Record, RecordKind, terminal_size

DEFAULT_SIZE = (80, 24)
_OUTPUT = frozenset({RecordKind.OUTPUT, RecordKind.ERROR_OUTPUT})


@dataclass(slots=True)
class RecordedChannel:
    """A channel of the session. Times in milliseconds since its begin; ``size`` is that of the terminal at first."""

    number: int
    type: str
    begin: int
    end: int | None = None
    terminal: bool = False
    size: tuple[int, int] = DEFAULT_SIZE
    command: str | None = None
    subsystem: str | None = None
    exit: dict[str, Any] | None = None
    output: int = 0
    input: int = 0
    facts: dict[str, Any] = field(default_factory=dict)


def channels(records: Iterable[Record]) -> dict[int, RecordedChannel]:
    """Return the channels of some records, by number."""
    found: dict[int, RecordedChannel] = {}
    for record in records:
        if record.kind is RecordKind.OPEN:
            content = record.content
            found[record.channel] = RecordedChannel(record.channel, str(content.get("type", "")), record.at, facts=content)
        channel = found.get(record.channel)
        if channel is None:
            continue
        if record.kind in _OUTPUT:
            channel.output += len(record.data)
        elif record.kind in {RecordKind.INPUT, RecordKind.HIDDEN_INPUT}:
            channel.input += len(record.data)
        elif record.kind is RecordKind.REQUEST:
            _request(channel, record.content)
        elif record.kind is RecordKind.EXIT:
            channel.exit = record.content
        elif record.kind is RecordKind.CLOSE:
            channel.end = record.at
    return found


def _request(channel: RecordedChannel, content: dict[str, Any]) -> None:
    match content.get("type"):
        case "pty-req":
            channel.terminal, channel.size = True, size_of(content)
        case "exec":
            channel.command = str(content.get("command", ""))
        case "subsystem":
            channel.subsystem = str(content.get("name", ""))
        case _:
            pass


def size_of(content: dict[str, Any]) -> tuple[int, int]:
    """Return columns and rows of a terminal request or a resize; those of an ordinary terminal where they are none."""
    return terminal_size(content) or DEFAULT_SIZE


def first_terminal(reader: TrailReader) -> int | None:
    """Return the number of the first channel with a terminal, else of the first with output; None: there is neither."""
    found = channels(reader.records(Stream.SCREEN))
    with_terminal = [channel.number for channel in found.values() if channel.terminal]
    with_output = [channel.number for channel in found.values() if channel.output]
    return next(iter([*with_terminal, *with_output]), None)


def on_a_terminal(output: bytes) -> bytes:
    """Return output of a program that had no terminal as a terminal has to get it: a new line begins at the left."""
    return output.replace(b"\n", b"\r\n")


def shown(reader: TrailReader, channel: int, since: int = 0) -> Iterator[Record]:
    """Yield what a terminal shows from a time on: first a keyframe with its size, if the trail has one, then output and resizes.

    Later keyframes, and the sizes that go with them, are left out: they show what is there already. Lines of a program
    without a terminal begin at the left, as they did for the user, whose own terminal saw to that.
    """
    wanted = _OUTPUT | {RecordKind.RESIZE, RecordKind.REQUEST, RecordKind.KEYFRAME, RecordKind.EXIT, RecordKind.CLOSE}
    has_begun, has_terminal, size = False, False, None
    for record in reader.records(Stream.SCREEN, since=since):
        if record.channel != channel or record.kind not in wanted:
            continue
        if record.kind is RecordKind.KEYFRAME:
            has_terminal = True
            if not since or has_begun:
                continue
            has_begun = True
        elif record.kind in _OUTPUT:
            has_begun = True
            if not has_terminal:
                record = replace(record, data=on_a_terminal(record.data))  # noqa: PLW2901 - as it is shown
        elif record.kind in {RecordKind.RESIZE, RecordKind.REQUEST} and (named := terminal_size(record.content)) is not None:
            has_terminal = True
            if record.kind is RecordKind.RESIZE and named == size:
                continue
            size = named
        yield record
