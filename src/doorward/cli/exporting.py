"""Trails in forms that other programs read, written to places where nothing is yet. Each returns what is worth saying."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from doorward.cli.failures import CommandError
from doorward.cli.new_files import new_file
from doorward.cli.trails import clock
from doorward.recording.capture import Capture
from doorward.recording.export import asciicast, extract, transcript
from doorward.recording.reader import TrailReader
from doorward.tree.plaintext import plain


def lines(reader: TrailReader, channel: int, *, times: bool) -> Iterator[str]:
    """Yield what a recorded terminal showed, line by line, without what would steer another one."""
    for at, line in transcript(reader, channel):
        yield f"{clock(at)}  {plain(line)}" if times else plain(line)


def text(reader: TrailReader, channel: int, target: Path) -> list[str]:
    """Write the lines of a terminal with their times. Raises CommandError."""
    return _written(target, (f"{line}\n" for line in lines(reader, channel, times=True)))


def cast(reader: TrailReader, channel: int, version: int, target: Path) -> list[str]:
    """Write a terminal for players. Raises CommandError."""
    return _written(target, asciicast(reader, channel, version))


def files(reader: TrailReader, target: Path) -> list[str]:
    """Write the files that were copied into a new directory. Raises CommandError."""
    try:
        target.mkdir(mode=0o700)
    except OSError as error:
        raise CommandError(f"{target} can't be written: {error.strerror}.") from None
    return [f"{target}: {sum(1 for _ in extract(reader, target))} files."]


def connections(reader: TrailReader, target: Path) -> list[str]:
    """Write forwarded TCP connections as a capture, whose addresses stand for names. Raises CommandError."""
    capture = Capture(reader)
    _write(target, capture.pieces())
    names = [f"  {address} stands for {plain(name)}" for name, address in capture.names.items()]
    return [f"{target}: {capture.count} connections.", *names]


def _written(path: Path, text: Iterable[str]) -> list[str]:
    _write(path, (line.encode("utf-8", "replace") for line in text))
    return [f"{path}: written."]


def _write(path: Path, pieces: Iterable[bytes]) -> None:
    with new_file(path) as file:
        file.writelines(pieces)
