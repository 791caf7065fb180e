"""A real Samba, a child of the test, on a port of its own with directories of its own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from tests.support.ports import free_port
from tests.support.server import until
from tests.support.waiting import PATIENCE
from tests.system.sshd_support import OWNER

if TYPE_CHECKING:
    from pathlib import Path

ACCOUNT = "doorward-smb"
PASSWORD = "pässwort with blank"


@dataclass
class Samba:
    """``smbd`` on 127.0.0.1. Every share is a directory of the same name; ``options`` go into the global section."""

    directory: Path
    shares: dict[str, str]
    options: str = ""
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        """Start it; wait until it listens."""
        assert os.geteuid() == 0, "only root can start an smbd"
        for name in ("private", "lock", "state", "cache", "pid", "ncalrpc"):
            (self.directory / name).mkdir(parents=True, exist_ok=True)
        for share in self.shares:
            place = self.directory / share
            place.mkdir(exist_ok=True)
            os.chown(place, OWNER, OWNER)
        accounts = self.directory / "passwd"
        accounts.write_text(
            f"root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n{ACCOUNT}:x:{OWNER}:{OWNER}::/:/bin/false\n"
        )
        configuration = self.directory / "smb.conf"
        configuration.write_text(self._configuration())
        self.account("-s", "-a", typed=f"{PASSWORD}\n{PASSWORD}\n")
        program = shutil.which("smbd", path="/usr/sbin:/usr/bin:/sbin")
        assert program, "smbd is not installed (Debian package samba)"
        with (self.directory / "log").open("wb") as log:
            self.process = subprocess.Popen(  # a session of its own: at its end smbd signals the whole group
                [*self._inside, program, "--foreground", "--no-process-group", "--debug-stdout", "-s", str(configuration)],
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        until(self._listens, what="smbd")
        return self

    @property
    def _inside(self) -> list[str]:
        """What makes a program see the accounts of the server."""
        script = 'mount --bind "$1" /etc/passwd && shift && exec "$@"'
        return ["unshare", "--mount", "sh", "-c", script, "sh", str(self.directory / "passwd")]

    def account(self, *options: str, typed: str = "") -> None:
        """Add, lock (``-d``) or unlock (``-e``) the account."""
        command = [*self._inside, "smbpasswd", "-c", str(self.directory / "smb.conf"), *options, ACCOUNT]
        subprocess.run(command, input=typed.encode(), check=True, capture_output=True)

    def _configuration(self) -> str:
        base = self.directory
        shares = "".join(f"[{name}]\npath = {base / name}\n{options}\n" for name, options in self.shares.items())
        return f"""[global]
server role = standalone server
interfaces = lo
bind interfaces only = no
smb ports = {self.port}
disable netbios = yes
disable spoolss = yes
load printers = no
server services = -dns
private dir = {base}/private
lock directory = {base}/lock
state directory = {base}/state
cache directory = {base}/cache
pid directory = {base}/pid
ncalrpc dir = {base}/ncalrpc
passdb backend = tdbsam
log level = 0
map to guest = Bad User
guest account = nobody
deadtime = 1
strict sync = yes
{self.options}
{shares}"""

    def _listens(self) -> bool:
        import socket

        assert self.process
        assert self.process.poll() is None, (self.directory / "log").read_text()
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True

    def stop(self) -> None:
        """End it with all its children."""
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGTERM)
            self.process.wait(PATIENCE)
            self.process = None
