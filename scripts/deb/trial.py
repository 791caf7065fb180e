"""Installs a package in a minimal Debian, runs it there, upgrades it with its data, removes and purges it.

``python -m scripts.deb.trial --root TAR OLD NEW``, as root. The Debian is one that ``mmdebstrap --variant=minbase`` made; it is
unpacked into a directory of its own and left by ``chroot``. There is no systemd in it, so the three services are started here as
their units say: the socket, the commands, the accounts and the capabilities are read from the units.
"""

from __future__ import annotations

import argparse
import configparser
import os
import pwd
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2

ADDRESS = "192.0.2.5"
_STATE = "var/lib/doorward"
_SECONDS = 120.0


class Machine:
    """A Debian in a directory, on a network of its own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._services: list[subprocess.Popen[bytes]] = []

    def run(self, *command: str) -> str:
        """Run a command in it; return what it prints."""
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
        proxies = {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")}
        inside = ["chroot", str(self.root), *command]
        done = subprocess.run(inside, env={**environment, **proxies}, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise SystemExit(f"{' '.join(command)} failed in the Debian:\n{done.stdout}{done.stderr}")
        return done.stdout

    def account(self, name: str) -> pwd.struct_passwd | None:
        """Return an account of it."""
        rows = [line.split(":") for line in (self.root / "etc/passwd").read_text().splitlines()]
        found = next((row for row in rows if row[0] == name), None)
        return pwd.struct_passwd((*found[:2], int(found[2]), int(found[3]), *found[4:])) if found is not None else None

    def unit(self, name: str) -> configparser.ConfigParser:
        """Return a unit of the package."""
        parser = configparser.ConfigParser(interpolation=None, strict=False)
        parser.optionxform = str  # type: ignore[assignment,method-assign]  # names of units have capitals
        parser.read(self.root / "lib/systemd/system" / name)
        return parser

    def start(self) -> None:
        """Start the three services as systemd would."""
        listener = self._socket()
        self._service("doorward-host.service", listener)
        listener.close()
        self._service("doorward-workers.service")
        self._service("doorward.service")

    def stop(self) -> None:
        """Stop them in the opposite order."""
        while self._services:
            service = self._services.pop()
            service.terminate()
            if service.wait(_SECONDS) not in {0, -15}:
                raise SystemExit(f"a service ended with {service.returncode}\n{self.says()}")

    def has_failed(self) -> bool:
        """Return whether a service ended by itself."""
        return any(service.poll() is not None for service in self._services)

    def _socket(self) -> socket.socket:
        """Make the socket of the helper as its unit says."""
        said = self.unit("doorward-host.socket")["Socket"]
        group = account(self, said["SocketGroup"])
        path = self.root / said["ListenStream"].lstrip("/")
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        os.chown(path, 0, group.pw_gid)
        path.chmod(int(said["SocketMode"], 8))
        listener.listen(16)
        return listener

    def _service(self, name: str, listener: socket.socket | None = None) -> None:
        said = self.unit(name)["Service"]
        user = account(self, said.get("User", "root"))
        given = said.get("AmbientCapabilities", "").lower().removeprefix("cap_")
        bounds = [word.lower().removeprefix("cap_") for word in said["CapabilityBoundingSet"].split()]
        sets = [f"--bounding-set=-all{''.join(f',+{one}' for one in bounds)}"]
        sets += [f"--{kind}=-all,+{given}" for kind in ("inh-caps", "ambient-caps") if given]
        other = [f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"] if user.pw_uid else []
        command = ["chroot", str(self.root), "setpriv", "--no-new-privs", *other, *sets, "--", *said["ExecStart"].split()]
        if listener is not None:
            os.dup2(listener.fileno(), 3)
        descriptors = [3] if listener is not None else []
        log = (self.root / f"var/log/{name}.log").open("ab")
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "HOME": "/nonexistent"}
        umask = int(said.get("UMask", "0022"), 8)
        started = subprocess.Popen(command, stdout=log, stderr=log, pass_fds=descriptors, env=environment, umask=umask)
        self._services.append(started)
        log.close()

    def says(self) -> str:
        """Return what the services have written."""
        return "".join(
            f"--- {path.name}\n{path.read_text()[-3000:]}" for path in sorted((self.root / "var/log").glob("doorward*.log"))
        )


class Node:
    """The node in it, over its API."""

    def __init__(self, machine: Machine) -> None:
        context = ssl.create_default_context(cafile=str(machine.root / _STATE / "tls/ca.pem"))
        context.check_hostname = False
        self.http = httpx2.Client(base_url=f"https://{ADDRESS}", verify=context, timeout=60)
        password = (machine.root / _STATE / "initial-admin-password").read_text().strip()
        self.http.get("/api/authentication", auth=("admin", password)).raise_for_status()

    def commit(self, path: str, body: Any) -> None:
        """Commit a value."""
        self.http.post("/api/transaction").raise_for_status()
        self.http.put(f"/api/configuration/{path}", json=body).raise_for_status()
        self.http.put("/api/transaction", json={"status": "commit"}).raise_for_status()

    def value(self, path: str) -> Any:
        """Return a value."""
        return self.http.get(f"/api/configuration/{path}").raise_for_status().json()["body"]


def until(condition: Callable[[], object], what: str, machine: Machine) -> None:
    """Wait for a condition; end with what the services said otherwise."""
    end = time.monotonic() + _SECONDS
    while not condition():
        if time.monotonic() > end or machine.has_failed():
            raise SystemExit(f"never came: {what}\n{machine.says()}")
        time.sleep(0.1)


def answers() -> bool:
    """Whether something listens on port 443."""
    with socket.socket() as connection:
        return connection.connect_ex((ADDRESS, 443)) == 0


def ready(machine: Machine) -> bool:
    """Whether the node has come to its running revision."""
    return (machine.root / _STATE / "address").exists() and answers()


def status(machine: Machine, program: str) -> dict[str, str]:
    """Return what the kernel says of the process that runs a program of the package."""
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            words = (directory / "cmdline").read_bytes().split(b"\0")
            if program.encode() in words[:3] and (directory / "root").readlink() == machine.root:
                lines = (directory / "status").read_text().splitlines()
                return dict(line.split(":\t", 1) for line in lines if ":\t" in line)
        except OSError:
            continue
    raise SystemExit(f"{program} does not run\n{machine.says()}")


def expect(condition: object, what: str) -> None:
    """End where something is not as it should be; say it where it is."""
    if not condition:
        raise SystemExit(f"not so: {what}")
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


@contextmanager
def unpacked(archive: Path) -> Iterator[Machine]:
    """Unpack a Debian; it is removed at the end."""
    directory = Path(tempfile.mkdtemp(prefix="doorward-debian-"))
    directory.chmod(0o755)
    try:
        subprocess.run(["tar", "-xf", str(archive), "-C", str(directory)], check=True)
        for name in ("proc", "dev"):
            subprocess.run(["mount", "--rbind", f"/{name}", str(directory / name)], check=True)
        shutil.copy("/etc/resolv.conf", directory / "etc/resolv.conf")
        (directory / "usr/sbin/policy-rc.d").write_text("#!/bin/sh\nexit 101\n")  # no service is started while apt works
        (directory / "usr/sbin/policy-rc.d").chmod(0o755)
        yield Machine(directory)
    finally:
        for name in ("proc", "dev"):
            subprocess.run(["umount", "--lazy", str(directory / name)], check=False)
        shutil.rmtree(directory, ignore_errors=True)


def install(machine: Machine, package: Path) -> None:
    """Install a package, with what it depends on and a chronyd."""
    machine.run("apt-get", "update")
    machine.run("apt-get", "install", "-y", "--no-install-recommends", f"/{package.name}", "chrony")
    front, workers = account(machine, "doorward"), account(machine, "_doorward-workers")
    facts = (machine.root / _STATE).stat()
    found = (facts.st_uid, facts.st_gid, facts.st_mode & 0o7777)
    expect(found == (front.pw_uid, workers.pw_gid, 0o710), "installed: accounts, state directory")
    expect("doorward" in machine.run("/usr/bin/doorward", "--version"), "the command runs")


def live(machine: Machine, newer: Path) -> None:
    """Run what is installed, upgrade, remove and purge it; in a network of its own."""
    for command in (
        "link set lo up", "link add door0 type veth peer name far0", "link set far0 up", "link set door0 up",
        f"address add {ADDRESS}/24 dev door0",
    ):  # fmt: skip
        subprocess.run(["ip", *command.split()], check=True)
    began = time.monotonic()
    with started(machine):
        expect(True, f"the first start serves port 443 after {time.monotonic() - began:.1f} s")  # noqa: FBT003 - it is reached
        front, told = account(machine, "doorward"), status(machine, "/usr/bin/doorward")
        found = (told["Uid"].split()[0], int(told["CapEff"], 16), told["NoNewPrivs"])
        expect(found == (str(front.pw_uid), 1 << 10, "1"), "the server: not root, one capability")
        expect(status(machine, "/usr/bin/doorward-host")["Uid"].split()[0] == "0", "the helper: root")
        Node(machine).commit("datetime/timezone", "America/New_York")
        expect((machine.root / "etc/timezone").read_text() == "America/New_York\n", "a commit took effect through the helper")
        workers = machine.root / _STATE / "workers"
        until(lambda: list(workers.glob("w*.sock")), "workers", machine)
        owner = next(workers.glob("w*.sock")).stat().st_uid
        expect(owner == account(machine, "_doorward-workers").pw_uid, "workers run, as an account of their own")

    machine.run("dpkg", "-i", f"/{newer.name}")
    with started(machine):
        expect(Node(machine).value("datetime/timezone") == "America/New_York", "upgraded: the new release serves the old state")

    machine.run("dpkg", "--remove", "doorward")
    state = machine.root / _STATE
    expect((state / "doorward.db").exists(), "removed: the state stays")
    expect(not (machine.root / "usr/lib/doorward").exists(), "removed: nothing else does")
    machine.run("dpkg", "--purge", "doorward")
    left = [name for name in ("doorward", "_doorward-workers") if machine.account(name) is not None]
    expect(not state.exists() and not left, "purged: no state, no account")


@contextmanager
def started(machine: Machine) -> Iterator[None]:
    """Have the services run for the time of a block."""
    machine.start()
    try:
        until(lambda: ready(machine), "the start", machine)
        yield
    except BaseException:
        sys.stderr.write(machine.says())
        raise
    finally:
        machine.stop()


def account(machine: Machine, name: str) -> pwd.struct_passwd:
    """Return an account that is there."""
    found = machine.account(name)
    if found is None:
        raise SystemExit(f"there is no account {name}")
    return found


def main() -> int:
    """Run the trial in namespaces of its own."""
    parser = argparse.ArgumentParser(prog="scripts.deb.trial", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--root", type=Path, help="archive of a minimal Debian")
    parser.add_argument("--installed", type=Path, help="directory of a Debian in which the first package is installed")
    parser.add_argument("packages", type=Path, nargs=2, metavar="PACKAGE", help="the package, and a newer one")
    given = parser.parse_args()
    again = [sys.executable, "-m", "scripts.deb.trial"]
    if given.installed is not None:
        live(Machine(given.installed), given.packages[1])
        return 0
    with unpacked(given.root) as machine:
        for package in given.packages:
            shutil.copy(package, machine.root / package.name)
        install(machine, given.packages[0])
        apart = ["unshare", "--net", "--uts", "--mount", "--"]
        return subprocess.run(
            [*apart, *again, "--installed", str(machine.root), *map(str, given.packages)], check=False
        ).returncode


if __name__ == "__main__":
    sys.exit(main())
