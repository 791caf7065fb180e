"""A disk without space left: a small file system of its own where mounting is permitted, else a limit on the size of files."""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from tests.support.server import Server
from tests.support.waiting import PATIENCE

SIZE_MIB = 16


class Disk(Protocol):
    """Where a state directory lies."""

    def fill(self, server: Server, *, leave: int = 0) -> None:
        """Take all space but so many bytes."""

    def free(self, server: Server) -> None:
        """Give it back."""


class SmallDisk:
    """A file system of a few MiB, filled by a file."""

    def __init__(self, directory: Path) -> None:
        self._ballast = directory / "ballast"

    def fill(self, server: Server, *, leave: int = 0) -> None:
        """See Disk."""
        del server
        with contextlib.suppress(OSError), self._ballast.open("ab", buffering=0) as file:
            while file.write(bytes(1 << 16)) == 1 << 16:
                pass
        os.truncate(self._ballast, max(self._ballast.stat().st_size - leave, 0))

    def free(self, server: Server) -> None:
        """See Disk."""
        del server
        self._ballast.unlink()


class ShortFiles:
    """A process none of whose files may grow beyond what is left."""

    def fill(self, server: Server, *, leave: int = 0) -> None:
        """See Disk."""
        self._limit(server, leave)

    def free(self, server: Server) -> None:
        """See Disk."""
        self._limit(server, resource.RLIM_INFINITY)

    def _limit(self, server: Server, size: int) -> None:
        assert server.process
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


@contextmanager
def small_disk(directory: Path) -> Iterator[Disk]:
    """A disk at a directory."""
    directory.mkdir()
    options = f"size={SIZE_MIB}m,mode=700"
    command = ["mount", "-t", "tmpfs", "-o", options, "doorward", str(directory)]
    mounted = subprocess.run(command, capture_output=True, check=False)
    if mounted.returncode:
        yield ShortFiles()
        return
    try:
        yield SmallDisk(directory)
    finally:
        subprocess.run(["umount", str(directory)], check=True, timeout=PATIENCE)
