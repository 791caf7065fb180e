"""Starts the processes that carry sessions: beside the server, not below it, so that they outlive it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from doorward.host.errors import HostError

_SECONDS = 60.0
"""How long their start may take, on a busy machine."""


def start_workers(state: Path) -> None:
    """Start the supervisor of a state directory, where none runs. Returns when its workers run. Raises HostError."""
    command = [sys.executable, "-m", "doorward.proxy.supervisor", f"--state={state.absolute()}", "--detach"]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise HostError("the session workers do not start") from error
    if done.returncode:
        raise HostError(f"the session workers do not start: see {state / 'workers' / 'log'}")
