"""Records the cast: a node of its own, a time server that answers, and a terminal in which commands are typed.

Needs root, a network of its own (``scripts/offline``) and chrony.
"""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import tempfile
import termios
from pathlib import Path

from scripts.pictures.cast import COLUMNS, ROWS, Piece
from tests.support.server import Server
from tests.system.chrony_support import time_server

SERVER = "192.0.2.123"
"""The time server of the cast; the address is meant for documentation."""
COMMANDS = (
    "doorward status",
    f"doorward set datetime/ntp_servers '[{{selection: ip, value: {SERVER}}}]' -m 'Our time server'",
    "doorward time --wait",
    "doorward set datetime/ntp_servers '[{selection: ip, value: 300.1.1.1}]'",
    "doorward set --yes --confirm 5m management/webinterface.timeout 30",
    "doorward confirm",
    "doorward history",
    "doorward rollback --yes 2",
)
_PROMPT = "\x1b[32m$\x1b[0m "
_QUESTION = re.compile(rb"\[y/N\]:? ?$")


def record() -> list[Piece]:
    """Type the commands beside a fresh node and return what was seen."""
    subprocess.run(["ip", "address", "add", f"{SERVER}/32", "dev", "lo"], check=True)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder, "home")
        state = home / ".local" / "state" / "doorward"
        with time_server(Path(folder, "time"), SERVER):
            server = Server(state, environment={"HOME": str(home), "DOORWARD_ADMIN_PASSWORD": ""}, plain=True).start()
            try:
                pieces = [Piece(typed=False, text=_PROMPT)]
                for command in COMMANDS:
                    pieces += [Piece(typed=True, text=f"{command}\n"), *_typed(command, home)]
                return pieces
            finally:
                server.stop()


def _typed(command: str, home: Path) -> list[Piece]:
    """Run a command on a terminal, say yes where it asks, and return what came, with a new prompt at the end."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DOORWARD_")}
    environment |= {
        "HOME": str(home),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "TERM": "xterm-256color",
        "TZ": "UTC",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    child, terminal = pty.fork()
    if child == 0:
        os.execvpe("sh", ["sh", "-c", command], environment)  # noqa: S606 - what is typed is meant for a shell
    termios.tcsetwinsize(terminal, (ROWS, COLUMNS))
    settings = termios.tcgetattr(terminal)
    settings[3] &= ~termios.ECHO  # what is typed is a piece of its own
    termios.tcsetattr(terminal, termios.TCSANOW, settings)
    pieces: list[Piece] = []
    seen = b""
    while True:
        try:
            seen += os.read(terminal, 4096)
        except OSError:  # the other end is closed
            break
        if _QUESTION.search(seen):
            pieces += [Piece(typed=False, text=_decoded(seen)), Piece(typed=True, text="y\n")]
            seen = b""
            os.write(terminal, b"y\n")
    os.close(terminal)
    os.waitpid(child, 0)
    return [*pieces, Piece(typed=False, text=_decoded(seen) + _PROMPT)]


def _decoded(seen: bytes) -> str:
    text = seen.decode().replace("\r\n", "\n")
    wide = [line for line in re.sub(r"\x1b\[[0-9;]*m", "", text).split("\n") if len(line) > COLUMNS]
    if wide:
        raise ValueError(f"wider than the picture: {wide}")
    return text
