"""Starts the processes that carry sessions: beside the server, not below it, so that they outlive it.

On a machine that is the server's own they run as another account than root: whatever clients and targets make of a worker, it has
none of the rights of the server.
"""

from __future__ import annotations

import pwd
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from doorward.host import unprivileged
from doorward.host.errors import HostError
from doorward.host.helper.places import helper_socket
from doorward.proxy.worker.places import Places

_SECONDS = 60.0
"""How long their start may take, on a busy machine."""


ACCOUNTS = ("_doorward-workers", *unprivileged.ACCOUNTS)
"""Who workers run as where the server is root: the first that the machine has."""


def worker_account() -> str:
    """Return the name of who workers run as on a machine that is the server's own. Raises HostError."""
    for name in ACCOUNTS:
        with suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    raise HostError(f"no account for session workers: {' or '.join(ACCOUNTS)}")


def command(state: Path, user: str | None = None) -> list[str]:
    """Return the command that starts the supervisor of a state directory, where none runs, and ends when its workers run.

    ``user``: the account it is to run as, where root starts it.
    """
    account = [f"--user={user}"] if user is not None else []
    return [sys.executable, "-m", "doorward.proxy.supervisor", f"--state={state.absolute()}", "--detach", *account]


def start_workers(state: Path) -> None:
    """Start workers as this process's user. Raises HostError."""
    try:
        done = subprocess.run(command(state), stdin=subprocess.DEVNULL, capture_output=True, timeout=_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise HostError("the session workers do not start") from error
    if done.returncode:
        raise HostError(f"the session workers do not start: see {state / 'workers' / 'log'}")


def have_workers_started(state: Path) -> None:
    """Have the helper of this machine start workers as an account of their own, unless a supervisor runs. Raises HostError."""
    from doorward.host.helper.remote import HelperClient
    from doorward.host.helper.wire import Done, StartWorkers
    from doorward.proxy.local_sockets import StrangerError, check_peer, dial

    places = Places.of(state)
    with suppress(OSError, StrangerError), dial(places.supervisor) as connection:
        check_peer(connection, places.owners())
        return
    HelperClient(helper_socket()).ask_apart(StartWorkers(), Done, _SECONDS)
