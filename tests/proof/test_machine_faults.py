"""Machines that fail under commits: power, disks and clocks. What was acknowledged is there, and the rest whole or not at all."""

from __future__ import annotations

import errno
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.faults.checks import WEB, Seen, accepted, check, issues, look, refused, write_everything, write_web
from tests.faults.victim import COMMIT, Write
from tests.proof.boundaries import Boundary
from tests.proof.commits import allowed, check_server, check_store, files_of, record_commits
from tests.proof.disk_log import read_log
from tests.proof.effort import SOAK, Outcome, chance, tries
from tests.proof.faults import FAULTS
from tests.proof.matrix import COMMITS, is_noticed, planned, recorded
from tests.proof.recording import Recording
from tests.proof.shim import SYNCS, Shim
from tests.support.server import Client, Server, until

REAL_STARTS = 40 if SOAK else 2
"""How many of the cuts a whole server starts from; the others are looked at by what it opens its files with."""
STEPS = {write_web: 5, write_everything: 40}
"""So many changes of files lie between two that fail, in the short form."""
BEYOND = 400
"""More changes of files than any commit here makes."""
HOUR, DAY, YEAR = 3600, 86_400, 31_557_600
TRIAL = 600


@dataclass
class Sick:
    """A server whose disk fails on order."""

    server: Server
    shim: Shim
    client: Client = field(init=False)
    turn: int = 100
    unknown: int = 0
    """Commits that could not put the host back."""
    refusals: int = 0
    seen: Seen = field(default_factory=dict)
    recording: Recording = field(init=False)
    """Its first start and its first commits."""

    def __post_init__(self) -> None:
        record_commits(self.server.start(), self.shim)
        self.recording = Recording(self.shim.root, read_log(self.shim.log))
        self.server.stop()

    def wake(self) -> Client:
        """Start it where it does not run, and log in; what starts from a copy of its disk needs its port meanwhile."""
        if self.server.process is None or self.server.process.poll() is not None:
            self.server.start()
        self.client = self.server.login()
        return self.client

    def commit(self, write: Write, kinds: int, error: int, after: int, times: int) -> int:
        """Commit while changes of files fail, from one on; look at what came of it. How many failed."""
        client = self.client
        before = look(client)
        self.turn += 1
        write(client, self.turn)
        wanted = look(client)
        with self.shim.failing(kinds, error, after=after, times=times):
            answer = client.put("/api/transaction", COMMIT)
        failed = self.shim.failed
        where = f"{errno.errorcode[error]} after {after} of {kinds}, {times} times: {answer.status_code}"
        if answer.is_success:
            self.seen = wanted
        else:
            restored = refused(answer)
            self.refusals += 1
            self.unknown += not restored
            assert look(client) == wanted, where  # the candidate is kept
            accepted(client.delete("/api/transaction"))
            self.seen = before
        assert look(client) == self.seen, where
        return failed

    def get_well(self) -> None:
        """Commit once more: it works, and all is well."""
        self.turn += 1
        (write_everything if self.unknown else write_web)(self.client, self.turn)
        self.seen = look(self.client)
        accepted(self.client.put("/api/transaction", COMMIT))

    def die(self) -> None:
        """kill -9, and start: what was seen is what there is."""
        until(lambda: issues(self.client)["errors"] == [], what="health")
        records = accepted(self.client.get("/api/commits")).json()["items"]  # the last hundred
        unknown = sum(record["body"]["state"] == "unknown" for record in records)
        self.server.kill()
        self.wake()
        check(self.client, self.server.state, [self.seen], "after the end", unknown=unknown)

    def lose_power(self, into: Path) -> None:
        """Cut the power now. What a sync that failed left unsynced may be lost for good; what was acknowledged later is not."""
        until(lambda: issues(self.client)["errors"] == [], what="health")
        now, dice = Recording(self.shim.root, read_log(self.shim.log)), chance("power and syncs that fail")
        for _, directory in now.cuts([len(now.entries)] * (20 if SOAK else 4), dice, into):
            wanted = {"seen": self.seen, "awaits": False, "files": files_of(self.server.state)}
            check_store(directory / "state", [wanted], "after syncs that failed")

    def remaining(self) -> int:
        """Seconds until the trial ends."""
        return int(accepted(self.client.get("/api/transaction")).json()["meta"]["confirm_remaining_seconds"])

    def token_works(self, token: str) -> bool:
        answer = self.server.client().get(WEB, headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code in {200, 401}, answer.text
        return answer.status_code == 200


@pytest.fixture(scope="module")
def sick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sick]:
    directory = tmp_path_factory.mktemp("sick")
    root: Path = directory / "disk"
    root.mkdir()
    shim = Shim(directory, root, logs=True)
    launcher = tuple(recorded(directory, "doorward")[1:])
    server = Server(root / "state", launcher, environment=shim.environment, plain=True)
    yield Sick(server, shim)
    server.stop()


def test_what_was_committed_outlives_a_loss_of_power(sick: Sick, tmp_path: Path) -> None:
    recording = sick.recording
    dice, count = chance("power commits"), tries(short=12, long=500)
    whole = set(dice.sample(range(count), min(count, REAL_STARTS)))
    for number, (at, directory) in enumerate(recording.cuts(recording.places(count, dice), dice, tmp_path)):
        where = f"cut before entry {at} of {len(recording.entries)}"
        check_cut(recording, at, directory)
        wanted = allowed(recording.marks(at), recording, at)
        if number in whole:
            check_server(directory / "state", [one["seen"] for one in wanted], where)
    Outcome("power cut: commits", count, {"changes_recorded": len(recording.entries), "whole_starts": len(whole)}).keep()


def check_cut(recording: Recording, at: int, disk: Path) -> None:
    if wanted := allowed(recording.marks(at), recording, at):
        check_store(disk / "state", wanted, f"cut before entry {at} of {len(recording.entries)}")


@pytest.mark.parametrize("boundary", planned(COMMITS), ids=lambda boundary: boundary.name)
def test_no_boundary_of_commits_can_be_left_out(sick: Sick, boundary: Boundary, tmp_path: Path) -> None:
    assert is_noticed(sick.recording, boundary, check_cut, tmp_path)


@pytest.mark.parametrize("fault", FAULTS)
def test_wherever_the_disk_fails_a_commit_is_whole_or_not_at_all(sick: Sick, fault: str, tmp_path: Path) -> None:
    error, kinds, times = FAULTS[fault]
    tried = 0
    sick.wake()
    for write in (write_web, write_everything):
        after, step = 0, 1 if SOAK else STEPS[write]
        while sick.commit(write, kinds, error, after, times):
            tried += 1
            after += step
            sick.get_well()
            assert after < BEYOND
    assert tried
    if SOAK or kinds == SYNCS:
        sick.lose_power(tmp_path)
        sick.die()
    Outcome(f"disk: {fault}", tried).keep()


def test_jumps_of_the_clock_neither_shorten_nor_lengthen_a_right(sick: Sick) -> None:
    dice, count = chance("clock"), tries(short=4, long=300)
    server, shim = sick.server, sick.shim
    for number in range(count):
        client = sick.wake()
        before = look(client)
        write_everything(client, number + 2000)
        after = look(client)
        accepted(client.put("/api/transaction", {"status": "commit", "confirm_seconds": TRIAL}))
        order = {"name": f"clock {number}", "expires_days": 1, "rights": "read"}
        token = accepted(client.post("/api/user/tokens", order)).json()["body"]["token"]
        began, left = time.monotonic(), sick.remaining()
        idle = accepted(client.get(WEB)).json()["meta"]["remaining_seconds"]
        jump = dice.choice((-1, 1)) * dice.choice((11, HOUR, DAY - HOUR, DAY + HOUR, 400 * DAY, 5 * YEAR)) + dice.random()
        shim.move_clock(jump)
        where = f"jump by {jump} s"
        assert accepted(client.get(WEB)).json()["meta"]["remaining_seconds"] >= idle - 1, where
        passed = time.monotonic() - began
        assert left - passed - 2 <= sick.remaining() <= left, where
        assert look(client) == after, where
        assert sick.token_works(token) is (jump < DAY), where
        if number % 4 == 3:  # what is left of a trial outlives a restart, too
            server.kill()
            client = sick.wake()
            passed = time.monotonic() - began
            assert left - passed - 2 <= sick.remaining() <= left, where
            assert look(client) == after, where
        shim.move_clock(-jump)
        if jump < DAY:  # one that has ended may be removed by now
            assert sick.token_works(token), where
        assert sick.remaining() <= left, where
        accepted(client.put("/api/transaction", {"status": "confirm"}))
        assert look(client) == after != before, where
    Outcome("clock that jumps", count).keep()
