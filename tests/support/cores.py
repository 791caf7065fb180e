"""Core files as the kernel writes them: an ELF head, and the note that says whose memory it was."""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def _note(kind: int, described: bytes) -> bytes:
    return struct.pack("<III", 5, len(described), kind) + b"CORE\0\0\0\0" + described.ljust((len(described) + 3) // 4 * 4, b"\0")


def core_file(path: Path, name: str, command: str, modified: float) -> Path:
    """Write the core file of a process with this name and command line, last changed at a Unix time."""
    info = bytes(40) + name.encode()[:15].ljust(16, b"\0") + command.encode()[:79].ljust(80, b"\0")
    notes = _note(1, bytes(335)) + _note(3, info) + _note(6, bytes(16))
    head = b"\x7fELF\x02\x01\x01".ljust(16, b"\0") + struct.pack("<HHIQQQIHHHHHH", 4, 62, 1, 0, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    load = struct.pack("<IIQQQQQQ", 1, 0, 4096, 0, 0, 8, 8, 1)
    note = struct.pack("<IIQQQQQQ", 4, 0, 64 + 2 * 56, 0, 0, len(notes), 0, 1)
    path.write_bytes((head + load + note + notes).ljust(4096, b"\0") + b"a secret")
    os.utime(path, (modified, modified))
    return path
