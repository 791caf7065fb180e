"""Files through a whole node that records their operations and digests, beside the same straight to the server: by ``sftp``."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import psutil

from benchmarks.report import Table
from tests.support.ports import free_port
from tests.support.server import running
from tests.system.command_line import CommandLine
from tests.system.served import left_behind
from tests.system.ssh_support import SETTINGS
from tests.system.sshd_support import ACCOUNT, Sshd

if TYPE_CHECKING:
    from benchmarks.bench import Bench

MEBIBYTES: Final = 256
CIPHER: Final = "aes128-gcm@openssh.com"
PASSWORD: Final = "only-the-target-knows"


@dataclass
class Way:
    """To the server: straight, or through the gateway. ``ask`` prints the password."""

    name: str
    port: int
    user: str
    ask: Path
    workers: list[psutil.Process] = field(default_factory=list)

    def transfer(self, batch: Path) -> tuple[float, float]:
        """Have ``sftp`` do what a file says; seconds on the clock, and those of processor time of the workers."""
        options = {
            "StrictHostKeyChecking": "no", "UserKnownHostsFile": "/dev/null", "LogLevel": "ERROR", "PubkeyAuthentication": "no",
            "Ciphers": CIPHER, "Port": str(self.port), "User": self.user,
        }  # fmt: skip
        command = ["sftp", "-F", "none", *(word for name, value in options.items() for word in ("-o", f"{name}={value}"))]
        environment = {**os.environ, "SSH_ASKPASS": str(self.ask), "SSH_ASKPASS_REQUIRE": "force"}
        before, began = self._spent(), time.perf_counter()
        with batch.open("rb") as lines:
            done = subprocess.run([*command, "127.0.0.1"], env=environment, stdin=lines, capture_output=True, check=False)
        seconds = time.perf_counter() - began
        if done.returncode:
            raise RuntimeError(f"sftp {self.name}: {done.stderr.decode(errors='replace')}")
        return seconds, self._spent() - before

    def _spent(self) -> float:
        return sum(sum(one.cpu_times()[:2]) for one in self.workers)


@contextmanager
def _ways(folder: Path) -> Iterator[list[Way]]:
    ask = folder / "ask"
    ask.write_text(f"#!/bin/sh\necho {PASSWORD}\n")
    ask.chmod(0o700)
    (home := folder / "home-of-files").mkdir()
    # Whoever serves files there is nobody: it has to get to them.
    folder.chmod(0o711)
    sshd = Sshd(folder / "target", [], password=PASSWORD, settings=SETTINGS)
    sshd.directory.mkdir(0o755)
    with running(folder / "files") as server:
        try:
            sshd.start()
            port, login = free_port(), f"{ACCOUNT}@127.0.0.1:{sshd.port}"
            CommandLine(server, home).ok("quickstart", "ssh", "--yes", "--port", str(port), login)
            workers = [psutil.Process(pid) for pid in left_behind(server.state)]
            yield [Way("direct", sshd.port, ACCOUNT, ask), Way("gateway, recorded", port, login, ask, workers)]
        finally:
            sshd.stop()


def ssh_files(bench: Bench) -> Table:
    """A file of 256 MiB that doesn't compress, up and down, in turns."""
    os.sched_setaffinity(0, set(range(os.cpu_count() or 1)))
    size = min(MEBIBYTES, bench.effort.rounds * 64)
    file = bench.folder / "random"
    file.write_bytes(os.urandom(size << 20))
    batches = {}
    for direction, line in (("up", f"put {file} there"), ("down", "get there /dev/null")):
        batches[direction] = bench.folder / f"{direction}.batch"
        batches[direction].write_text(f"{line}\n")
    found: dict[tuple[str, str], list[tuple[float, float]]] = {}
    with _ways(bench.folder) as ways:
        for way in ways:
            way.transfer(batches["up"])
        for _ in range(bench.effort.rounds):
            for direction, batch in batches.items():
                for way in ways:
                    found.setdefault((direction, way.name), []).append(way.transfer(batch))
    rows: list[dict[str, Any]] = []
    for (direction, name), times in found.items():
        direct = statistics.median(seconds for seconds, _ in found[direction, "direct"])
        seconds, spent = (statistics.median(part) for part in zip(*times, strict=True))
        rows.append(
            {
                "sftp": direction, "way": name, "MB/s": (size << 20) / 1e6 / seconds, "to direct": direct / seconds,
                "worker CPU s/GiB": spent * 1024 / size or "",
            }
        )  # fmt: skip
    load = " ".join(f"{figure:.1f}" for figure in os.getloadavg())
    return Table("ssh_files", f"Files of {size} MiB by sftp, {CIPHER}, logins included; load at the end {load}", rows)
