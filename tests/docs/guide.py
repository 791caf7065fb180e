"""The guide, and a shell in which its commands are pasted beside a fresh server."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.support.server import running
from tests.support.zygote import zygote

GUIDE = Path(__file__).parents[2] / "docs" / "guide.md"


def section(title: str) -> str:
    return GUIDE.read_text().partition(f"## {title}\n")[2].partition("\n## ")[0]


def blocks(title: str, kind: str) -> list[str]:
    """Return what stands in a section between lines of back quotes, of one kind."""
    return re.findall(rf"```{kind}\n(.*?)```", section(title), re.DOTALL)


def path() -> str:
    """Return the PATH of a user: the command, forked where it stands, before all else."""
    return os.pathsep.join([str(zygote().commands), str(Path(sys.executable).parent), os.environ["PATH"]])


def pasted(commands: str, home: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run commands in a shell of a user."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("DOORWARD_", "XDG_"))}
    environment |= {"HOME": str(home), "PATH": path(), **variables}
    command = ["bash", "-eu", "-o", "pipefail", "-c", commands]
    return subprocess.run(command, env=environment, cwd=home, capture_output=True, text=True, timeout=300, check=False)


def shell(commands: str, tmp_path: Path, said: str = "", **variables: str) -> str:
    """Run commands beside a fresh server and return what they print; ``said`` matches what they say on standard error."""
    state = tmp_path / ".local" / "state" / "doorward"
    with running(state, environment={"HOME": str(tmp_path), "DOORWARD_ADMIN_PASSWORD": ""}) as server:
        done = pasted(commands, tmp_path, DOORWARD_URL=server.url, **variables)
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(said, done.stderr), done.stderr
    return done.stdout
