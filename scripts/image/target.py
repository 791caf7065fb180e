"""A server of SSH beside containers, in their network, and users who go to it through the gateway in them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from scripts.deb.machine import until
from scripts.deb.sessions import OPTIONS
from scripts.image.account import NAME, PASSWORD
from scripts.image.build import SSH_PORT

PORT: Final = 2022
LOGIN: Final = f"{NAME}@127.0.0.1:{PORT}"


def inside(process: int) -> list[str]:
    """Return what comes before a command that runs in the network of a process."""
    return ["nsenter", f"--target={process}", "--net", "--"]


@contextmanager
def target(process: int, directory: Path) -> Iterator[None]:
    """Have the server for the time of a block. It lets the account of the trial in, and has one key each time."""
    Path("/run/sshd").mkdir(exist_ok=True)
    if not (directory / "host").exists():
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(directory / "host")], check=True)
    settings = directory / "sshd_config"
    settings.write_text(
        f"ListenAddress 127.0.0.1\nPort {PORT}\nHostKey {directory / 'host'}\nPidFile none\nUsePAM no\n"
        "PasswordAuthentication yes\n"
    )
    log = directory / "sshd.log"
    with log.open("wb") as written:
        server = subprocess.Popen([*inside(process), "/usr/sbin/sshd", "-D", "-e", "-f", str(settings)], stderr=written)
    try:
        until(lambda: server.poll() is not None or "listening" in log.read_text(), "the server")
        yield
    finally:
        server.terminate()
        server.wait()


def client(process: int, directory: Path) -> list[str]:
    """Return the command of a user who goes to the server through the gateway, where everything is said again."""
    ask = directory / "ask"
    ask.write_text(f"#!/bin/sh\necho {PASSWORD}\n")
    ask.chmod(0o700)
    known = ["env", f"--chdir={directory}", f"SSH_ASKPASS={ask}", "SSH_ASKPASS_REQUIRE=force"]
    return [*inside(process), *known, "ssh", *OPTIONS.split(), f"-p{SSH_PORT}", f"-l{LOGIN}", "127.0.0.1", "cat"]
