"""kill -9 of control, supervisor and workers while a recording is on its way into a bucket: it is there once, nothing is lost."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.server import until
from tests.support.waiting import PATIENCE
from tests.system.archived import archived
from tests.system.seaweed_support import Seaweed, buckets
from tests.system.served import Served, die, left_behind, revive, served
from tests.system.ssh_support import run

LAUNCHER = (str(Path(__file__).with_name("archiving_victim.py")),)
SENT = ("before place", "after place", "after upload", "after record", "after proof")
"""Before its place is noted; before it is sent; before its row is beside it; before it is noted that it is there; after that."""
GONE = ("before going", "after going", "after delete")
"""Before it is noted that the copy goes, before it goes, and after that."""
LARGE = 9 << 20
"""Bytes on a terminal, of which more than go in one request are kept."""
PART = 5 << 20


class Site:
    """A gateway that archives, and dies at chosen steps."""

    def __init__(self, gateway: Served, seaweed: Seaweed, trap: Path) -> None:
        self.gateway, self.seaweed, self.trap = gateway, seaweed, trap
        self.sent: dict[str, bytes] = {}
        """What was recorded of each session."""

    @property
    def trails(self) -> Path:
        return self.gateway.server.state / "trails"

    def recorded(self, command: str) -> str:
        """Return the key of a session that has ended. It has a terminal, whose output is kept in full."""
        ssh = [*self.gateway.command(), "-tt", "127.0.0.1", command]
        assert run(ssh, env=self.gateway.environment()).returncode == 0
        return max(self.trails.glob("*.dwr"), key=lambda path: path.stat().st_mtime_ns).stem

    def dies(self, step: str) -> None:
        """Set the trap."""
        part = self.trap.with_suffix(".part")
        part.write_text(step)
        part.rename(self.trap)

    def died(self) -> None:
        """Wait until control died at the step, kill what it left, and start all of it again."""
        assert self.gateway.server.process
        self.gateway.server.process.wait(PATIENCE)
        assert not self.trap.exists(), "".join(self.gateway.server.errors)[-3000:]
        die(self.gateway)
        revive(self.gateway)

    def recording(self, key: str) -> Any:
        return self.gateway.body(key)["session"]["recording"]

    def carrying(self, who: str) -> list[int]:
        """Return the supervisor, or the processes below it."""
        found = left_behind(self.gateway.server.state)
        parents = {process: int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1]) for process in found}
        assert len(found) > 1
        return [process for process, parent in parents.items() if (parent in parents) == (who == "workers")]

    def is_there_once(self, key: str) -> None:
        """The recording is proven to be in the bucket, once, as it was recorded, and so are those of before."""
        told = until(lambda: (found := self.recording(key))["archived"] and found, what="the recording in the archive")
        names = self.seaweed.names("backups", "killed/trails/")
        assert sorted(Path(name).stem for name in names) == sorted(self.sent)
        records = self.seaweed.names("backups", "killed/sessions/")
        assert {Path(name).name.partition("-")[0] for name in records} == self.sent.keys()
        assert self.seaweed.ask("GET", f"backups/{told['archive']['path']}").content == self.sent[key]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    home = tmp_path_factory.mktemp("home")
    environment = {"NAMED_TRAP": str(home / "trap"), "HASTY": "doorward.archiving.archiver.LOOK_SECONDS=0.2"}
    with buckets() as seaweed, served(home / "state", home, launcher=LAUNCHER, environment=environment) as gateway:
        archived(gateway, seaweed, "killed")
        yield Site(gateway, seaweed, home / "trap")


@pytest.mark.parametrize("step", [*SENT, "between parts"])
def test_what_was_being_sent_is_there_once(site: Site, step: str) -> None:
    site.dies(step)
    key = site.recorded(f"head -c {LARGE if step == 'between parts' else 10} /dev/urandom | base64")
    site.died()
    site.sent[key] = (site.trails / f"{key}.dwr").read_bytes()
    assert (len(site.sent[key]) > PART) == (step == "between parts")
    site.is_there_once(key)
    assert "<UploadId>" not in site.seaweed.ask("GET", "backups?uploads&prefix=killed/").text, "nothing half is left"


@pytest.mark.parametrize("step", GONE)
def test_a_copy_goes_once_and_its_recording_can_be_had(site: Site, step: str) -> None:
    key = site.recorded("echo gone-$((40+2))")
    until(lambda: site.recording(key)["archived"], what="the recording in the archive")
    site.sent[key] = (site.trails / f"{key}.dwr").read_bytes()
    site.is_there_once(key)
    die(site.gateway)
    site.dies(step)
    server = site.gateway.server
    try:
        server.environment["DAYS_LATER"] = str(15 + 2 * GONE.index(step))  # start times since, in each case
        server.start(wait=False)
        site.died()
        until(lambda: not (site.trails / f"{key}.dwr").exists(), what="the end of the copy")
        assert server.login().get(f"/api/audit/sessions/{key}/audit_trail").content == site.sent[key]
        site.is_there_once(key)
    finally:
        del server.environment["DAYS_LATER"]
        die(site.gateway)
        revive(site.gateway)


@pytest.mark.parametrize("who", ["workers", "supervisor"])
def test_who_carries_sessions_dies_alone_while_a_recording_is_on_its_way(site: Site, who: str) -> None:
    site.dies("wait after place")
    key = site.recorded("echo slow-$((40+2))")
    held = site.trap.with_suffix(".held")
    until(held.exists, what="the place of the recording to be noted")
    for process in site.carrying(who):
        os.kill(process, signal.SIGKILL)
    held.unlink()
    site.trap.unlink()
    site.sent[key] = (site.trails / f"{key}.dwr").read_bytes()
    site.is_there_once(key)
    until(lambda: site.gateway.ssh("echo again-$((50+5))").stdout == b"again-55\n", what="sessions again")
    key = site.gateway.last()
    until(lambda: site.recording(key)["archived"], what="its recording in the archive")
    site.sent[key] = (site.trails / f"{key}.dwr").read_bytes()
    site.is_there_once(key)
