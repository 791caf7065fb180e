"""The lock of a state directory: one process at a time has it."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path


class StateInUse(Exception):
    """Why the state directory can't be had, in one sentence for the operator."""


@contextlib.contextmanager
def locked(state: Path) -> Iterator[None]:
    """Hold a state directory, made if there is none. Raises StateInUse where another process has it."""
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(state / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise StateInUse(f"The state directory {state} can't be used: {error.strerror}.") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(descriptor, 20, 0).decode().strip() or "unknown"
            raise StateInUse(f"Another server (process {owner}) uses the state directory {state}.") from None
        with contextlib.suppress(OSError):  # on a full disk the lock has no name, but holds
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)
