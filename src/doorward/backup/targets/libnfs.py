"""The driver for NFS in user space: a child process that has libnfs, asked over pipes. It can be killed at any moment."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import cast

from doorward.backup.targets.attempt import TargetAttempt
from doorward.backup.targets.child import ConfinedChild, opened_here
from doorward.backup.targets.files import PathStatus

_CHILD = "doorward.backup.targets.libnfs_child"
_GRACE_SECONDS = 5.0
"""What the child gets beyond the time limit; it rather ends by being killed."""


class LibnfsFiles:
    """An export of an NFS server, by its paths from the root of the export. Refusals are OSError."""

    def __init__(self, attempt: TargetAttempt) -> None:
        self._attempt = attempt
        self._connected = False
        self._child = ConfinedChild(attempt, _CHILD)

    def connect(self, server: str, path: str) -> None:
        """Mount, which in NFSv3 is asking for the root of the export."""
        self._child.call("Mounting the export", "connect", server, path, self._attempt.stall + _GRACE_SECONDS)
        self._connected = True

    def exports(self, server: str) -> list[str]:
        """Return the paths that a server exports."""
        return cast("list[str]", self._child.call("Asking for the exports", "exports", server))

    def status(self, path: str, *, follow: bool = False) -> PathStatus | None:
        """Return what is known of a path, None when there is nothing. Raises OSError."""
        if not self._connected:
            raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN))
        found = self._child.call("Looking", "status", path, follow)
        return PathStatus(*found) if found is not None else None

    def make_directory(self, path: str) -> None:
        """Make a directory, mode 0700."""
        self._child.call("Making a directory", "make_directory", path)

    def entries(self, path: str) -> list[tuple[str, int, float]]:
        """Return name, size and time of the files in a directory."""
        return [(name, size, when) for name, size, when in self._child.call("Listing the files", "entries", path)]

    def write(self, path: str, local: Path) -> int:
        """Write a file, mode 0600, on the disk of the server; return the size that it has there."""
        with opened_here(local, "rb") as file:
            return int(self._child.call("Writing", "write", path, local=file))

    def read(self, path: str, local: Path, most: int) -> None:
        """Copy a file into a local one, which is there and empty, ``most`` bytes of it."""
        with opened_here(local, "wb") as file:
            self._child.call("Reading", "read", path, most, local=file)

    def digest(self, path: str, size: int) -> str:
        """Return the SHA-256 of a file of a size."""
        return str(self._child.call("Reading", "digest", path, size))

    def publish(self, temporary: str, final: str) -> None:
        """Give a file its final name. FileExistsError when that is taken."""
        self._child.call("Renaming", "publish", temporary, final)

    def unlink(self, path: str) -> None:
        """Delete a file. FileNotFoundError when there is none."""
        self._child.call("Deleting", "unlink", path)

    def close(self) -> None:
        """End the child; an NFSv3 server needs no word about it."""
        self._child.close()
