"""A server that was begun with ``doorward quickstart``, a target behind it, and OpenSSH clients before it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.ports import free_port
from tests.support.server import Server, running, until
from tests.system.backup_support import open_directory
from tests.system.command_line import CommandLine, Done, Terminal
from tests.system.ssh_support import SETTINGS, run
from tests.system.sshd_support import ACCOUNT, Sshd

PASSWORD = "what-only-the-target-knows"
_OPTIONS = ["-F", "none", "-o", "PubkeyAuthentication=no", "-o", "StrictHostKeyChecking=no", "-o", "LogLevel=ERROR"]


@dataclass
class Served:
    """A gateway on ``port``; users log in with the password of the target."""

    server: Server
    sshd: Sshd
    cli: CommandLine
    port: int
    address: str = "127.0.0.1"
    started: str = ""
    """What the quickstart said."""
    refused: Done = field(default_factory=lambda: Done(0, ""))
    """How it ended before, while another program had the port."""
    trusted_then: str = ""
    """What was trusted after that."""

    @property
    def login(self) -> str:
        return f"{ACCOUNT}@127.0.0.1:{self.sshd.port}"

    @property
    def home(self) -> Path:
        """Of the account on the target."""
        return self.sshd.directory / "home"

    def environment(self) -> dict[str, str]:
        ask = self.cli.home / "ask"
        ask.write_text(f"#!/bin/sh\necho {PASSWORD}\n")
        ask.chmod(0o755)
        return {**os.environ, "HOME": str(self.cli.home), "SSH_ASKPASS": str(ask), "SSH_ASKPASS_REQUIRE": "force"}

    def command(self, program: str = "ssh") -> list[str]:
        known = ["-o", f"UserKnownHostsFile={self.cli.home}/known_hosts"]
        return [program, *_OPTIONS, *known, "-o", f"Port={self.port}", "-o", f"User={self.login}"]

    def ssh(self, *words: str) -> subprocess.CompletedProcess[bytes]:
        return run([*self.command(), "127.0.0.1", *words], env=self.environment())

    def terminal(self) -> Terminal:
        """Open a shell with a terminal, and see that it answers."""
        opened = Terminal([*self.command(), "-tt", "127.0.0.1"], self.environment(), self.cli.home)
        opened.types("echo here-$((40+2))")
        opened.awaits("here-42")
        return opened

    def follow(self, key: str, *words: str) -> Terminal:
        return self.cli.on_terminal("sessions", "follow", key, *words)

    def live(self) -> list[str]:
        """Return the keys of the sessions that run."""
        return [one["key"] for one in json.loads(self.cli.ok("sessions", "list", "--live", "--json"))]

    def only(self) -> str:
        """Return the key of the one session that runs."""
        [key] = until(lambda: len(found := self.live()) == 1 and found, what="one session")
        return str(key)

    def last(self) -> str:
        """Return the key of the session that began last."""
        return str(json.loads(self.cli.ok("sessions", "list", "--limit", "1", "--json"))[0]["key"])

    def body(self, key: str) -> Any:
        return json.loads(self.cli.ok("sessions", "show", key, "--json"))


@contextmanager
def served(state: Path, home: Path, **options: Any) -> Iterator[Served]:
    """Start a target, a server, and let sessions through. Nothing of it is left afterwards. ``options`` are the server's."""
    with open_directory("served") as directory, running(state, **options) as server:
        sshd = Sshd(directory / "target", [], password=PASSWORD, settings=SETTINGS)
        try:
            sshd.start()
            found = Served(server, sshd, CommandLine(server, home), free_port())
            with socket.create_server(("127.0.0.1", found.port)):  # of somebody else
                found.refused = found.cli("quickstart", "ssh", "--yes", "--port", str(found.port), found.login)
                found.trusted_then = found.cli.ok("host-keys", "list")
            found.started = found.cli.ok("quickstart", "ssh", "--yes", "--port", str(found.port), found.login)
            yield found
        finally:
            sshd.stop()


def die(gateway: Served) -> None:
    """End all of a gateway at once, as a machine does."""
    gateway.server.kill()
    for process in left_behind(gateway.server.state):
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    until(lambda: left_behind(gateway.server.state) == [], what="that nothing is left of it")


def revive(gateway: Served) -> None:
    """Start a gateway again that died."""
    gateway.server.start()
    gateway.cli.variables = {**gateway.cli.variables, "DOORWARD_URL": gateway.server.url}


def left_behind(state: Path) -> list[int]:
    """Return the processes that carry sessions of a state directory."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:  # it has ended
            continue
        if f"--state={state}".encode() in words:
            found.append(int(process.name))
    return found
