"""Where the helper of this machine listens."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

SOCKET: Final = Path("/run/doorward/host.sock")
"""Of a helper that systemd runs."""
VARIABLE: Final = "DOORWARD_HELPER"
"""The environment variable that names another socket."""


def helper_socket() -> Path:
    """Return the socket of the helper that this process is to ask."""
    return Path(os.environ.get(VARIABLE) or SOCKET)
