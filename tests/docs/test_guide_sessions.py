"""The page of the guide on sessions does what it says, pasted into a shell beside a fresh server and a real sshd."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.docs.guide import blocks, pasted, path
from tests.support.ports import free_port
from tests.support.server import running, until
from tests.system.backup_support import open_directory
from tests.system.ssh_support import SETTINGS
from tests.system.sshd_support import ACCOUNT, Sshd

ADAPTED = "ACCOUNT=root SERVER=192.0.2.10 GATE=2222\n"
PASSWORD = "of-the-server"


@contextmanager
def target() -> Iterator[Sshd]:
    with open_directory("guide") as directory:
        sshd = Sshd(directory / "target", [], password=PASSWORD, settings=SETTINGS).start()
        try:
            yield sshd
        finally:
            sshd.stop()


def user_at(home: Path) -> dict[str, str]:
    """Return the environment of a user who types the password, and whose ssh has never met the gateway."""
    ask, ssh = home / "ask", home / "bin" / "ssh"
    ask.write_text(f"#!/bin/sh\necho {PASSWORD}\n")
    ssh.parent.mkdir()
    options = f"-F none -o UserKnownHostsFile={home}/known -o StrictHostKeyChecking=accept-new -o PubkeyAuthentication=no"
    ssh.write_text(f'#!/bin/sh\nexec /usr/bin/ssh {options} "$@"\n')
    for program in (ask, ssh):
        program.chmod(0o755)
    return {"PATH": f"{ssh.parent}{os.pathsep}{path()}", "SSH_ASKPASS": str(ask), "SSH_ASKPASS_REQUIRE": "force"}


def by_name(home: Path, user: dict[str, str], port: int, login: str) -> None:
    """The settings for users, with a gateway and a server that there are: programs of OpenSSH by the name alone."""
    [written] = blocks("Sessions in a page", "sshconfig")
    common = f"UserKnownHostsFile {home}/known\nStrictHostKeyChecking accept-new\nPubkeyAuthentication no\n"
    for mine, real in (("gateway.example.com", "127.0.0.1"), ("Port 2222", f"Port {port}"), ("root@web1.example.com", login)):
        written = written.replace(mine, real)
    (home / "ssh_config").write_text(common + written)
    (home / "sent").write_text("sent by scp")
    named = ["-F", str(home / "ssh_config")]
    environment = {**os.environ, **user, "PATH": path()}
    sent = subprocess.run(["scp", *named, str(home / "sent"), "web1:received"], env=environment, capture_output=True, check=False)
    assert sent.returncode == 0, sent.stderr.decode()
    shown = subprocess.run(
        ["ssh", *named, "web1", "cat received; rm received"], env=environment, capture_output=True, check=False
    )
    assert shown.stdout == b"sent by scp", shown.stderr.decode()


def test_the_page_on_sessions_is_true(tmp_path: Path) -> None:
    begin, first, look, forwards = blocks("Sessions in a page", "sh")
    assert begin.startswith(ADAPTED)
    state = tmp_path / ".local" / "state" / "doorward"
    given = {"HOME": str(tmp_path), "DOORWARD_ADMIN_PASSWORD": ""}
    with target() as sshd, running(state, environment=given) as server:
        gate = free_port()
        adapted = f"ACCOUNT={ACCOUNT} SERVER=127.0.0.1:{sshd.port} GATE={gate}\n"
        user = user_at(tmp_path)

        def said(commands: str) -> str:
            done = pasted(adapted + commands, tmp_path, DOORWARD_URL=server.url, **user)
            assert done.returncode == 0, done.stderr
            return done.stdout

        shown = said(begin.replace(ADAPTED, ""))
        assert "Revision 2 is in effect." in shown
        assert f"ssh-ed25519-127.0.0.1:{sshd.port}  SHA256:" in shown
        assert "a word to be found\n" in said(first)
        by_name(tmp_path, user, gate, f"{ACCOUNT}@127.0.0.1:{sshd.port}")
        until(lambda: "Nowhere" not in said("doorward sessions search found\n"), what="the word")
        shown = said(look)
        assert shown.count("a word to be found") >= 2
        assert "session.dwr: written." in shown
        assert "frames are in order" in shown
        shown = said(forwards)
        assert "channel: local-forwards" in shown
        through = f'ssh -p "$GATE" -W 127.0.0.1:{sshd.port} "$ACCOUNT@$SERVER@127.0.0.1" < /dev/null | head -c 8\n'
        assert said(through) == "SSH-2.0-"


def test_the_settings_for_users_are_what_ssh_reads(tmp_path: Path) -> None:
    [written] = blocks("Sessions in a page", "sshconfig")
    (tmp_path / "config").write_text(written)
    for host, user in (("web1", "root@web1.example.com"), ("db1", "postgres@192.0.2.20:2022")):
        read = subprocess.run(["ssh", "-G", "-F", tmp_path / "config", host], capture_output=True, text=True, check=True).stdout
        assert f"user {user}\nhostname gateway.example.com\nport 2222\n" in read.replace(f"host {host}\n", "")
