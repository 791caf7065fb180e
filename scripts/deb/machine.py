"""A Debian in a directory, booted with the systemd that is in it, on a network of its own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from scripts.deb.build import ROOT

ADDRESS: Final = "192.0.2.5"
"""Of the machine, and the only one on its network."""
SECONDS: Final = 180.0
"""How long anything is waited for."""
_ENVIRONMENT: Final = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LC_ALL": "C.UTF-8",
    "DEBIAN_FRONTEND": "noninteractive",
}


class Machine:
    """A Debian in a directory: reached by chroot(8) before it is booted, and by nsenter(1) while it runs."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._systemd = 0

    def prepare(self, script: str) -> None:
        """Run a script in what is not booted yet, with the network of this machine."""
        proxies = {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")}
        inside = ["chroot", str(self.root), "sh", "-euc", script]
        self._done(subprocess.run(inside, env={**_ENVIRONMENT, **proxies}, capture_output=True, text=True, check=False), script)

    @contextmanager
    def booted(self) -> Iterator[None]:
        """Have it run for the time of a block."""
        with (self.root.parent / "boot.log").open("wb") as log:
            boot = [str(ROOT / "scripts/boot"), str(self.root)]
            booting = subprocess.Popen(boot, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        try:
            until(lambda: self._found(booting.pid) or booting.poll() is not None, "a systemd")
            if booting.poll() is not None:
                raise SystemExit(f"not booted:\n{(self.root.parent / 'boot.log').read_text()}")
            until(lambda: self.is_so("systemctl is-system-running --wait --quiet"), "the end of the boot")
            for command in (
                "link add door0 type veth peer name far0", "link set far0 up", "link set door0 up",
                f"address add {ADDRESS}/24 dev door0",
            ):  # fmt: skip
                self.run(f"ip {command}")
            yield
            self.run("systemctl --no-block poweroff")
            booting.wait(SECONDS)
        finally:
            if booting.poll() is None:
                os.kill(self._systemd or booting.pid, signal.SIGKILL)
                booting.wait(SECONDS)

    def _found(self, booting: int) -> bool:
        """Return whether systemd runs: the last in the line of single children of ``scripts/boot``."""
        process = booting
        while children := Path(f"/proc/{process}/task/{process}/children").read_text().split():
            process = int(children[0])
            if Path(f"/proc/{process}/comm").read_text() == "systemd\n":
                self._systemd = process
                return True
        return False

    def command(self, script: str, **variables: str) -> list[str]:
        """Return what runs a script in it, as root, in root's directory."""
        enter = ["nsenter", "--target", str(self._systemd), "--all", "--root", "--wd", "--"]
        words = [f"{name}={value}" for name, value in {**_ENVIRONMENT, **variables}.items()]
        return [*enter, "env", "--ignore-environment", "--chdir=/root", *words, "bash", "-euo", "pipefail", "-c", script]

    def run(self, script: str, **variables: str) -> str:
        """Run a script in it; return what it prints."""
        done = subprocess.run(
            self.command(script, **variables), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        return self._done(done, script)

    def is_so(self, script: str) -> bool:
        """Return whether a script in it ends well."""
        return subprocess.run(self.command(script), stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode == 0

    def outside(self, *command: str, said: str = "") -> str:
        """Run a program of this machine, not of the Debian, on its network; return what it prints."""
        enter = ["nsenter", "--target", str(self._systemd), "--net", "--"]
        done = subprocess.run([*enter, *command], input=said, capture_output=True, text=True, check=False)
        return self._done(done, " ".join(command[:1]))

    def says(self) -> str:
        """Return what the services have written lately."""
        told = subprocess.run(self.command("journalctl --no-pager -n 25"), capture_output=True, text=True, check=False)
        return told.stdout

    def _done(self, done: subprocess.CompletedProcess[str], script: str) -> str:
        if done.returncode != 0:
            told = self.says() if self._systemd else ""
            raise SystemExit(f"failed in the Debian ({done.returncode}):\n{script}\n{done.stdout}{done.stderr}\n{told}")
        return done.stdout

    def status(self, program: str) -> dict[str, str]:
        """Return what the kernel says of the main process of a service."""
        process = self.run(f"systemctl show --property MainPID --value {program}").strip()
        lines = self.run(f"cat /proc/{process}/status").splitlines()
        return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


@contextmanager
def unpacked(archive: Path) -> Iterator[Machine]:
    """Unpack a Debian; it is removed at the end."""
    with tempfile.TemporaryDirectory(prefix="doorward-debian-") as made:
        Path(made).chmod(0o755)
        root = Path(made, "root")
        root.mkdir()
        subprocess.run(["tar", "-xf", str(archive), "-C", str(root)], check=True)
        shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
        yield Machine(root)


def until(condition: Callable[[], object], what: str) -> None:
    """Wait for a condition; end where it never comes."""
    end = time.monotonic() + SECONDS
    while not condition():
        if time.monotonic() > end:
            raise SystemExit(f"never came: {what}")
        time.sleep(0.2)


def expect(condition: object, what: str) -> None:
    """End where something is not as it should be; say it where it is."""
    if not condition:
        raise SystemExit(f"not so: {what}")
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()
