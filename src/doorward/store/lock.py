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
    with os.fdopen(descriptor, "r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = file.read().strip() or "unknown"
            raise StateInUse(f"Another server (process {owner}) uses the state directory {state}.") from None
        file.truncate(0)
        file.seek(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield
