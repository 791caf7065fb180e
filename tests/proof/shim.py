"""The library of ``disk.c``: built once, and what orders it."""

from __future__ import annotations

import mmap
import os
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

_NAME = "DOORWARD_DISK_ORDERS"
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


class Orders:
    """What processes under orders are told, and how often that was carried out."""

    def __init__(self, path: Path) -> None:
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), _ORDERS.size)

    @classmethod
    def of_this_process(cls) -> Orders:
        """Return the orders that this process is under itself."""
        return cls(Path(os.environ[_NAME]))

    def _order(self, kinds: int, error: int, after: int, times: int, only: str = "") -> None:
        self._memory[:] = _ORDERS.pack(kinds, error, after, times, 0, 0, self.clock, only.encode())

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


class Shim(Orders):
    """What a server under orders gets. ``root``: whose files count; ``logs``: whether they are written down."""

    def __init__(self, directory: Path, root: Path, *, logs: bool = False) -> None:
        self.root, self.logs, self.log = root, logs, directory / "disk.log"
        self._path = directory / "orders"
        self._path.write_bytes(bytes(_ORDERS.size))
        super().__init__(self._path)

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a process that is to be under orders."""
        recorded = {"DOORWARD_DISK_LOG": str(self.log)} if self.logs else {}
        return {"LD_PRELOAD": str(library()), "DOORWARD_DISK_ROOT": str(self.root), _NAME: str(self._path), **recorded}
