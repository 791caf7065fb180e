"""Core files: where this machine puts them, and which of them are ours.

A core file may hold everything that was in the memory of a process, so it is not for keeping. Other people's are left alone: what
tells ours from them is the command line that the kernel notes in the file itself, not its name. What is handed to a program
(``|/usr/lib/systemd/systemd-coredump``) is kept and cleared away by that program.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

PATTERN = Path("/proc/sys/kernel/core_pattern")
_NAME = "doorward"
_HEAD_BYTES = 1 << 16
_CORE, _NOTE, _PRPSINFO = 4, 4, 3
_PRPSINFO_BYTES, _COMMAND_AT = 136, 40


def places(pattern: str, directories: Iterable[Path]) -> Iterator[Path]:
    """Yield the files that the kernel's core pattern can have made; a relative one in any of the directories.

    Directories whose own name varies are not looked through.
    """
    pattern = pattern.strip()
    if not pattern or pattern.startswith("|"):
        return
    folder, _, name = pattern.rpartition("/")
    if "%" in folder:
        return
    wanted = re.compile(".*".join(map(re.escape, _literal_parts(name))) + r"(\.[0-9]+)?")
    for directory in [Path(folder)] if pattern.startswith("/") else {one / folder for one in directories}:
        if directory.is_dir():
            yield from sorted(path for path in directory.iterdir() if wanted.fullmatch(path.name))


def _literal_parts(name: str) -> list[str]:
    """Return what stands between the place holders of a pattern's file name."""
    return [part.replace("\0", "%") for part in re.split(r"%[a-zA-Z]", name.replace("%%", "\0"))]


def command(path: Path) -> str | None:
    """Return name and first 80 characters of the command line of the process that left a core file; None: it is none."""
    try:
        # Anybody may put things where core files go: a link or a pipe in the place of one is left alone.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            return _command(file.read(_HEAD_BYTES))
    except (OSError, struct.error):
        return None


def _command(head: bytes) -> str | None:
    """Find the note NT_PRPSINFO of a 64-bit little-endian core file."""
    if head[:6] != b"\x7fELF\x02\x01" or struct.unpack_from("<H", head, 16) != (_CORE,):
        return None
    (table,), (size, count) = struct.unpack_from("<Q", head, 32), struct.unpack_from("<HH", head, 54)
    for index in range(count):
        kind, _, at, _, _, length = struct.unpack_from("<IIQQQQ", head, table + index * size)
        end = at + length
        while kind == _NOTE and at < end:
            named, described, note = struct.unpack_from("<III", head, at)
            at += 12 + (named + 3) // 4 * 4
            if note == _PRPSINFO and described == _PRPSINFO_BYTES:
                facts = struct.unpack_from("16s80s", head, at + _COMMAND_AT)
                return " ".join(fact.partition(b"\0")[0].decode(errors="replace") for fact in facts)
            at += (described + 3) // 4 * 4
    return None


def ours(path: Path, state: Path) -> bool:
    """Whether a core file is that of a server, or of a child that worked for the state directory."""
    if path.is_symlink() or not path.is_file():
        return False
    by = command(path)
    return by is not None and (_NAME in by or str(state) in by)


def remove_old(state: Path, before: float, pattern: str, directories: Iterable[Path]) -> list[Path]:
    """Remove our core files that were last written before a Unix time; return them. Raises OSError."""
    old = [path for path in places(pattern, directories) if path.lstat().st_mtime < before and ours(path, state)]
    for path in old:
        path.unlink()
    return old
