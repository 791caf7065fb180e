"""The lock of a state directory: one process at a time has it."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from doorward.host.files import make_directory
from doorward.host.ownership import UntrustedPathError, check_tree, open_own

SANDBOX_ROOT = "root"
"""The directory of a state directory in which a sandbox has links of its own."""
SPOOL = Path("backup", "spool")
"""Where backups are made. What a killed process left there may belong to whom programs run as, and is removed at a start."""

LENT = frozenset({"workers", "trails"})
"""Directories that may belong to whom session workers run as; what is in them is never trusted."""


class StateInUseError(Exception):
    """Why the state directory can't be had, in one sentence for the operator."""


@contextlib.contextmanager
def locked(state: Path) -> Iterator[None]:
    """Hold a state directory, made if there is none.

    Raises StateInUseError where another process has it, and where anybody else could change what is in it, or has planted a link.
    """
    try:
        make_directory(state)
        check_state(state)
        descriptor = open_own(state / "lock", os.O_RDWR | os.O_CREAT)
    except OSError as error:
        raise StateInUseError(f"The state directory {state} can't be used: {error.strerror}.") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(descriptor, 20, 0).decode().strip() or "unknown"
            raise StateInUseError(f"Another server (process {owner}) uses the state directory {state}.") from None
        with contextlib.suppress(OSError):  # on a full disk the lock has no name, but holds
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def check_state(state: Path) -> None:
    """Raise StateInUseError where a state directory is somebody else's, or others can write in it; OSError if unreadable."""
    try:
        check_tree(state, links_in=SANDBOX_ROOT, discarded=SPOOL, lent=LENT)
    except UntrustedPathError as why:
        raise StateInUseError(f"The state directory {state} is not safe to use: {why}") from why
