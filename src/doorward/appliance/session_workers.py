"""Starts the processes that carry sessions: beside the server, not below it, so that they outlive it.

On a machine that is the server's own they run as another account than root: whatever clients and targets make of a worker, it has
none of the rights of the server.
"""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from doorward.host import unprivileged
from doorward.host.errors import HostError

_SECONDS = 60.0
"""How long their start may take, on a busy machine."""


ACCOUNTS = ("_doorward-workers", *unprivileged.ACCOUNTS)
"""Who workers run as where the server is root: the first that the machine has."""


def worker_account() -> str | None:
    """Return the name of who workers run as; None: as this process, which is not root. Raises HostError."""
    if os.geteuid() != 0:
        return None
    for name in ACCOUNTS:
        with suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    raise HostError(f"no account for session workers: {' or '.join(ACCOUNTS)}")


def start_workers(state: Path, user: Callable[[], str | None]) -> None:
    """Start the supervisor of a state directory, where none runs. Returns when its workers run. Raises HostError.

    ``user`` tells which account it is to run as; None: that of this process.
    """
    command = [sys.executable, "-m", "doorward.proxy.supervisor", f"--state={state.absolute()}", "--detach"]
    account = user()
    command += [f"--user={account}"] if account is not None else []
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise HostError("the session workers do not start") from error
    if done.returncode:
        raise HostError(f"the session workers do not start: see {state / 'workers' / 'log'}")
