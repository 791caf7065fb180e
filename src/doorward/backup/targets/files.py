"""What an NFS target needs of a driver: a few calls on the files of an export, refused with OSError."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from msgspec import Struct


class PathStatus(Struct, frozen=True):
    """What is known of a path. ``size`` in bytes."""

    mode: int
    size: int
    owner: int


class LocalStorageError(OSError):
    """A file of this machine could not be read or written."""


class ExportFiles(Protocol):
    """An export. Paths begin at its root with a slash."""

    def status(self, path: str, *, follow: bool = False) -> PathStatus | None:
        """Return what is known of a path, None when there is nothing. ``follow``: of what a link points to."""

    def make_directory(self, path: str) -> None:
        """Make a directory, mode 0700."""

    def entries(self, path: str) -> Iterable[tuple[str, int, float]]:
        """Return name, size and time of the files in a directory; at least one more than ``MAX_FILES`` if there are as many."""

    def write(self, path: str, local: Path) -> int:
        """Write a file, mode 0600, on the disk of the server; return the size that it has there."""

    def read(self, path: str, local: Path, most: int) -> None:
        """Copy a file into a local one, which is there and empty, ``most`` bytes of it. LocalStorageError when it can't take it.

        OSError EMSGSIZE when there are more.
        """

    def digest(self, path: str, size: int) -> str:
        """Return the SHA-256 of a file of a size. OSError EMSGSIZE when it has more bytes."""

    def publish(self, temporary: str, final: str) -> None:
        """Give a file its final name. FileExistsError when that is taken."""

    def unlink(self, path: str) -> None:
        """Delete a file. FileNotFoundError when there is none."""

    def close(self) -> None:
        """Let go of the server."""
