"""What a site does all day, all at once: commits on two nodes of a cluster, backups, recorded sessions, searches, tokens."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import psutil

from tests.faults.checks import USERS
from tests.proof.effort import SOAK
from tests.proof.typists import Room
from tests.support.members import ZONE, Member, members
from tests.support.ports import free_port
from tests.support.server import PASSWORD, Client, until
from tests.system.backup_site import RUNS, Site, Storage
from tests.system.backup_support import open_directory
from tests.system.command_line import CommandLine
from tests.system.served import left_behind
from tests.system.ssh_support import SETTINGS
from tests.system.sshd_support import ACCOUNT, OWNER, Sshd, key_pair

DRIFT = "/api/configuration/management/drift"
TYPISTS = 4 if SOAK else 1
"""Who types all the time, in one session each."""
ZONES = ("Europe/Vienna", "Asia/Tokyo", "America/New_York")
KEPT = 40
"""Accounts that one who commits leaves before the oldest is removed again."""
READ = (
    "/api/audit/sessions?limit=20", "/api/audit/sessions/_count", "/api/health_status", "/api/metrics", "/api/drift",
    "/api/revisions?limit=50", "/api/configuration/aaa/local_database/users", "/api/backup/status",
)  # fmt: skip


@dataclass
class Look:
    """What processes take at a moment: kilobytes of their own, descriptors and threads; kilobytes of each log of SQLite."""

    memory: dict[str, int]
    descriptors: dict[str, int]
    threads: dict[str, int]
    logs: dict[str, int]


@dataclass
class Business:
    """Two nodes with all that belongs to them, and who works with them."""

    central: Member
    host: Member
    backups: Site
    room: Room
    options: list[str]
    environment: dict[str, str]
    done: Counter[str] = field(default_factory=Counter)
    _numbers: count[int] = field(default_factory=lambda: count(1))
    _made: list[str] = field(default_factory=list)

    # What is done, each by its own people

    def commit(self, client: Client) -> None:
        """Add an account to those of the cluster and remove one, change the zone, and see both arrive."""
        number = next(self._numbers)
        accepted(client.put(ZONE, ZONES[number % len(ZONES)]))
        self._made.append(accepted(client.post(USERS, {"name": f"person-{number}"})).json()["key"])
        if len(self._made) > KEPT:
            accepted(client.delete(f"{USERS}/{self._made.pop(0)}"))
        accepted(client.commit(f"turn {number}"))
        until(lambda: self.host.zone() == self.central.zone(), what="the revision on the other node")

    def try_out(self, client: Client) -> None:
        """Commit on trial on the other node what is its own, and confirm it."""
        number = next(self._numbers)
        body = client.body(DRIFT)
        accepted(client.put(DRIFT, {**body, "exceptions": [f"/{number}"]}))
        accepted(client.put("/api/transaction", {"status": "commit", "confirm_seconds": 600}))
        accepted(client.put("/api/transaction", {"status": "confirm"}))

    def back_up(self, client: Client) -> None:
        """Back up to the target."""
        address = accepted(client.post(RUNS)).headers["location"]
        until(lambda: client.body(address)["ended"], what="the end of a backup")
        assert client.body(address)["result"] == "succeeded", client.body(address)

    def work(self, _client: Client) -> None:
        """Log in on the target through the gateway, run something, log out."""
        done = subprocess.run(
            ["ssh", "-tt", *self.options, "127.0.0.1", "seq 200"], env=self.environment, stdin=subprocess.DEVNULL,
            capture_output=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert b"200" in done.stdout

    def read(self, _client: Client) -> None:
        """Log in, look at everything, make a token, use and remove it, log out."""
        with logged_in(self.central) as client:
            for path in READ:
                accepted(client.get(path))
            order = {"name": f"token-{next(self._numbers)}", "expires_days": 1, "rights": "read"}
            made = accepted(client.post("/api/user/tokens", order)).json()
            accepted(client.http.get("/api/health_status", headers={"Authorization": f"Bearer {made['body']['token']}"}))
            accepted(client.delete(f"/api/user/tokens/{made['key']}"))

    def go_on(self, seconds: float) -> None:
        """Do all of it at the same time, each again and again for a while, and each once at the least."""
        end = time.monotonic() + seconds
        failed: list[BaseException] = []

        def again(what: Callable[[Client], None], member: Member, pause: float) -> None:
            try:
                with logged_in(member) as client:
                    while not failed:
                        what(client)
                        self.done[what.__name__] += 1
                        if time.monotonic() + pause >= end:
                            break
                        time.sleep(pause)
            except BaseException as error:  # noqa: BLE001 - raised by who waits for it
                failed.append(error)

        people = (
            (self.commit, self.central, 1.0), (self.try_out, self.host, 1.0), (self.back_up, self.central, 10.0),
            (self.work, self.central, 0.5), (self.work, self.central, 0.5), (self.read, self.central, 0.5),
        )  # fmt: skip
        threads = [threading.Thread(target=again, args=person) for person in people]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failed:
            raise failed[0]
        assert not self.room.take_those_that_are_over(), "who types was thrown out"

    # What it takes

    def look(self) -> Look:
        """See what everything takes."""
        central, host = (member.server.process for member in (self.central, self.host))
        assert central is not None
        assert host is not None
        groups = {"central": [central.pid], "host": [host.pid], "workers": left_behind(self.central.state)}
        look = Look({}, {}, {}, {})
        for name, pids in groups.items():
            found = [psutil.Process(pid) for pid in pids]
            look.memory[name] = sum(one.memory_full_info().uss for one in found) // 1000
            look.descriptors[name] = sum(one.num_fds() for one in found)
            look.threads[name] = sum(one.num_threads() for one in found)
        for member in (self.central, self.host):
            for log in member.state.glob("*.db-wal"):
                with suppress(FileNotFoundError):
                    look.logs[f"{member.state.name} {log.name}"] = log.stat().st_size // 1000
        return look


@contextmanager
def logged_in(member: Member) -> Iterator[Client]:
    """Log in for the time of a block, and out again."""
    client = member.server.login()
    try:
        yield client
        accepted(client.delete("/api/authentication"))
    finally:
        client.http.close()
        member.server.clients.remove(client)


def accepted(answer: Any) -> Any:
    """Return an answer that is none of a failure."""
    assert answer.status_code < 300, (answer.status_code, answer.text)
    return answer


@contextmanager
def business(directory: Path) -> Iterator[Business]:
    """Open a site: a Central Management that backs up and has a gateway before a target, and a node that it manages."""
    ask = directory / "ask"
    ask.write_text(f"#!/bin/sh\necho {PASSWORD}\n")
    ask.chmod(0o755)
    private, public = key_pair(directory, "client")
    with open_directory("mixed") as target, members(directory, 2) as (central, host):
        sshd = Sshd(target, [public], password=PASSWORD, settings=f"MaxStartups 300\n{SETTINGS}")
        try:
            sshd.start()
            host.join(central, "managed-host")
            storage = Storage(sshd, private)
            storage.path.mkdir(mode=0o755)
            os.chown(storage.path, OWNER, OWNER)
            backups = Site(central.server, storage)
            backups.set_up()
            port, login = free_port(), f"{ACCOUNT}@127.0.0.1:{sshd.port}"
            CommandLine(central.server, directory).ok("quickstart", "ssh", "--yes", "--port", str(port), login)
            options = [
                "-F", "none", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR",
                "-o", "PubkeyAuthentication=no", "-o", f"Port={port}", "-o", f"User={login}",
            ]  # fmt: skip
            asked = {**os.environ, "SSH_ASKPASS": str(ask), "SSH_ASKPASS_REQUIRE": "force"}
            with Room(port, login, PASSWORD) as room:
                room.fill(TYPISTS)
                yield Business(central, host, backups, room, options, asked)
        finally:
            sshd.stop()
