"""Runs an image by podman as ``packaging/image/compose.yaml`` says: ``python -m scripts.image.podman IMAGE``, as root.

With a store of its own, which is removed. Nothing is reached from outside: the containers have no network but their own loopback.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import yaml

from scripts.deb.machine import expect, until
from scripts.image.trial import COMPOSE

_NAME: Final = "doorward-trial-"
_LIMIT: Final = 1000
"""Of files and processes: little enough for a machine whose root may not raise limits."""


class Podman:
    """podman with a store of its own, and the services of the example."""

    def __init__(self, store: Path) -> None:
        # runc, which takes control groups of either version.
        self._podman = ["podman", f"--root={store}/root", f"--runroot={store}/run", f"--tmpdir={store / 'libpod'}"]
        self._podman += ["--storage-driver=vfs", "--runtime=runc", "--cgroup-manager=cgroupfs"]
        self.services = yaml.safe_load(COMPOSE.read_text())["services"]

    def run(self, *words: str) -> str:
        """Run a command of podman; return what it prints."""
        done = subprocess.run([*self._podman, *words], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise SystemExit(f"podman {' '.join(words)}: {done.stdout}{done.stderr}")
        return done.stdout

    def is_so(self, *words: str) -> bool:
        """Return whether a command of podman ends well."""
        return subprocess.run([*self._podman, *words], capture_output=True, check=False).returncode == 0

    def start(self, service: str) -> None:
        """Start a service as the example says, but for ports and limits that this machine may not give."""
        said = self.services[service]
        options = [f"--name={_NAME}{service}", f"--user={said['user']}", "--volume=state:/var/lib/doorward"]
        options += [f"--cap-drop={one}" for one in said["cap_drop"]]
        options += [f"--security-opt={one.removesuffix(':true')}" for one in said["security_opt"]]
        options += [f"--tmpfs={one}" for one in said["tmpfs"]]
        options += ["--read-only"] if said["read_only"] else []
        options += ["--init"] if said["init"] else []
        for word, kind in (("network_mode", "network"), ("pid", "pid")):
            if word in said:
                options.append(f"--{kind}=container:{_NAME}{said[word].removeprefix('service:')}")
        options += [] if "network_mode" in said else ["--network=none"]
        options += [f"--ulimit={name}={_LIMIT}:{_LIMIT}" for name in ("nofile", "nproc")]
        self.run("run", "--detach", *options, said["image"], *said["command"])

    def is_healthy(self) -> bool:
        """Return what the health check of the example says."""
        _, *words = self.services["doorward"]["healthcheck"]["test"]
        return self.is_so("exec", f"{_NAME}doorward", *words)

    def does(self, *words: str) -> str:
        """Run the command line in the container of the server."""
        return self.run("exec", f"{_NAME}doorward", "doorward", *words)

    def workers(self) -> set[str]:
        """Return the sockets of workers that there are."""
        return set(self.run("exec", f"{_NAME}workers", "sh", "-c", "ls workers/w*.sock").split())


def live(podman: Podman, image: Path) -> None:
    """Load the image, run it, replace the server under its workers."""
    podman.run("load", "--quiet", "--input", str(image))
    [found] = json.loads(podman.run("image", "inspect", podman.services["doorward"]["image"]))
    expect(found["Architecture"], f"podman loads it as {found['NamesHistory'][0]}")
    podman.start("workers")
    began = time.monotonic()
    podman.start("doorward")
    until(podman.is_healthy, "health")
    expect(True, f"healthy after {time.monotonic() - began:.1f} s")  # noqa: FBT003 - it is reached
    told = _status(podman)
    expect((told["CapEff"], told["NoNewPrivs"]) == ("0000000000000000", "1"), "an account without a right")
    podman.does("set", "--yes", "datetime/timezone", "Europe/Budapest")
    until(lambda: podman.is_so("exec", f"{_NAME}workers", "sh", "-c", "ls workers/w*.sock"), "workers")
    before = podman.workers()
    podman.run("rm", "--force", "--time", "60", f"{_NAME}doorward")
    podman.start("doorward")
    until(podman.is_healthy, "health")
    expect(podman.workers() == before, "the server is another container, with the workers of before")
    expect("Europe/Budapest" in podman.does("get", "datetime/timezone"), "and what was committed")


def _status(podman: Podman) -> dict[str, Any]:
    lines = podman.run("exec", f"{_NAME}doorward", "cat", "/proc/self/status").splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


@contextmanager
def store() -> Iterator[Podman]:
    """Have a store of its own; its containers end with the block."""
    with tempfile.TemporaryDirectory(prefix="doorward-podman-") as made:
        podman = Podman(Path(made))
        try:
            yield podman
        finally:
            for service in ("doorward", "workers"):  # the second is what the first depends on
                podman.run("rm", "--force", "--ignore", "--time", "10", f"{_NAME}{service}")
            podman.run("rmi", "--all", "--force")
            podman.run("volume", "rm", "--all", "--force")


def main() -> int:
    """Run the trial."""
    parser = argparse.ArgumentParser(prog="scripts.image.podman", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("image", type=Path, help="the image")
    given = parser.parse_args()
    with store() as podman:
        live(podman, given.image)
    return 0


if __name__ == "__main__":
    sys.exit(main())
