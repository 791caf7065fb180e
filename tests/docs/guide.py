"""The guide, and a shell in which its commands are pasted beside a fresh server."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.support.server import running

GUIDE = Path(__file__).parents[2] / "docs" / "guide.md"


def section(title: str) -> str:
    return GUIDE.read_text().partition(f"## {title}\n")[2].partition("\n## ")[0]


def blocks(title: str, kind: str) -> list[str]:
    """Return what stands in a section between lines of back quotes, of one kind."""
    return re.findall(rf"```{kind}\n(.*?)```", section(title), re.DOTALL)


def shell(commands: str, tmp_path: Path, said: str = "", **variables: str) -> str:
    """Run commands beside a fresh server and return what they print; ``said`` matches what they say on standard error."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("DOORWARD_", "XDG_"))}
    environment |= {"HOME": str(tmp_path), "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    state = tmp_path / ".local" / "state" / "doorward"
    with running(state, environment={"HOME": str(tmp_path), "DOORWARD_ADMIN_PASSWORD": ""}) as server:
        done = subprocess.run(
            ["bash", "-eu", "-c", commands],
            env={**environment, "DOORWARD_URL": server.url, **variables},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(said, done.stderr), done.stderr
    return done.stdout
