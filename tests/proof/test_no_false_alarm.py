"""Commits, restarts and jumps of the clock, for an hour: drift is what others change, and nobody is told of any."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path

import pytest

from tests.faults.checks import accepted, issues, write_everything, write_network, write_previous, write_servers, write_web
from tests.faults.victim import COMMIT, Write
from tests.proof.effort import SOAK, Outcome, chance, tries
from tests.proof.shim import Shim
from tests.support.server import Client, Server, until

DAY = 86_400
JUMPS = (-400 * DAY, -3600, -11, 11, 3600, DAY, 5 * 365 * DAY)
PAUSE = 40.0 if SOAK else 1.5
"""Seconds between two turns at the most: the watch looks half a second after a commit, and every 30."""
TURNS = 4
"""At the least."""
SOUNDS = ("configuration_drift", "drift_loop")


@dataclass
class Watched:
    """A node whose drift is watched, by itself and by the test."""

    server: Server
    shim: Shim
    client: Client = field(init=False)
    restarts: int = 0
    jumps: int = 0
    looks: int = 0

    def commit(self, write: Write, turn: int, *, trial: bool) -> None:
        write(self.client, turn)
        accepted(self.client.put("/api/transaction", {**COMMIT, "confirm_seconds": 10} if trial else COMMIT))

    def jump(self, to: float) -> None:
        """Set the clock so many seconds wrong."""
        self.shim.move_clock(to - self.shim.clock / 1e9)
        self.jumps += 1

    def restart(self, *, kill: bool) -> None:
        if kill:
            self.server.kill()
        else:
            self.server.stop()
        assert self.heard() == []
        self.server.start()
        self.client = self.server.login()
        self.restarts += 1

    def heard(self) -> list[str]:
        """What the log says of drift."""
        return [line for line in self.server.errors if any(sound in line for sound in SOUNDS)]

    def look(self, seconds: float) -> None:
        """See for a while that nothing differs, by whatever says so."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            assert issues(self.client)["errors"] == [], self.heard()
            assert accepted(self.client.get("/api/drift")).json()["drift"] == [], self.heard()
            self.looks += 1
            time.sleep(0.1)

    def awaits(self) -> bool:
        """Whether a commit awaits its confirmation."""
        return "confirm_remaining_seconds" in accepted(self.client.get("/api/transaction")).json()["meta"]


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    shim = Shim(tmp_path, tmp_path / "disk")
    server = Server(tmp_path / "state", environment=shim.environment, plain=True).start()
    yield Watched(server, shim)
    server.stop()


def test_nobody_hears_of_drift_where_there_is_none(watched: Watched) -> None:
    dice, seconds = chance("no false alarm"), tries(short=0, long=3600)
    watched.client = watched.server.login()
    begun, turn = time.monotonic(), 0
    for turn, write in enumerate(cycle((write_everything, write_web, write_network, write_servers, write_previous))):
        if turn >= TURNS and time.monotonic() - begun > seconds:
            break
        watched.commit(write, turn, trial=turn % 5 == 3)
        if turn % 5 == 3 and (not SOAK or dice.random() < 0.5):
            accepted(watched.client.put("/api/transaction", {"status": "confirm"}))
        if turn % 2:
            watched.jump(dice.choice(JUMPS))
        if turn % 6 == 2:
            watched.restart(kill=dice.random() < 0.5)
        watched.look(PAUSE * dice.random())
        until(lambda: not watched.awaits(), what="the end of the trial")
    assert watched.heard() == []
    # It would have been told: the same watch hears of what somebody does change.
    (watched.server.state / "root/etc/timezone").write_text("Asia/Tokyo\n")
    until(watched.heard, what="the alarm")
    figures: dict[str, float] = {"seconds": seconds, "restarts": watched.restarts, "jumps": watched.jumps, "looks": watched.looks}
    Outcome("no false alarm", turn, figures).keep()
