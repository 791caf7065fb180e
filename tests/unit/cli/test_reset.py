"""`doorward reset-password`: whoever owns the state directory gets in again."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from doorward.cli.main import app
from tests.support.server import Server, running
from tests.system.backup_support import open_directory
from tests.system.sshd_support import OWNER

NEW = "My-0wn-horse-battery"


@pytest.fixture
def stopped(tmp_path: Path) -> Server:
    """A node that was started once, with a password that nobody knows any more."""
    server = Server(tmp_path / "state").start()
    server.stop()
    return server


def reset(server: Server, password: str = NEW) -> tuple[int, str]:
    words = ["reset-password", "--state", str(server.state), "--new-password-file", "-"]
    done = CliRunner().invoke(app, words, input=f"{password}\n", env={"DOORWARD_PROMPT": "0"})
    return done.exit_code, done.output


def test_a_lost_password_is_replaced(stopped: Server) -> None:
    code, said = reset(stopped)
    assert (code, said) == (0, "The password of admin is a new one, with revision 2. Start the server and log in.\n")
    stopped.start()
    try:
        client = stopped.login(password=NEW)
        newest = client.get("/api/revisions?limit=1").json()["items"][0]["body"]
        assert (newest["author"], newest["commit_message"]) == ("doorward", "The password of admin was reset on the machine.")
        assert stopped.client().get("/api/authentication", auth=("admin", "Tr0ub4dor-and-a-horse")).status_code == 401
    finally:
        stopped.stop()
    verified = CliRunner().invoke(app, ["verify", "--state", str(stopped.state)])
    assert verified.exit_code == 0, verified.output


def test_the_policy_holds(stopped: Server) -> None:
    code, said = reset(stopped, "short")
    assert code == 1
    assert said.startswith("The password was not changed: ")
    stopped.start()
    try:
        stopped.login()
    finally:
        stopped.stop()


def test_it_is_refused_beside_a_server(tmp_path: Path) -> None:
    with running(tmp_path / "state") as server:
        code, said = reset(server)
        assert (code, "Another server (process" in said, "doorward passwd admin" in said) == (1, True, True)
        server.login()


def test_it_is_no_way_around_the_first_settings(tmp_path: Path) -> None:
    waiting = Server(tmp_path / "state", options=("--setup", "wizard"), environment={"DOORWARD_ADMIN_PASSWORD": ""}).start()
    waiting.stop()
    code, said = reset(waiting)
    assert (code, "awaits its first settings" in said) == (1, True)


def test_a_directory_without_state_stays_empty(tmp_path: Path) -> None:
    server = Server(tmp_path)
    code, said = reset(server)
    assert (code, "holds no state of Doorward" in said) == (1, True)
    assert list(tmp_path.iterdir()) == []


def test_root_leaves_the_files_to_their_owner(tmp_path: Path, stopped: Server) -> None:
    program = Path(sys.executable).with_name("doorward")
    with open_directory("reset") as directory:
        shutil.copytree(stopped.state, directory / "state", ignore=shutil.ignore_patterns("*.sock", "run"))
        for path in (directory / "state", *(directory / "state").rglob("*")):
            os.chown(path, OWNER, OWNER, follow_symlinks=False)
        words = [str(program), "reset-password", "--state", str(directory / "state"), "--new-password-file", "-"]
        done = subprocess.run(words, input=f"{NEW}\n", capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        owners = {path.lstat().st_uid for path in (directory / "state").rglob("*")}
        assert owners == {OWNER}
