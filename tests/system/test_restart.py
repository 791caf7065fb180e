"""A server that is started anew, as an upgrade does: sessions go on, and whoever connects meanwhile waits."""

from __future__ import annotations

import fcntl
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.server import until
from tests.support.waiting import PATIENCE
from tests.system.served import Served, left_behind, served

KEEPER = (str(Path(__file__).parents[1] / "support/keeper.py"),)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    directory = tmp_path_factory.mktemp("restarted")
    state = directory / "state"
    environment = {"KEEPER_PAUSE": str(directory / "pause")}
    with served(state, directory, launcher=KEEPER, plain=True, environment=environment) as found:
        yield found
    assert left_behind(state) == []


class Callers(threading.Thread):
    """Somebody who connects again and again, and counts who is turned away."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self._port, self._ended = port, threading.Event()
        self.served, self.refused = 0, 0

    def run(self) -> None:
        while not self._ended.is_set():
            try:
                with socket.create_connection(("127.0.0.1", self._port), PATIENCE) as connection:
                    self.served += connection.recv(100).startswith(b"SSH-2.0-")
            except ConnectionError:
                self.refused += 1

    def stop(self) -> None:
        self._ended.set()
        self.join()


def restart(site: Served) -> None:
    before = sum("ready at" in line for line in site.server.output)
    assert site.server.process is not None
    site.server.process.send_signal(signal.SIGHUP)
    until(lambda: sum("ready at" in line for line in site.server.output) > before, what="the next server")


def test_a_session_types_on_and_nobody_is_turned_away(site: Served) -> None:
    callers = Callers(site.port)
    with site.terminal() as user:
        key = site.only()
        callers.start()
        until(lambda: callers.served > 0, what="the first caller")
        for number in range(2):
            restart(site)
            user.types(f"echo typed-$((70+{number}))")
            user.awaits(f"typed-{70 + number}")
        now = callers.served
        until(lambda: callers.served > now, what="a caller of the last server")
        callers.stop()
        assert callers.refused == 0
        assert site.only() == key
        site.cli.ok("sessions", "lock", key)
        site.cli.ok("sessions", "unlock", key)
        user.types("exit")
        assert user.ended().code == 0
    until(lambda: site.live() == [], what="the end")
    until(lambda: key in site.cli.ok("sessions", "search", "typed-71", "--json"), what="the word")
    assert site.body(key)["session"]["active"] is False


def test_who_comes_while_no_server_is_there_is_let_in_by_the_next(site: Served) -> None:
    pause = Path(site.server.environment["KEEPER_PAUSE"])
    pause.touch()
    assert site.server.process is not None
    site.server.process.send_signal(signal.SIGHUP)
    until(lambda: not (site.server.state / "address").exists() and not is_locked(site.server.state), what="the end")
    command = [*site.command(), "127.0.0.1", "echo waited-$((8*8))"]
    with subprocess.Popen(command, env=site.environment(), stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) as waiting:
        until(lambda: is_in_the_queue(site.port), what="the client in the queue")
        pause.unlink()
        assert waiting.communicate(timeout=PATIENCE)[0] == b"waited-64\n"


def is_locked(state: Path) -> bool:
    with (state / "lock").open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


def is_in_the_queue(port: int) -> bool:
    """Whether somebody waits to be accepted, as the kernel tells: state 0A listens, and has so many in its receive queue."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return any(row[1].endswith(f":{port:04X}") and row[3] == "0A" and int(row[4].partition(":")[2], 16) > 0 for row in rows)


def test_a_port_that_is_no_longer_served_is_let_go(site: Served) -> None:
    site.cli.ok("set", "ssh/connections/quickstart.active", "false")
    until(lambda: is_refused(site.port), what="the end of the listener")
    restart(site)
    assert is_refused(site.port)
    site.cli.ok("set", "ssh/connections/quickstart.active", "true")
    assert site.ssh("true").returncode == 0


def is_refused(port: int) -> bool:
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) != 0
