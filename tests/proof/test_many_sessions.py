"""Files of many gigabytes and thousands of idle sessions through a whole node, by OpenSSH's own programs: memory stays flat."""

from __future__ import annotations

import hashlib
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tests.proof.effort import SOAK, Outcome, tries
from tests.support.ports import free_port
from tests.support.server import Server, running, until
from tests.system.backup_support import open_directory
from tests.system.command_line import CommandLine
from tests.system.served import left_behind
from tests.system.ssh_support import SETTINGS
from tests.system.sshd_support import ACCOUNT, Sshd

MEBIBYTE = 1 << 20
SIZE = int(os.environ.get("DOORWARD_SPARSE_MIB") or (10 * 1024 if SOAK else 64)) * MEBIBYTE
WARM = 32 * MEBIBYTE
GROWTH = 24 * MEBIBYTE
"""Bytes that workers may take more for a large file than for a small one: buffers, and what the allocator keeps."""
IDLE_KILOBYTES = 400 if SOAK else 2000
"""Kilobytes of all workers for each of some idle sessions; of few the buffers of the workers themselves are a part."""
PASSWORD = "only-the-target-knows"


@dataclass
class Gate:
    """A gateway before a real server, and what its user's programs are started with."""

    server: Server
    port: int
    login: str
    ask: Path

    def options(self) -> list[str]:
        return [
            "-F", "none", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR",
            "-o", "PubkeyAuthentication=no", "-o", f"Port={self.port}", "-o", f"User={self.login}",
        ]  # fmt: skip

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "SSH_ASKPASS": str(self.ask), "SSH_ASKPASS_REQUIRE": "force"}

    def workers(self) -> list[psutil.Process]:
        return [psutil.Process(pid) for pid in left_behind(self.server.state)]

    def peak(self) -> int:
        """The most bytes that any of the workers has ever had."""
        found = []
        for worker in self.workers():
            lines = Path(f"/proc/{worker.pid}/status").read_text().splitlines()
            found.append(next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")))
        return max(found)

    def copy(self, source: Path, target: Path) -> float:
        """Put a file to the server and get it back; the seconds."""
        batch = source.with_suffix(".batch")
        batch.write_text(f"put {source} copied\nget copied {target}\nrm copied\n")
        began = time.monotonic()
        # With -b it would not ask for the password.
        with batch.open("rb") as commands:
            command = ["sftp", *self.options(), "127.0.0.1"]
            done = subprocess.run(command, env=self.environment, stdin=commands, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return time.monotonic() - began


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    home = tmp_path_factory.mktemp("home")
    ask = home / "ask"
    ask.write_text(f"#!/bin/sh\necho {PASSWORD}\n")
    ask.chmod(0o755)
    state = tmp_path_factory.mktemp("many") / "state"
    with open_directory("many") as directory, running(state) as server:
        sshd = Sshd(directory / "target", [], password=PASSWORD, settings=f"MaxStartups 5000\n{SETTINGS}")
        try:
            sshd.start()
            port, login = free_port(), f"{ACCOUNT}@127.0.0.1:{sshd.port}"
            cli = CommandLine(server, home)
            cli.ok("quickstart", "ssh", "--yes", "--port", str(port), login)
            cli.ok("set", "--yes", "ssh/options.limits", "{sessions: 20000, per_address: 20000}")
            yield Gate(server, port, login, ask)
        finally:
            sshd.stop()


def sparse(path: Path, size: int) -> Path:
    with path.open("wb") as file:
        file.truncate(size)
        file.seek(size // 2 + 3)
        file.write(b"an island")
    return path


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def test_a_large_file_takes_no_more_memory_than_a_small_one(gate: Gate, tmp_path: Path) -> None:
    small = sparse(tmp_path / "small", WARM)
    gate.copy(small, tmp_path / "small.back")
    before = gate.peak()
    large, back = sparse(tmp_path / "large", SIZE), tmp_path / "large.back"
    seconds = gate.copy(large, back)
    after = gate.peak()
    assert digest(back) == digest(large)
    figures = {"MB/s": 2 * SIZE / 1e6 / seconds, "grown kB": (after - before) / 1000}
    print(figures)  # noqa: T201 - what a soak shows
    Outcome("sftp both ways", 2 * SIZE // MEBIBYTE, figures).keep()
    assert after - before < GROWTH


def test_idle_sessions_of_real_clients_take_little(gate: Gate) -> None:
    """``TRIES``: how many. What breaks is told by its own words."""
    count = tries(6, 2000)
    warm = 2
    with ExitStack() as stack:

        def begin() -> subprocess.Popen[bytes]:
            command = ["ssh", "-tt", *gate.options(), "127.0.0.1", "cat"]
            client = subprocess.Popen(
                command, env=gate.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
            stack.enter_context(client)
            stack.callback(client.kill)
            return client

        def live() -> int:
            client = gate.server.login()
            answer = client.get("/api/audit/sessions/_count?q=active:true").json()
            client.http.close()
            return int(answer["count"])

        def memory() -> int:
            return sum(one.memory_full_info().uss for one in gate.workers())

        for _ in range(warm):
            begin()
        until(lambda: live() == warm, what="the first sessions")
        before, clients = memory(), [begin() for _ in range(count)]
        until(lambda: live() == warm + count or any(one.poll() is not None for one in clients), 3600, "all sessions")
        broken = [one for one in clients if one.poll() is not None]
        told = {(one.stderr.read() if one.stderr else b"").decode().strip() for one in broken}
        assert not broken, (len(broken), told)
        each = (memory() - before) / count / 1000
        print({"kB each": each})  # noqa: T201 - as above
        Outcome("idle sessions of real clients", count, {"kB each": each}).keep()
        assert each < IDLE_KILOBYTES
        for one in (clients[0], clients[-1]):  # they still live
            assert one.stdin is not None
            assert one.stdout is not None
            one.stdin.write(b"here\n")
            one.stdin.flush()
            assert b"here" in one.stdout.readline()
    until(lambda: not live(), what="the end of idle sessions")
