"""A real sshd, a child of the test, with an account of its own that has no special rights."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from tests.support.ports import free_port
from tests.support.server import until
from tests.support.waiting import PATIENCE

ACCOUNT = "doorward-test"
OWNER = 64123
"""User and group of the account. Nobody on this machine has it."""


def key_pair(directory: Path, name: str, kind: str = "ed25519") -> tuple[str, str]:
    """Make a key; return the private one and the public one."""
    file = directory / name
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", name, "-f", str(file)], check=True)
    return file.read_text(), " ".join(file.with_suffix(".pub").read_text().split()[:2])


@dataclass
class Sshd:
    """``sshd`` on a port of 127.0.0.1. It sees its own ``/etc/passwd``; ``keys`` are the lines of authorized_keys."""

    directory: Path
    keys: list[str]
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None
    host_key: str = ""
    banner: str = ""
    """What it shows to whoever comes, before anybody logs in."""
    password: str = ""
    """The password of the account; none: it has none."""
    settings: str = ""
    """Lines of its configuration that come first, and so win."""

    def start(self) -> Self:
        """Start it; wait until it listens."""
        assert os.geteuid() == 0, "only root can start an sshd for another account"
        self.directory.mkdir(exist_ok=True)
        Path("/run/sshd").mkdir(exist_ok=True)
        if not self.host_key:
            self.host_key = key_pair(self.directory, "host")[1]
        home = self.directory / "home"
        home.mkdir(exist_ok=True)
        os.chown(home, OWNER, OWNER)
        accounts = self.directory / "passwd"
        hashed = "*"
        if self.password:
            made = subprocess.run(
                ["openssl", "passwd", "-6", "-stdin"], input=self.password.encode(), capture_output=True, check=True
            )
            hashed = made.stdout.decode().strip()
        accounts.write_text(f"{Path('/etc/passwd').read_text()}{ACCOUNT}:{hashed}:{OWNER}:{OWNER}::{home}:/bin/sh\n")
        self.authorize(*self.keys)
        configuration = self.directory / "sshd_config"
        configuration.write_text(self._configuration())
        program = shutil.which("sshd", path="/usr/sbin:/usr/bin:/sbin")
        assert program, "sshd is not installed (Debian package openssh-server)"
        script = 'mount --bind "$1" /etc/passwd && shift && exec "$@"'
        command = ["unshare", "--mount", "sh", "-c", script, "sh", str(accounts), program, "-D", "-e", "-f", str(configuration)]
        with (self.directory / "log").open("wb") as log:
            self.process = subprocess.Popen(command, stderr=log, start_new_session=True)
        until(self._listens, what="sshd")
        return self

    def authorize(self, *keys: str) -> None:
        """Take these lines for authorized_keys."""
        self.keys = list(keys)
        (self.directory / "authorized_keys").write_text("".join(f"{key}\n" for key in keys))

    def _configuration(self) -> str:
        (self.directory / "banner").write_text(self.banner)
        # StrictModes would look at the modes of the directories above, which belong to pytest.
        return f"""
{self.settings}
ListenAddress 127.0.0.1
Port {self.port}
HostKey {self.directory / "host"}
AuthorizedKeysFile {self.directory / "authorized_keys"}
PidFile none
Banner {self.directory / "banner"}
StrictModes no
UsePAM no
PasswordAuthentication {"yes" if self.password else "no"}
KbdInteractiveAuthentication no
MaxStartups 100
KexAlgorithms curve25519-sha256
"""

    def _listens(self) -> bool:
        assert self.process
        assert self.process.poll() is None, (self.directory / "log").read_text()
        return "listening" in (self.directory / "log").read_text()

    def stop(self) -> None:
        """End it with all its sessions."""
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGTERM)
            self.process.wait(PATIENCE)
            self.process = None
