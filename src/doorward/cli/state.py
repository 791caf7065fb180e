"""Where a server of this machine keeps its state."""

from __future__ import annotations

import os
from pathlib import Path

SYSTEM = Path("/var/lib/doorward")


def sandbox_state() -> Path:
    """Return the default state directory of the sandbox."""
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "doorward"


def local_file(name: str) -> Path | None:
    """Return a file of the default state directory that this user may read: the sandbox's, else the system's."""
    for state in (sandbox_state(), SYSTEM):
        if os.access(state / "tls" / "ca.pem", os.R_OK):
            return state / name if os.access(state / name, os.R_OK) else None
    return None
