"""A child process that talks to a target in our place, asked over a socket. It can be killed at any moment."""

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

from doorward.backup.failure import CODES
from doorward.backup.targets.attempt import TargetAttempt
from doorward.backup.targets.files import LocalStorageError
from doorward.backup.targets.limits import MAX_LISTING
from doorward.host import unprivileged

_TICK_SECONDS = 0.1
_MAX_ANSWER = 4 * MAX_LISTING


class ConfinedChild:
    """A process that runs a module of ours (``calls.serve``), without rights and with next to no environment."""

    def __init__(self, attempt: TargetAttempt, module: str, *arguments: str) -> None:
        self._attempt = attempt
        self._buffer = bytearray()
        environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8"}
        self._calls, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [*unprivileged.confinement(), sys.executable, "-I", "-m", module, *arguments], stdin=theirs.fileno(),
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment, start_new_session=True, restore_signals=False,
            )  # fmt: skip
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._out, selectors.EVENT_READ)

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    def call(self, doing: str, name: str, *arguments: Any, local: IO[bytes] | None = None) -> Any:
        """Have the child do something, with an open file of this machine if need be.

        Raises OSError or BackupError as the child tells; BackupError also when it is over, and then the child ends.
        """
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
            self._process.kill()
            raise
        if "code" in said:
            code = said["code"] if said["code"] in CODES else "connection_lost"
            raise self._attempt.failed(code, doing, str(said["words"]))
        if "errno" in said:
            kind = LocalStorageError if said["here"] else OSError
            raise kind(said["errno"], said["words"] or os.strerror(said["errno"]))
        return said["result"]

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        self._selector.close()
        self._calls.close()
        with suppress(OSError):
            cast("Any", self._process.stdout).close()

    @property
    def _out(self) -> int:
        return cast("Any", self._process.stdout).fileno()  # type: ignore[no-any-return]

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
def opened_here(local: Path, mode: Literal["rb", "wb"]) -> Iterator[IO[bytes]]:
    """Open a file of this machine, which a child is not allowed to. Raises LocalStorageError."""
    try:
        file = local.open(mode)
    except OSError as error:
        raise LocalStorageError(error.errno, error.strerror) from None
    with file:
        yield file
