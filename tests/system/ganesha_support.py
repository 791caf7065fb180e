"""A real NFS-Ganesha with rpcbind, children of the test, in a network namespace of their own behind a pair of virtual cards."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import socket
import subprocess
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Self

from tests.support.server import until, worker
from tests.support.waiting import PATIENCE

OWNER = 64124
"""What root becomes on the exports."""

_turn = itertools.count()


def _free_network() -> int:
    """A number that no other worker takes: all of them are forked from one process."""
    return worker() % 12 * 5_000 + next(_turn) % 1_250 * 4


_START = """
set -e
mount -t tmpfs run /run && mkdir -p /run/rpcbind /run/ganesha && chmod 777 /run/rpcbind
mount -t tmpfs nfs /var/lib/nfs && mkdir -p /var/lib/nfs/ganesha
ip link set lo up
while ! ip link show "$1" >/dev/null 2>&1; do sleep 0.02; done
ip address add "$2/30" dev "$1" && ip link set "$1" up
rpcbind -w -f & sleep 0.2
exec "$3" -F -f "$4" -L "$5" -p /run/ganesha.pid
"""
PORTS = (111, 2049, 20048)
"""Port mapper, NFS, mount protocol."""


@dataclass
class Ganesha:
    """An NFSv3 server. Every export is a directory of the same name, reachable at ``address``."""

    directory: Path
    exports: dict[str, str]
    protocols: str = "3"
    network: int = field(default_factory=_free_network)
    process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """The address of the server."""
        return self._address(2)

    def _address(self, last: int) -> str:
        return f"10.231.{self.network >> 8}.{(self.network & 0xFC) + last}"

    def start(self) -> Self:
        """Start it; wait until it answers."""
        assert os.geteuid() == 0, "only root can start an NFS server"
        program = shutil.which("ganesha.nfsd", path="/usr/bin:/usr/sbin")
        assert program, "NFS-Ganesha is not installed (Debian packages nfs-ganesha and nfs-ganesha-vfs)"
        for name in self.exports:
            place = self.directory / name
            place.mkdir(exist_ok=True)
            os.chown(place, OWNER, OWNER)
        configuration = self.directory / "ganesha.conf"
        configuration.write_text(self._configuration())
        near, far = f"dw{self.network:x}n", f"dw{self.network:x}f"
        command = ["unshare", "--net", "--mount", "sh", "-c", _START, "sh", far, self.address, program, str(configuration)]
        with (self.directory / "output").open("wb") as output:
            self.process = subprocess.Popen(
                [*command, str(self.directory / "log")], stdout=output, stderr=output, start_new_session=True
            )
        ours = Path("/proc/self/ns/net").readlink()
        until(lambda: Path(f"/proc/{self._pid}/ns/net").readlink() != ours, what="the network namespace")
        for arguments in (
            ["link", "add", near, "type", "veth", "peer", "name", far, "netns", str(self._pid)],
            ["address", "add", f"{self._address(1)}/30", "dev", near],
            ["link", "set", near, "up"],
        ):
            subprocess.run(["ip", *arguments], check=True)
        for port in PORTS if self.protocols == "3" else PORTS[:2]:
            until(partial(self._listens, port), 30, f"ganesha on port {port}")
        return self

    @property
    def _pid(self) -> int:
        assert self.process
        return self.process.pid

    def _configuration(self) -> str:
        exports = "".join(
            f"EXPORT {{ Export_Id = {number}; Path = {self.directory / name}; Pseudo = /{name}; {options} Squash = All_Squash;"
            f" Anonymous_Uid = {OWNER}; Anonymous_Gid = {OWNER}; SecType = sys; Transports = TCP;"
            f" Protocols = {self.protocols}; PrivilegedPort = false; FSAL {{ Name = VFS; }} }}\n"
            for number, (name, options) in enumerate(self.exports.items(), 1)
        )
        return f"""
NFS_CORE_PARAM {{ Protocols = {self.protocols}; NFS_Port = 2049; MNT_Port = 20048; Enable_NLM = false; Enable_RQUOTA = false; }}
NFSv4 {{ Graceless = true; }}
LOG {{ Default_Log_Level = EVENT; }}
{exports}"""

    def _listens(self, port: int) -> bool:
        assert self.process
        assert self.process.poll() is None, (self.directory / "output").read_text() + self._log()
        try:
            socket.create_connection((self.address, port), 1).close()
        except OSError:
            return False
        return True

    def _log(self) -> str:
        file = self.directory / "log"
        return file.read_text(errors="replace")[-3000:] if file.exists() else ""

    def stop(self) -> None:
        """End it; the virtual cards go with the namespace."""
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(PATIENCE)
            self.process = None
