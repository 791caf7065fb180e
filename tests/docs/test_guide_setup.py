"""The wizard of the guide does what it says, pasted into a shell beside a server that waits."""

from __future__ import annotations

from pathlib import Path

from tests.docs.guide import blocks, pasted
from tests.support.server import running


def test_the_section_on_the_wizard_is_true(tmp_path: Path) -> None:
    [answers] = blocks("Set up a node with the wizard", "json")
    [commands] = blocks("Set up a node with the wizard", "sh")
    (tmp_path / "answers.json").write_text(answers)
    state = tmp_path / ".local" / "state" / "doorward"
    with running(state, options=("--setup", "wizard"), environment={"DOORWARD_ADMIN_PASSWORD": ""}) as server:
        done = pasted(commands, tmp_path)
        assert done.returncode == 0, done.stderr
        server.login(password="correct-horse-battery")
        assert f"{server.url}, as admin" in done.stdout
    assert "The node is set up" in done.stdout
    assert "correct-horse-battery" not in done.stdout
