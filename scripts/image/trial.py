"""Runs what is in an image as ``packaging/image/compose.yaml`` says: ``python -m scripts.image.trial IMAGE``, as root.

Without a runtime of containers: chroot(8), unshare(1), mount(8) and setpriv(1) make the name spaces, the read-only root, the
account and the missing rights.
"""

from __future__ import annotations

import argparse
import re
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import yaml

from scripts.deb.build import ROOT
from scripts.deb.machine import expect
from scripts.image.build import NUMBER, PORT, STATE
from scripts.image.layout import opened

COMPOSE: Final = ROOT / "packaging/image/compose.yaml"
MAX_BYTES: Final = 120 << 20
_SECONDS: Final = 120.0
_SECRET: Final = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----\s*[A-Za-z0-9+/]{40}")
_CONFINED: Final = (
    f"--reuid={NUMBER}",
    f"--regid={NUMBER}",
    "--clear-groups",
    "--no-new-privs",
    "--inh-caps=-all",
    "--bounding-set=-all",
)


class Container:
    """The contents of an image as the root of processes."""

    def __init__(self, root: Path, config: dict[str, Any]) -> None:
        self.root, self.config = root, config
        self.services = yaml.safe_load(COMPOSE.read_text())["services"]

    def command(self, words: list[str], *, entry: bool = True) -> list[str]:
        """Return how a command runs in it."""
        start = self.config["config"]["Entrypoint"] if entry else []
        environment = ["env", "--ignore-environment", *self.config["config"]["Env"]]
        return ["setpriv", *_CONFINED, "--", *environment, *start, *words]

    def start(self, service: str) -> subprocess.Popen[bytes]:
        """Start a service as the example says."""
        log = (self.root.parent / f"{service}.log").open("ab")
        inside = ["chroot", str(self.root), *self.command(self.services[service]["command"])]
        with log:
            return subprocess.Popen(inside, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def is_healthy(self) -> bool:
        """Return what the health check of the example says."""
        _, *words = self.services["doorward"]["healthcheck"]["test"]
        inside = ["chroot", str(self.root), *self.command(words, entry=False)]
        return subprocess.run(inside, capture_output=True, check=False).returncode == 0

    def says(self) -> str:
        """Return what the services have written."""
        return "".join(f"--- {path.name}\n{path.read_text()[-3000:]}" for path in sorted(self.root.parent.glob("*.log")))


def live(container: Container) -> None:
    """Start both services, commit, replace the server, see that workers stayed; in namespaces of its own."""
    root, state = container.root, container.root / STATE.lstrip("/")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    subprocess.run(["mount", "--bind", str(root), str(root)], check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro", str(root)], check=True)
    for kind, place, options in (
        ("proc", "proc", "nosuid"),
        ("tmpfs", "tmp", "mode=1777"),
        ("tmpfs", STATE.lstrip("/"), f"mode=700,uid={NUMBER},gid={NUMBER}"),
    ):
        subprocess.run(["mount", "-t", kind, "-o", options, kind, str(root / place)], check=True)
    subprocess.run(["mount", "--rbind", "/dev", str(root / "dev")], check=True)
    workers = container.start("workers")
    began = time.monotonic()
    server = container.start("doorward")
    running = [workers, server]
    try:
        until(container.is_healthy, running, "health", container)
        expect(True, f"healthy after {time.monotonic() - began:.1f} s")  # noqa: FBT003 - it is reached
        told = dict(line.split(":\t", 1) for line in Path(f"/proc/{server.pid}/status").read_text().splitlines() if ":\t" in line)
        found = (told["Uid"].split()[0], int(told["CapEff"], 16), int(told["CapBnd"], 16), told["NoNewPrivs"])
        expect(found == (str(NUMBER), 0, 0, "1"), "the server: an account of its own, no capability")
        api = Api(state)
        api.commit("datetime/timezone", "Europe/Budapest")
        until(lambda: list((state / "workers").glob("w*.sock")), running, "workers", container)
        before = {path.name for path in (state / "workers").glob("w*.sock")}
        server.terminate()
        expect(server.wait(_SECONDS) in {0, -15}, "the server ends when it is told")
        expect(workers.poll() is None, "the workers go on")
        running[1] = server = container.start("doorward")
        until(container.is_healthy, running, "health", container)
        expect({path.name for path in (state / "workers").glob("w*.sock")} == before, "the next server finds the same workers")
        expect(Api(state).value("datetime/timezone") == "Europe/Budapest", "and serves what was committed")
    finally:
        for process in reversed(running):
            process.terminate()
            process.wait(_SECONDS)


class Api:
    """The server in the container."""

    def __init__(self, state: Path) -> None:
        import httpx2

        trusted = ssl.create_default_context(cafile=str(state / "tls/ca.pem"))
        trusted.check_hostname = False
        self._http = httpx2.Client(base_url=f"https://127.0.0.1:{PORT}", verify=trusted, timeout=60)
        password = (state / "initial-admin-password").read_text().strip()
        self._http.get("/api/authentication", auth=("admin", password)).raise_for_status()

    def commit(self, path: str, body: Any) -> None:
        """Commit a value."""
        self._http.post("/api/transaction").raise_for_status()
        self._http.put(f"/api/configuration/{path}", json=body).raise_for_status()
        self._http.put("/api/transaction", json={"status": "commit"}).raise_for_status()

    def value(self, path: str) -> Any:
        """Return a value."""
        return self._http.get(f"/api/configuration/{path}").raise_for_status().json()["body"]


def until(condition: Callable[[], object], running: list[subprocess.Popen[bytes]], what: str, container: Container) -> None:
    """Wait for a condition; end with what the services said otherwise."""
    end = time.monotonic() + _SECONDS
    while not condition():
        if time.monotonic() > end or any(process.poll() is not None for process in running):
            raise SystemExit(f"never came: {what}\n{container.says()}")
        time.sleep(0.2)


def unpacked(image: Path, root: Path) -> dict[str, Any]:
    """Unpack an image, and look at what is in it; return what it says of itself."""
    size = image.stat().st_size
    expect(size <= MAX_BYTES, f"{size / (1 << 20):.0f} MB, at most {MAX_BYTES >> 20}")
    with opened(image) as (config, layers):
        for layer in layers:
            for entry in layer:
                if entry.mode & 0o6000 or entry.isdev():
                    raise SystemExit(f"not so: {entry.name} has rights or is a device")
                # What packages bring is known to everybody; libraries test themselves with keys.
                is_own = entry.isreg() and not entry.name.startswith("usr/")
                file = layer.extractfile(entry) if is_own else None
                if file is not None and _SECRET.search(file.read()):
                    raise SystemExit(f"not so: {entry.name} holds a private key")
            layer.extractall(root, filter="fully_trusted")
    expect(not list((root / STATE.lstrip("/")).iterdir()), "no secret, no state, nothing with the rights of others")
    expect(config["config"]["User"] == f"{NUMBER}:{NUMBER}", "it is run as an account of its own")
    return dict(config)


def main() -> int:
    """Run the trial in namespaces of its own."""
    parser = argparse.ArgumentParser(prog="scripts.image.trial", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("image", type=Path, help="the image")
    parser.add_argument("--unpacked", type=Path, help="directory in which it is unpacked")
    given = parser.parse_args()
    if given.unpacked is not None:
        with opened(given.image) as (config, _):
            live(Container(given.unpacked, config))
        return 0
    with tempfile.TemporaryDirectory(prefix="doorward-container-") as made:
        Path(made).chmod(0o755)
        root = Path(made, "root")
        root.mkdir()
        unpacked(given.image, root)
        apart = ["unshare", "--net", "--uts", "--ipc", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child", "--"]
        again = [sys.executable, "-m", "scripts.image.trial", str(given.image), "--unpacked", str(root)]
        return subprocess.run([*apart, *again], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
