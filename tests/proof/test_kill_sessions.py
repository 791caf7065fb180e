"""kill -9 of workers, of control and of both under recorded sessions: each can be replayed up to its last half second."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import pytest

from doorward.recording.reader import TrailReader
from doorward.recording.records import RecordKind
from tests.proof.effort import SOAK, Outcome, chance, percentile, tries
from tests.proof.typists import Room, Typist
from tests.support.ports import free_port
from tests.support.server import Client, Server, running, until
from tests.system.backup_support import open_directory
from tests.system.command_line import CommandLine
from tests.system.served import left_behind
from tests.system.ssh_support import SETTINGS
from tests.system.sshd_support import ACCOUNT, Sshd

SESSIONS = 20 if SOAK else 6
PASSWORD = "only-the-target-knows"
GAP = 0.5
LINES = 5
"""More lines than may be on their way from who was killed: a session that shows so many goes on."""


@dataclass
class Bench:
    """A gateway with its target, and what is known of its sessions."""

    server: Server
    room: Room
    client: Client
    gaps: list[float] = field(default_factory=list)

    @property
    def trails(self) -> Path:
        return self.server.state / "trails"

    def workers(self) -> list[int]:
        """The processes that carry sessions, without their supervisor."""
        found = left_behind(self.server.state)
        parents = {pid: parent(pid) for pid in found}
        return [pid for pid in found if parents[pid] in found]

    def find(self, typist: Typist) -> str:
        """The key of a typist's session: the newest row with the port of its client. What it saw last may be in no trail."""
        rows = self.client.get("/api/audit/sessions", params={"q": f"client.port:{typist.port}", "fields": "start_time"}).json()
        found = max(rows["items"], key=lambda row: row["body"]["start_time"], default=None)
        return str(found["key"]) if found else ""

    def judge(self, typist: Typist) -> None:
        """A session that was cut off is listed as ended, and its trail is whole but for what the user saw last."""
        key = until(lambda: self.find(typist), what=f"the row of {typist.name}")
        address = f"/api/audit/sessions/{key}"
        until(lambda: self.client.body(address)["active"] is False, what=f"the end of {key}")
        reader = TrailReader((self.trails / f"{key}.dwr").read_bytes())
        verdict = reader.verify()
        assert verdict.damage is None, key
        assert verdict.cut == 0, key
        lines = b"".join(record.data for record in reader.records() if record.kind is RecordKind.OUTPUT).splitlines(keepends=True)
        whole = [line for line in lines if line.endswith(b"\n")]
        assert whole == [f"{typist.name} {number}\n".encode() for number in range(len(whole))], key
        seen = typist.seen
        self.gaps.append(seen[-1] - seen[max(0, len(whole) - 1)] if len(whole) < len(seen) else 0.0)


def parent(pid: int) -> int:
    with suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return 0


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    state = tmp_path_factory.mktemp("killed") / "state"
    with open_directory("killed") as directory, running(state) as server:
        sshd = Sshd(directory / "target", [], password=PASSWORD, settings=f"MaxStartups 300\n{SETTINGS}")
        try:
            sshd.start()
            port, login = free_port(), f"{ACCOUNT}@127.0.0.1:{sshd.port}"
            home = tmp_path_factory.mktemp("home")
            CommandLine(server, home).ok("quickstart", "ssh", "--yes", "--port", str(port), login)
            with Room(port, login, PASSWORD) as room:
                yield Bench(server, room, server.login())
        finally:
            sshd.stop()


def listening(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port)) as connection:
        return connection.recv(4).startswith(b"SSH")
    return False


def kill(bench: Bench, victims: str, dice: Random) -> int:
    """Kill, and bring control back. How many sessions went on as if nothing had been."""
    room = bench.room
    workers = bench.workers()
    killed = {"worker": [dice.choice(workers)], "control": [], "both": workers}[victims]
    with suppress(ProcessLookupError):
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
    if victims != "worker":
        bench.server.kill()
        bench.server.start()
        bench.client = bench.server.login()
    until(lambda: not set(killed) & set(bench.workers()), what="the end of who was killed")
    before = {typist: len(typist.seen) + LINES for typist in room.typists}
    until(lambda: all(typist.is_over or len(typist.seen) > before[typist] for typist in before), what="the end, or more lines")
    over = [typist for typist in before if typist.is_over]
    if victims == "control":
        assert [typist.failure for typist in over] == []
    return len(before) - len(over)


def test_what_was_seen_half_a_second_before_a_kill_can_be_replayed(bench: Bench) -> None:
    dice, count = chance("kill sessions"), tries(short=3, long=1000)
    room = bench.room
    survived = 0
    for number in range(count):
        room.fill(SESSIONS)
        until(lambda: len(bench.workers()) == len(os.sched_getaffinity(0)), what="all workers")
        time.sleep(dice.uniform(0.05, 0.8))
        survived += kill(bench, ("worker", "control", "both")[number % 3], dice)
        for typist in room.take_those_that_are_over():
            bench.judge(typist)
        until(lambda: listening(room.port), what="the gateway")
    assert max(bench.gaps) <= GAP + room.late
    figures = {
        "sessions_cut": len(bench.gaps), "sessions_survived": survived, "unreadable": 0, "gap_p50": percentile(bench.gaps, 0.5),
        "gap_p99": percentile(bench.gaps, 0.99), "gap_max": max(bench.gaps), "late": room.late,
    }  # fmt: skip
    Outcome("kill -9 under sessions", count, figures).keep()
