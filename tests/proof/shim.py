"""The library of ``disk.c``: built once, and what orders it."""

from __future__ import annotations

import errno
import mmap
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

_ORDERS = struct.Struct("<6iq64s")
_SOURCE = Path(__file__).with_name("disk.c")
WRITES, SYNCS, NAMES = 1, 2, 4
ALL = WRITES | SYNCS | NAMES


@cache
def library() -> Path:
    """Build it; return where it lies until the machine forgets."""
    built = Path(mkdtemp(prefix="doorward-disk-")) / "disk.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-O2", "-o", built, _SOURCE, "-ldl"], check=True)
    return built


@dataclass
class Shim:
    """What a server under orders gets. ``root``: whose files count; ``log``: whether they are written down."""

    directory: Path
    root: Path
    logs: bool = False
    log: Path = field(init=False)
    _memory: mmap.mmap = field(init=False)

    def __post_init__(self) -> None:
        self.log = self.directory / "disk.log"
        path = self.directory / "orders"
        path.write_bytes(bytes(_ORDERS.size))
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), _ORDERS.size)

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a process that is to be under orders."""
        recorded = {"DOORWARD_DISK_LOG": str(self.log)} if self.logs else {}
        return {
            "LD_PRELOAD": str(library()),
            "DOORWARD_DISK_ROOT": str(self.root),
            "DOORWARD_DISK_ORDERS": str(self.directory / "orders"),
            **recorded,
        }

    def _order(self, kinds: int, error: int, after: int, times: int, only: str = "") -> None:
        clock = self.clock
        self._memory[:] = _ORDERS.pack(kinds, error, after, times, 0, 0, clock, only.encode())

    @property
    def failed(self) -> int:
        """How often something failed as ordered."""
        return int(_ORDERS.unpack(self._memory)[5])

    @property
    def clock(self) -> int:
        """Nanoseconds that the clock is wrong by."""
        return int(_ORDERS.unpack(self._memory)[6])

    def move_clock(self, seconds: float) -> None:
        """Have the clock jump."""
        values = list(_ORDERS.unpack(self._memory))
        values[6] += int(seconds * 1e9)
        self._memory[:] = _ORDERS.pack(*values)

    @contextmanager
    def failing(self, kinds: int, error: int, *, after: int = 0, times: int = -1, only: str = "") -> Iterator[None]:
        """Let changes of these kinds fail, from one on, so many times; ``only`` those with this in their path."""
        self._order(kinds, error, after, times, only)
        try:
            yield
        finally:
            kept = self.failed
            self._order(0, 0, 0, 0)
            values = list(_ORDERS.unpack(self._memory))
            values[5] = kept
            self._memory[:] = _ORDERS.pack(*values)


ERRORS = {"ENOSPC": errno.ENOSPC, "EIO": errno.EIO, "EROFS": errno.EROFS}
