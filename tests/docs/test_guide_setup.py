"""The wizard of the guide does what it says, pasted into a shell beside a server that waits."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.docs.guide import blocks
from tests.support.server import running


def test_the_section_on_the_wizard_is_true(tmp_path: Path) -> None:
    [answers] = blocks("Set up a node with the wizard", "json")
    [commands] = blocks("Set up a node with the wizard", "sh")
    (tmp_path / "answers.json").write_text(answers)
    state = tmp_path / ".local" / "state" / "doorward"
    with running(state, options=("--setup", "wizard"), environment={"DOORWARD_ADMIN_PASSWORD": ""}) as server:
        done = subprocess.run(
            ["bash", "-eu", "-c", commands.replace("https://127.0.0.1:8443", server.url)],
            env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}, cwd=tmp_path, capture_output=True, text=True, timeout=60,
            check=False,
        )  # fmt: skip
        server.login(password="correct-horse-battery")
    status, _, shown = done.stdout.partition("\n")
    assert (done.returncode, status) == (0, "303"), done.stderr
    assert '"status":"completed"' in shown
