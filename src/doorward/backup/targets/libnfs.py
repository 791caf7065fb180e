"""The driver for NFS in user space: a child process that has libnfs, asked over pipes. It can be killed at any moment."""

from __future__ import annotations

import errno
import json
import os
import selectors
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Literal, cast

from doorward.backup.targets.attempt import TargetAttempt
from doorward.backup.targets.files import LocalStorageError, PathStatus
from doorward.backup.targets.limits import MAX_LISTING
from doorward.host import unprivileged

_CHILD = "doorward.backup.targets.libnfs_child"
_TICK_SECONDS = 0.1
_MAX_ANSWER = 4 * MAX_LISTING
_GRACE_SECONDS = 5.0
"""What the child gets beyond the time limit; it rather ends by being killed."""


class LibnfsFiles:
    """An export of an NFS server, by its paths from the root of the export. Refusals are OSError."""

    def __init__(self, attempt: TargetAttempt) -> None:
        self._attempt = attempt
        self._connected = False
        self._buffer = bytearray()
        environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8"}
        self._calls, theirs = socket.socketpair()
        with theirs:
            self._child = subprocess.Popen(
                [*unprivileged.confinement(), sys.executable, "-I", "-m", _CHILD], stdin=theirs.fileno(),
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment, start_new_session=True, restore_signals=False,
            )  # fmt: skip
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._out, selectors.EVENT_READ)

    def connect(self, server: str, path: str) -> None:
        """Mount, which in NFSv3 is asking for the root of the export."""
        self._call("Mounting the export", "connect", server, path, self._attempt.stall + _GRACE_SECONDS)
        self._connected = True

    def exports(self, server: str) -> list[str]:
        """Return the paths that a server exports."""
        return cast("list[str]", self._call("Asking for the exports", "exports", server))

    def status(self, path: str, *, follow: bool = False) -> PathStatus | None:
        """Return what is known of a path, None when there is nothing."""
        if not self._connected:
            raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN))
        found = self._call("Looking", "status", path, follow)
        return PathStatus(*found) if found is not None else None

    def make_directory(self, path: str) -> None:
        """Make a directory, mode 0700."""
        self._call("Making a directory", "make_directory", path)

    def entries(self, path: str) -> list[tuple[str, int, float]]:
        """Return name, size and time of the files in a directory."""
        return [(name, size, when) for name, size, when in self._call("Listing the files", "entries", path)]

    def write(self, path: str, local: Path) -> int:
        """Write a file, mode 0600, on the disk of the server; return the size that it has there."""
        with _opened(local, "rb") as file:
            return int(self._call("Writing", "write", path, local=file))

    def read(self, path: str, local: Path, most: int) -> None:
        """Copy a file into a local one, which is there and empty, ``most`` bytes of it."""
        with _opened(local, "wb") as file:
            self._call("Reading", "read", path, most, local=file)

    def digest(self, path: str, size: int) -> str:
        """Return the SHA-256 of a file of a size."""
        return str(self._call("Reading", "digest", path, size))

    def publish(self, temporary: str, final: str) -> None:
        """Give a file its final name. FileExistsError when that is taken."""
        self._call("Renaming", "publish", temporary, final)

    def unlink(self, path: str) -> None:
        """Delete a file. FileNotFoundError when there is none."""
        self._call("Deleting", "unlink", path)

    def close(self) -> None:
        """End the child; an NFSv3 server needs no word about it."""
        self._child.kill()
        self._child.wait()
        self._selector.close()
        self._calls.close()
        with suppress(OSError):
            cast("Any", self._child.stdout).close()

    @property
    def _out(self) -> int:
        return cast("Any", self._child.stdout).fileno()  # type: ignore[no-any-return]

    def _call(self, doing: str, name: str, *arguments: Any, local: IO[bytes] | None = None) -> Any:
        """Have the child do something. Raises OSError as it would; BackupError when it is over, and then the child ends."""
        moved = time.monotonic()
        try:
            call = json.dumps([name, *arguments]).encode() + b"\n"
            sent = socket.send_fds(self._calls, [call], [local.fileno()] if local is not None else [])
            if sent < len(call):  # a child that has answered already may be gone
                self._calls.sendall(call[sent:])
            while True:
                said = self._line()
                if said is not None:
                    moved = time.monotonic()
                    if "moved" not in said:
                        break
                self._attempt.check(doing)
                if time.monotonic() - moved > self._attempt.stall:
                    raise self._attempt.failed("stalled", doing, f"nothing moved for {self._attempt.stall:.0f} s")
        except (BrokenPipeError, ConnectionResetError, EOFError):
            raise ConnectionResetError(errno.ECONNRESET, "the connection broke") from None
        except BaseException:
            self._child.kill()
            raise
        if "errno" in said:
            kind = LocalStorageError if said["here"] else OSError
            raise kind(said["errno"], said["words"] or os.strerror(said["errno"]))
        return said["result"]

    def _line(self) -> dict[str, Any] | None:
        """Return what the child says next, None when that takes a while. EOFError when it has ended."""
        if b"\n" not in self._buffer:
            if not self._selector.select(_TICK_SECONDS):
                return None
            got = os.read(self._out, 65536)
            if not got or len(self._buffer) > _MAX_ANSWER:
                raise EOFError
            self._buffer += got
        line, found, rest = self._buffer.partition(b"\n")
        if not found:
            return None
        self._buffer = rest
        return cast("dict[str, Any]", json.loads(line))


@contextmanager
def _opened(local: Path, mode: Literal["rb", "wb"]) -> Iterator[IO[bytes]]:
    """Open a file of this machine, which the child is not allowed to."""
    try:
        file = local.open(mode)
    except OSError as error:
        raise LocalStorageError(error.errno, error.strerror) from None
    with file:
        yield file
