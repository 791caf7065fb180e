"""Reads what ``disk.c`` wrote down, and makes what a disk may hold after a loss of power at any point of it.

What was synced is there: the content of files by a sync of the file, names by a sync of the directory. Of what was not, anything
may be: every block of every write, every name, alone, in whatever order.
"""

from __future__ import annotations

import json
import os
import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any, NamedTuple

_HEAD = struct.Struct("<B3xIQQIII")
BLOCKS = (512, 4096)
"""What a disk writes as a whole."""


class Entry(NamedTuple):
    """One change of a file, a directory, or a mark of the test. ``at``: an offset, a size, or a mode."""

    kind: str
    process: int
    file: int
    at: int
    name: str
    other: str
    data: bytes


def read_log(path: Path) -> list[Entry]:
    """Read a log as a whole."""
    data, at, found = path.read_bytes(), 0, []
    while at < len(data):
        kind, process, file, place, *sizes = _HEAD.unpack_from(data, at)
        at += _HEAD.size
        parts = []
        for size in sizes:
            parts.append(data[at : at + size])
            at += size
        found.append(Entry(chr(kind), process, file, place, parts[0].decode(), parts[1].decode(), parts[2]))
    return found


def mark(log: Path, **said: Any) -> None:
    """Put into the log what the test knows at this moment."""
    text = json.dumps(said).encode()
    with log.open("ab", buffering=0) as file:
        file.write(_HEAD.pack(ord("M"), os.getpid(), 0, 0, len(text), 0, 0) + text)


@dataclass
class _File:
    """Content on the disk, and the changes that may or may not have got there: an offset and data, or a size and None."""

    content: bytearray = field(default_factory=bytearray)
    pending: list[tuple[int, bytes | None]] = field(default_factory=list)

    def sync(self) -> None:
        for at, data in self.pending:
            _change(self.content, at, data)
        self.pending.clear()


def _change(content: bytearray, at: int, data: bytes | None) -> None:
    if data is None:
        del content[at:]
        content.extend(bytes(at - len(content)))
    else:
        content.extend(bytes(max(0, at - len(content))))
        content[at : at + len(data)] = data


_Thing = _File | str | None
"""A file, what a link says, or a directory."""


class _Renamed(NamedTuple):
    """A change of names: ``old`` goes, ``new`` is there; either may be empty."""

    old: str
    new: str
    thing: _Thing

    @property
    def directories(self) -> set[str]:
        return {str(PurePath(name).parent) for name in (self.old, self.new) if name}

    def carry_out(self, names: dict[str, _Thing]) -> None:
        below = {name: names[name] for name in names if self.old and self.new and name.startswith(f"{self.old}/")}
        if self.old:
            names.pop(self.old, None)
        if self.new:
            names[self.new] = self.thing
        for name, thing in below.items():
            del names[name]
            names[self.new + name.removeprefix(self.old)] = thing


class Disk:
    """The disk at a point of a log: feed it entries, then look at what a cut may leave. Everything begins empty."""

    def __init__(self, root: Path, dice: random.Random) -> None:
        self._root, self._dice = root, dice
        self._by_number: dict[int, _File] = {}
        self._seen: dict[str, _Thing] = {}
        self._names: dict[str, _Thing] = {}
        self._pending: list[_Renamed] = []

    def feed(self, entry: Entry) -> None:
        """Take the next entry."""
        match entry.kind:
            case "O":
                made = self._by_number[entry.file] = _File()
                self._rename("", entry.name, made)
            case "W" | "T" | "E":
                if file := self._file(entry):
                    self._change(file, entry)
            case "S":
                self._sync(entry)
            case "R" | "L":
                self._rename(entry.name if entry.kind == "R" else "", entry.other, self._seen.get(entry.name))
            case "U":
                self._rename(entry.name, "", None)
            case "D" | "Y":
                self._rename("", entry.name, entry.other if entry.kind == "Y" else None)
            case _:  # a mark
                pass

    def _change(self, file: _File, entry: Entry) -> None:
        if entry.kind == "E":  # what the disk refused to sync may be gone for good, whatever it says later
            file.pending = [change for change in file.pending if self._dice.random() < 0.5]
        else:
            file.pending.append((entry.at, entry.data if entry.kind == "W" else None))

    def _file(self, entry: Entry) -> _File | None:
        found = self._seen.get(entry.name)
        return found if isinstance(found, _File) else self._by_number.get(entry.file)

    def _rename(self, old: str, new: str, thing: _Thing) -> None:
        change = _Renamed(old, new, thing)
        change.carry_out(self._seen)
        self._pending.append(change)

    def _sync(self, entry: Entry) -> None:
        if (entry.name in self._seen and self._seen[entry.name] is None) or entry.name == str(self._root):
            for change in self._pending:
                if entry.name in change.directories:
                    change.carry_out(self._names)
            self._pending = [change for change in self._pending if entry.name not in change.directories]
        elif file := self._file(entry):
            file.sync()

    @property
    def is_whole(self) -> bool:
        """Whether everything is synced."""
        return not self._pending and not any(file.pending for file in self._seen.values() if isinstance(file, _File))

    def cut(self, into: Path) -> None:
        """Write what a loss of power at this point may leave, by chance, into an empty directory."""
        dice = self._dice
        keep = dice.choice((0.0, 0.1, 0.5, 0.9, 1.0))
        names = dict(self._names)
        for change in self._left_names(keep):
            change.carry_out(names)
        for name in sorted(names):
            path = into / PurePath(name).relative_to(self._root)
            thing = names[name]
            if not path.parent.is_dir():  # its directory was lost
                continue
            if thing is None:
                path.mkdir(mode=0o700)
            elif isinstance(thing, str):
                path.symlink_to(thing)
            else:
                path.write_bytes(self._left(thing, keep))
                path.chmod(0o600)

    def _left_names(self, keep: float) -> list[_Renamed]:
        """Choose among the changes of names that are not safe: a beginning of them, any, or all but one."""
        pending, dice = self._pending, self._dice
        match dice.choice(("a beginning", "any", "all but one")):
            case "a beginning":
                return pending[: dice.randint(0, len(pending))]
            case "any":
                return [change for change in pending if dice.random() < keep]
            case _:
                lost = dice.randrange(len(pending)) if pending else 0
                return [change for index, change in enumerate(pending) if index != lost]

    def _left(self, file: _File, keep: float) -> bytes:
        if not file.pending:
            return bytes(file.content)
        dice, content = self._dice, bytearray(file.content)
        block = dice.choice(BLOCKS)
        for at, data in file.pending:
            if data is None:
                if dice.random() < keep:
                    _change(content, at, None)
                continue
            for start, piece in _pieces(at, data, block):
                if dice.random() < keep:
                    _change(content, start, piece)
        return bytes(content)


def _pieces(at: int, data: bytes, block: int) -> Iterator[tuple[int, bytes]]:
    """Yield what of a write lies in each block of the disk."""
    begin = 0
    while begin < len(data):
        end = begin + block - (at + begin) % block
        yield at + begin, data[begin:end]
        begin = end
