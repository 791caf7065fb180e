"""Runs an image by podman as ``packaging/image/compose.yaml`` says: ``python -m scripts.image.podman IMAGE``, as root.

By an account without rights where podman can do that on this machine, else by root; it says which. With a store of its own,
which is removed. Nothing is reached from outside: the containers have no network but their own loopback, in which users and
their server are.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import yaml

from scripts.deb.machine import expect, until
from scripts.deb.sessions import typing
from scripts.image.account import OWNER, again, as_account, have
from scripts.image.target import LOGIN, client, target
from scripts.image.trial import COMPOSE

_NAME: Final = "doorward-trial-"
_LIMIT: Final = 1000
"""Of files and processes: little enough for a machine whose root may not raise limits."""


class Podman:
    """podman with a store of its own, and the services of the example. ``account`` comes before each command."""

    def __init__(self, store: Path, account: Sequence[str] = ()) -> None:
        # runc, which takes control groups of either version.
        self._podman = [*account, "podman", f"--root={store}/root", f"--runroot={store}/run", f"--tmpdir={store / 'libpod'}"]
        self._podman += ["--storage-driver=vfs", "--runtime=runc", "--cgroup-manager=cgroupfs"]
        self.services = yaml.safe_load(COMPOSE.read_text())["services"]
        self.is_rootless = bool(account)

    def run(self, *words: str) -> str:
        """Run a command of podman; return what it prints."""
        done = self._done(words)
        if done.returncode != 0:
            raise SystemExit(f"podman {' '.join(words)}: {done.stdout}{done.stderr}")
        return done.stdout

    def is_so(self, *words: str) -> bool:
        """Return whether a command of podman ends well."""
        return self._done(words).returncode == 0

    def refusal(self) -> str:
        """Return why podman does not run here, "" where it does."""
        done = self._done(["unshare", "true"] if self.is_rootless else ["info"])
        return (done.stderr.strip().splitlines() or ["no reason"])[-1] if done.returncode != 0 else ""

    def _done(self, words: Sequence[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*self._podman, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)

    def load(self, image: Path) -> None:
        """Load an image, which the account need not be able to open."""
        with image.open("rb") as file:
            subprocess.run([*self._podman, "load", "--quiet"], stdin=file, stdout=subprocess.DEVNULL, check=True)

    def create(self, service: str) -> None:
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

    def stop(self, service: str) -> float:
        """Stop a service within the time of the example; return how long that took. Who is killed does not end well."""
        seconds = self.services[service]["stop_grace_period"].removesuffix("s")
        began = time.monotonic()
        self.run("stop", "--time", seconds, f"{_NAME}{service}")
        took = time.monotonic() - began
        code = self.run("inspect", "--format={{.State.ExitCode}}", f"{_NAME}{service}").strip()
        if code not in {"0", "143"}:
            raise SystemExit(f"not so: {service} ends when it is told, and not with the code {code}")
        return took

    def start(self, service: str) -> None:
        """Start a service again that was stopped."""
        self.run("start", f"{_NAME}{service}")

    def process(self) -> int:
        """Return a process that is in the network of both services."""
        return int(self.run("inspect", "--format={{.State.Pid}}", f"{_NAME}workers"))

    def is_healthy(self) -> bool:
        """Return what the health check of the example says."""
        _, *words = self.services["doorward"]["healthcheck"]["test"]
        return self.is_so("exec", f"{_NAME}doorward", *words)

    def does(self, *words: str) -> str:
        """Run the command line in the container of the server."""
        return self.run("exec", f"{_NAME}doorward", "doorward", *words)

    def recorded(self) -> int:
        """Return how many sessions are listed."""
        return len(json.loads(self.does("sessions", "list", "--json")))

    def close(self) -> None:
        """Remove everything."""
        for service in ("doorward", "workers"):  # the second is what the first depends on
            self.run("rm", "--force", "--ignore", "--time", "10", f"{_NAME}{service}")
        self.run("rmi", "--all", "--force")
        self.run("volume", "rm", "--all", "--force")


def live(podman: Podman, image: Path, directory: Path) -> None:
    """Load the image and run it, with sessions; replace the server under one of them; stop everything, and start it again."""
    podman.load(image)
    [found] = json.loads(podman.run("image", "inspect", podman.services["doorward"]["image"]))
    expect(found["Architecture"], f"podman loads it as {found['NamesHistory'][0]}")
    podman.create("workers")
    began = time.monotonic()
    podman.create("doorward")
    until(podman.is_healthy, "health")
    expect(True, f"healthy after {time.monotonic() - began:.1f} s")  # noqa: FBT003 - it is reached
    told = _status(podman)
    expect((told["CapEff"], told["NoNewPrivs"]) == ("0000000000000000", "1"), "an account without a right")
    outside = Path(f"/proc/{podman.process()}/status").read_text()
    expect(podman.is_rootless == (f"Uid:\t{10001}\t" not in outside), "whose number is another one outside, where nobody is root")
    podman.does("set", "--yes", "datetime/timezone", "Europe/Budapest")
    with target(podman.process(), directory):
        podman.does("quickstart", "ssh", "--yes", LOGIN)
        with typing(client(podman.process(), directory)) as user:
            expect(user.types("one"), "a session through it")
            podman.run("rm", "--force", "--time", "60", f"{_NAME}doorward")
            podman.create("doorward")
            expect(user.types("two"), "which goes on while the server becomes another container")
            until(podman.is_healthy, "health")
            expect(user.types("three"), "and afterwards")
        until(lambda: '"ongoing": true' not in podman.does("sessions", "list", "--json"), "the end of the session")
    expect("Europe/Budapest" in podman.does("get", "datetime/timezone"), "what was committed is there")
    seconds = {service: podman.stop(service) for service in ("doorward", "workers")}
    expect(True, f"stopped: {', '.join(f'{service} in {took:.1f} s' for service, took in seconds.items())}")  # noqa: FBT003 - as above
    for service in ("workers", "doorward"):
        podman.start(service)
    until(podman.is_healthy, "health")
    expect("Europe/Budapest" in podman.does("get", "datetime/timezone"), "started again: what was committed is there")
    expect(podman.recorded() == 1, "and the session")
    with target(podman.process(), directory), typing(client(podman.process(), directory)) as user:
        expect(user.types("four"), "and the next one is let through")


def _status(podman: Podman) -> dict[str, Any]:
    lines = podman.run("exec", f"{_NAME}doorward", "cat", "/proc/self/status").splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


@contextmanager
def chosen(home: Path) -> Iterator[Podman]:
    """Have podman of the account, or of root where that does not run; its containers end with the block."""
    store, run = home / "store", home / "run"
    for directory in (store, run):
        directory.mkdir(mode=0o700)
        os.chown(directory, OWNER, OWNER)
    podman = Podman(store, as_account(home))
    if refusal := podman.refusal():
        sys.stdout.write(f"podman runs as root, since without it it does not run here: {refusal}\n")
        podman = Podman(home / "store of root")
    else:
        sys.stdout.write("podman runs without root\n")
    try:
        yield podman
    finally:
        podman.close()


def main() -> int:
    """Run the trial where there is an account for it."""
    parser = argparse.ArgumentParser(prog="scripts.image.podman", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("image", type=Path, help="the image")
    parser.add_argument("--directory", type=Path, help="directory of the trial, whose account is there")
    given = parser.parse_args()
    if given.directory is not None:
        with chosen(given.directory / "home") as podman:
            live(podman, given.image, given.directory)
        return 0
    with tempfile.TemporaryDirectory(prefix="doorward-podman-") as made:
        Path(made).chmod(0o711)
        return have(Path(made), again("scripts.image.podman", str(given.image), "--directory", made))


if __name__ == "__main__":
    sys.exit(main())
