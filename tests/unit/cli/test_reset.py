"""`doorward reset-password`: whoever owns the state directory gets in again."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from doorward.appliance.local_requests import SOCKET, short_name
from doorward.cli.main import app
from tests.support.runner import CliRunner
from tests.support.server import PASSWORD, Server, running, until
from tests.support.waiting import PATIENCE
from tests.system.backup_support import open_directory
from tests.system.sshd_support import OWNER

NEW = "My-0wn-horse-battery"
STRANGER = """
import os, socket, sys
directory = os.open(sys.argv[1], os.O_PATH)
os.setresgid(*[int(sys.argv[2])] * 3)
os.setresuid(*[int(sys.argv[2])] * 3)
connection = socket.socket(socket.AF_UNIX)
connection.connect(f"/proc/self/fd/{directory}/local.sock")
connection.sendall(b'{"type":"reset_password","password":"My-0wn-horse-battery"}\\n')
print(connection.makefile().readline())
"""


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


def told(server: Server) -> int:
    """How many alerts of a reset the server has logged."""
    return "".join(server.errors).count("doorwardPasswordReset")


def test_a_lost_password_is_replaced(stopped: Server) -> None:
    code, said = reset(stopped)
    assert (code, said) == (0, "The password of admin is a new one, with revision 2.\n")
    stopped.start()
    try:
        client = stopped.login(password=NEW)
        newest = client.get("/api/revisions?limit=1").json()["items"][0]["body"]
        assert (newest["author"], newest["commit_message"]) == ("doorward", "The password of admin was reset on the machine.")
        assert stopped.client().get("/api/authentication", auth=("admin", PASSWORD)).status_code == 401
        until(lambda: told(stopped) == 1, what="the alert of a reset beside no server")
        stopped.stop()
        stopped.start()
        stopped.login(password=NEW)
        assert told(stopped) == 0
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


def test_a_running_server_does_it_itself(tmp_path: Path) -> None:
    with running(tmp_path / "state", environment={"DOORWARD_ADMIN_PASSWORD": ""}) as server:
        first = server.state / "initial-admin-password"
        before = server.login(password=first.read_text(encoding="ascii").strip())
        assert reset(server) == (0, "The password of admin is a new one, with revision 2.\n")
        assert before.get("/api/configuration/datetime").status_code == 401
        newest = server.login(password=NEW).get("/api/revisions?limit=1").json()["items"][0]["body"]
        assert (newest["author"], newest["commit_message"]) == ("doorward", "The password of admin was reset on the machine.")
        assert not first.exists()
        until(lambda: told(server) == 1, what="the alert")
        assert NEW not in "".join(server.errors)


def test_a_running_server_holds_to_the_policy(tmp_path: Path) -> None:
    with running(tmp_path / "state") as server:
        before = server.login()
        code, said = reset(server, "short")
        assert (code, said.startswith("The password was not changed: "), "characters" in said) == (1, True, True)
        assert before.get("/api/configuration/datetime").status_code == 200
        server.login()


def test_nothing_is_reset_while_a_commit_awaits_its_confirmation(tmp_path: Path) -> None:
    with running(tmp_path / "state") as server:
        client = server.login()
        client.put("/api/configuration/management/webinterface", {"timeout": 20})
        client.put("/api/transaction", {"status": "commit", "confirm_seconds": 600})
        code, said = reset(server)
        assert (code, "awaits its confirmation" in said) == (1, True)
        client.put("/api/transaction", {"status": "confirm"})
        assert reset(server)[0] == 0


def test_the_socket_is_for_root_and_the_owner_alone(tmp_path: Path) -> None:
    with running(tmp_path / "state") as server:
        socket_of_the_server = server.state / SOCKET
        assert stat.S_IMODE(socket_of_the_server.stat().st_mode) == 0o600
        socket_of_the_server.chmod(0o666)
        socket_of_the_server.parent.chmod(0o711)
        done = subprocess.run([sys.executable, "-c", STRANGER, str(server.state / SOCKET.parent), str(OWNER)],
                              capture_output=True, text=True, check=True)  # fmt: skip
        assert "Only root and the owner" in done.stdout
        server.login()
    assert not socket_of_the_server.exists()


@pytest.mark.parametrize(
    "line", [b"{}\n", b"nonsense\n", b'{"type":"reset_password","password":"My-0wn-horse-battery","more":1}\n']
)
def test_what_the_server_does_not_know_it_refuses(tmp_path: Path, line: bytes) -> None:
    with running(tmp_path / "state") as server, socket.socket(socket.AF_UNIX) as connection:
        with short_name(server.state / SOCKET) as name:
            connection.connect(name)
        connection.sendall(line)
        assert b"does not know the request" in connection.makefile("rb").readline()
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
        done = subprocess.run(words, input=f"{NEW}\n", capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert done.returncode == 0, done.stderr
        owners = {path.lstat().st_uid for path in (directory / "state").rglob("*")}
        assert owners == {OWNER}
