"""A real Doorward in a process of its own, and a client that keeps its cookie."""

from __future__ import annotations

import base64
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import httpx2

from doorward.proxy.supervisor.ending import stop as stop_workers
from doorward.proxy.worker.places import Places
from tests.support.waiting import PATIENCE, until
from tests.support.zygote import Forked, fork

__all__ = ["PASSWORD", "QUICK", "Client", "Server", "running", "until", "worker"]

PASSWORD = "Tr0ub4dor-and-a-horse"
WORKER_VARIABLE = "DOORWARD_TESTS_WORKER"
QUICK = (str(Path(__file__).with_name("launcher.py")),)
"""Launches a server whose limits are those of ``HASTY``."""


def worker() -> int:
    """Return the number of this process among those that run tests at the same time, all with the same network."""
    return int(os.environ.get(WORKER_VARIABLE) or os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))


@dataclass
class Server:
    """``doorward serve`` on a free port. ``launcher`` replaces ``-m doorward`` where a test needs hooks.

    ``plain``: a new Python executes it, for tests of the start itself and of passwords; see ``zygote``.
    """

    state: Path
    launcher: tuple[str, ...] = ("-m", "doorward")
    environment: dict[str, str] = field(default_factory=dict)
    options: tuple[str, ...] = ()
    plain: bool = False
    process: subprocess.Popen[str] | Forked | None = None
    url: str = ""
    output: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    drains: list[threading.Thread] = field(default_factory=list)
    clients: list[Client] = field(default_factory=list)

    def start(self, *, wait: bool = True) -> Self:
        """Start the server; wait for its line."""
        ours = {"DOORWARD_ADMIN_PASSWORD": PASSWORD, "TRIAL_OVER": str(self._trial_over)}
        environment = {**os.environ, **ours, **self.environment}
        command = [*self.launcher, "serve", "--state", str(self.state), "--listen", "127.0.0.1:0", *self.options]
        self.output, self.errors, self.url = [], [], ""
        self.process = _executed(command, environment) if self.plain else fork(command, environment)
        streams = ((self.process.stdout, self.output), (self.process.stderr, self.errors))
        self.drains = [threading.Thread(target=_drain, args=pair, daemon=True) for pair in streams]
        for drain in self.drains:
            drain.start()
        if wait:
            until(lambda: self._ready() or self.process.poll() is not None, what="the ready line")  # type: ignore[union-attr]
            if not self.url:
                raise AssertionError(f"the server did not start: {''.join(self.errors)[-3000:]}")
        return self

    @property
    def _trial_over(self) -> Path:
        return self.state.with_name(f"{self.state.name}.trial-over")

    def end_trial(self) -> None:
        """Let the time be over in which a commit may be confirmed; of a server that ``QUICK`` launched."""
        assert self.launcher[-len(QUICK) :] == QUICK
        self._trial_over.touch()

    def _ready(self) -> bool:
        found = re.search(r"ready at (\S+)", "".join(self.output))
        if found:
            self.url = found[1]
        return bool(found)

    @property
    def port(self) -> int:
        """The port that the server listens on."""
        return int(self.url.rpartition(":")[2])

    @property
    def certificate(self) -> Path:
        """What the server is checked with: its own authority."""
        return self.state / "tls" / "ca.pem"

    def kill(self) -> None:
        """kill -9."""
        assert self.process
        self.process.send_signal(signal.SIGKILL)
        self._ended()

    def stop(self, *, workers: bool = True) -> int:
        """SIGTERM; returns the exit code. Clients go first: the server would give those that keep a connection their time.

        ``workers``: those that carry its SSH sessions end as well; they are no children of the server.
        """
        assert self.process
        self._leave()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        code = self._ended()
        if workers:
            self.end_workers()
        return code

    def end_workers(self) -> None:
        """End the processes that carry SSH sessions, if there are some."""
        places = Places.of(self.state)
        if places.sockets.is_dir():
            assert stop_workers(places), "workers are left"

    def _ended(self) -> int:
        assert self.process
        code = self.process.wait(PATIENCE)
        for drain in self.drains:
            drain.join(5)
        self._leave()
        return code

    def _leave(self) -> None:
        while self.clients:
            self.clients.pop().http.close()

    def client(self, **options: Any) -> Client:
        """Return a client with its own cookie jar, not logged in."""
        client = Client(self, **options)
        self.clients.append(client)
        return client

    def login(self, user: str = "admin", password: str = PASSWORD, **options: Any) -> Client:
        """Return a client that is logged in."""
        client = self.client(**options)
        answer = client.get("/api/authentication", auth=(user, password))
        assert answer.status_code == 200, answer.text
        return client


def _executed(arguments: list[str], environment: dict[str, str]) -> subprocess.Popen[str]:
    command = [sys.executable, *arguments]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def _drain(stream: Any, lines: list[str]) -> None:
    with stream:
        for line in stream:
            lines.append(line)  # noqa: PERF402 - others watch the list grow


class Client:
    """An HTTP client with a cookie jar; bodies are JSON values unless bytes are given as ``content``.

    ``named`` False: the server's certificate need not be for its address.
    """

    def __init__(self, server: Server, *, named: bool = True, **options: Any) -> None:
        import ssl

        context = ssl.create_default_context(cafile=str(server.certificate))
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        context.check_hostname = named
        self.http = httpx2.Client(base_url=server.url, verify=context, timeout=PATIENCE, **options)

    def get(self, path: str, *, auth: tuple[str, str] | None = None, **options: Any) -> httpx2.Response:
        headers = dict(options.pop("headers", {}))
        if auth is not None:
            headers["Authorization"] = "Basic " + base64.b64encode(":".join(auth).encode()).decode()
        return self.http.get(path, headers=headers, **options)

    def post(self, path: str, value: Any = None, **options: Any) -> httpx2.Response:
        return self.send("POST", path, value, **options)

    def put(self, path: str, value: Any = None, **options: Any) -> httpx2.Response:
        return self.send("PUT", path, value, **options)

    def delete(self, path: str, **options: Any) -> httpx2.Response:
        return self.http.delete(path, **options)

    def send(self, method: str, path: str, value: Any = None, **options: Any) -> httpx2.Response:
        if value is not None:
            options["json"] = value
        elif "content" not in options:
            options["content"] = b""
        return self.http.request(method, path, **options)

    def commit(self, message: str | None = None, **options: Any) -> httpx2.Response:
        order = {"status": "commit"} | ({"commit_message": message} if message else {})
        return self.put("/api/transaction", order, **options)

    def body(self, path: str) -> Any:
        """GET and return ``body``."""
        answer = self.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()["body"]


@contextmanager
def running(state: Path, **options: Any) -> Iterator[Server]:
    """A server for the time of a block."""
    server = Server(state, **options).start()
    try:
        yield server
    finally:
        server.stop()
