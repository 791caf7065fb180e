"""Services that systemd runs: the few verbs a driver needs."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final

from doorward.host.errors import HostError

_TIMEOUT_SECONDS: Final = 10.0


def booted() -> bool:
    """Whether systemd is the init of this machine (what `sd_booted(3)` looks at)."""
    return Path("/run/systemd/system").is_dir()


class Unit:
    """One systemd unit, such as "chrony"."""

    def __init__(self, name: str, systemctl: str = "systemctl") -> None:
        """`systemctl` is the program to call."""
        self.name = name
        self._systemctl = systemctl

    def active(self) -> bool:
        """Whether the unit runs."""
        return self._run("is-active", "--quiet").returncode == 0

    def start(self) -> None:
        """Start it; returns when systemd says it started."""
        self._must("start")

    def restart(self) -> None:
        """Stop and start it."""
        # A unit that failed too often is not started any more; a commit that mends it must be able to.
        self._run("reset-failed")
        self._must("restart")

    def _must(self, verb: str) -> None:
        if self._run(verb).returncode != 0:
            raise HostError(f"systemd could not {verb} the service {self.name}")

    def _run(self, verb: str, *options: str) -> subprocess.CompletedProcess[bytes]:
        command = [self._systemctl, verb, *options, self.name]
        try:
            return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_TIMEOUT_SECONDS, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise HostError(f"systemctl {verb} {self.name} gave no answer") from error
