"""A trail in forms that other programs read: asciicast 2 and 3, text with times, the files that were copied."""

from __future__ import annotations

import codecs
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from doorward.recording.channels import channels, shown, size_of
from doorward.recording.format import Stream
from doorward.recording.reader import TrailReader
from doorward.recording.records import Record, RecordKind, read_varint
from doorward.recording.terminal import AvtTerminal
from doorward.recording.transfers import transfers

_UNSAFE = re.compile(r"[^A-Za-z0-9._+@ -]")
_MAX_NAME = 120


def asciicast(reader: TrailReader, channel: int, version: int = 3, since: int = 0) -> Iterator[str]:
    """Yield the lines of an asciicast of one channel (https://docs.asciinema.org/manual/asciicast/v3/).

    Version 3 has times since the event before, version 2 since the start. What was typed is in neither. ``since``, milliseconds:
    begins at the keyframe before it, with the screen as it was.
    """
    found = channels(reader.records())[channel]
    size, decoder = found.size, codecs.getincrementaldecoder("utf-8")("replace")
    began = str(reader.header.get("started", ""))
    yield _head(version, size, began, found.command)
    before = start = None
    for record in shown(reader, channel, since):
        start = record.at if start is None else start
        event = _event(record, decoder, version)
        if event is None:
            continue
        seconds = (record.at - (before if version != 2 and before is not None else start)) / 1000  # noqa: PLR2004 - of the format
        before = record.at
        yield json.dumps([round(seconds, 3), *event], ensure_ascii=False) + "\n"


def _head(version: int, size: tuple[int, int], began: str, command: str | None) -> str:
    columns, rows = size
    head: dict[str, Any] = {"version": version}
    head |= {"width": columns, "height": rows} if version == 2 else {"term": {"cols": columns, "rows": rows}}  # noqa: PLR2004 - of the format
    if command is not None:
        head["command"] = command
    if began:
        head["title"] = f"Session of {began}"
    return json.dumps(head, ensure_ascii=False) + "\n"


def _event(record: Record, decoder: codecs.IncrementalDecoder, version: int) -> list[str] | None:
    match record.kind:
        case RecordKind.OUTPUT | RecordKind.ERROR_OUTPUT | RecordKind.KEYFRAME:
            text = decoder.decode(record.data)
            return ["o", text] if text else None
        case RecordKind.RESIZE:
            return ["r", "{}x{}".format(*size_of(record.content))]
        case RecordKind.EXIT if version != 2:  # noqa: PLR2004 - version 2 knows no end
            return ["x", str(record.content.get("status", 0))]
        case _:
            return None


def transcript(reader: TrailReader, channel: int) -> Iterator[tuple[int, str]]:
    """Yield the text of a channel line by line, with the milliseconds at which each line was complete or went out of sight."""
    terminal = AvtTerminal(*channels(reader.records())[channel].size)
    at = 0
    for record in shown(reader, channel):
        at = record.at
        if record.kind in {RecordKind.OUTPUT, RecordKind.ERROR_OUTPUT}:
            lines = terminal.feed(record.data)
        elif record.kind is RecordKind.RESIZE:
            lines = terminal.resize(*size_of(record.content))
        else:
            continue
        yield from ((at, line) for line in lines)
    left = terminal.lines()
    while left and not left[-1]:
        left.pop()
    yield from ((at, line) for line in left)


def extract(reader: TrailReader, directory: Path) -> Iterator[Path]:
    """Write the contents of files that the trail kept into a directory, and yield their paths.

    Names come from the session: only their last part is used, without anything but plain characters, with the number of the file
    before it. Nothing that is there already is written to. Reads the trail twice: a name may come behind its content.
    """
    names = {one.kept: one.path for one in transfers(reader) if one.kept is not None}
    written: dict[int, Path] = {}
    for record in reader.records(Stream.SCREEN):
        if record.kind is RecordKind.FILE_CONTENT:
            number, at = read_varint(record.data, 0)
            path = directory / file_name(number, names.get(number, ""))
            flags = os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
            flags |= 0 if number in written else os.O_CREAT | os.O_EXCL
            with os.fdopen(os.open(path, flags, 0o600), "ab") as file:
                file.write(record.data[at:])
            written[number] = path
    yield from written.values()


def file_name(number: int, path: str) -> str:
    """Return a name for extracted content that is harmless in any directory."""
    last = path.replace("\\", "/").rstrip("/").rpartition("/")[2]
    return f"{number:04d}-{_UNSAFE.sub('_', last)[:_MAX_NAME].strip(' .') or 'file'}"
