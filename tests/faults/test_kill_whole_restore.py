"""kill -9 while a node without a history of its own becomes the system in an archive, history included."""

from __future__ import annotations

import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from doorward.backup.archive import prepare
from tests.faults.checks import accepted, check, look
from tests.faults.victim import Victim
from tests.support.server import PASSWORD, until
from tests.unit.backup.parts import Site
from tests.unit.transaction.rig import ADMIN_PASSWORD, SERVERS, USERS, ZONE, ip

STEPS = {
    "before SqliteStore.publish": False,
    "before INSERT INTO revisions": False,
    "before DELETE FROM journal": False,
    "before CommitSubscribers.tell": True,
}
"""Steps of the commit, and whether the archive is in force behind them: one transaction takes the history over."""


@dataclass
class Archive:
    """An archive of a whole system, who signed it, and how many revisions it has."""

    data: bytes
    signer: str
    revisions: int


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    site = Site(tmp_path_factory.mktemp("site") / "node")
    site.rig.committed((ZONE, "Europe/Budapest"))
    candidate = site.rig.candidate()
    site.rig.put(candidate, SERVERS, [ip("127.77.0.1")])
    site.rig.post(candidate, USERS, {"name": "jane", "password": None})
    site.rig.commit(candidate)
    made = Archive(prepare(site.node, site.spool).archive.read_bytes(), site.node.signing.fingerprint, site.rig.number)
    site.rig.close()
    return made


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state of a node to which nobody ever came."""
    victim = Victim(tmp_path_factory.mktemp("untouched"))
    victim.server.start()
    victim.server.stop()
    return victim.state


def fresh(untouched: Path, directory: Path) -> Victim:
    """Such a node."""
    shutil.copytree(untouched, directory / "state", ignore=shutil.ignore_patterns("*.sock", "run"))
    return Victim(directory)


def restore(victim: Victim, archive: Archive) -> None:
    """Restore the whole system; wait for the end, or for that of the server."""
    client = victim.client
    headers = {"Content-Type": "application/octet-stream"}
    upload = accepted(client.post("/api/upload/backup", content=archive.data, headers=headers)).json()["key"]
    order = {"source": {"selection": "upload", "value": upload}, "accept_signer": archive.signer, "scope": "system"}
    accepted(client.post("/api/backup/restores", {**order, "take_over": True}))

    def over() -> bool:
        if victim.process.poll() is not None:
            return True
        with suppress(httpx2.TransportError):  # success ends the login session
            return client.get("/api/transaction").status_code == 401
        return False

    until(over, what="the end of the restore, or of the server")


def test_every_step_leaves_the_old_or_the_new(untouched: Path, archive: Archive, tmp_path: Path) -> None:
    whole = fresh(untouched, tmp_path / "whole")
    old = look(whole.client)
    restore(whole, archive)

    def inside() -> bool:
        with suppress(httpx2.ConnectError):  # the certificate is handed out after the login sessions have ended
            whole.enter(ADMIN_PASSWORD)
            found = whole.client.get("/api/backup/restores")
            return found.is_success and found.json()["items"][0]["body"]["result"] == "succeeded"
        return False

    until(inside)
    whole.enter(ADMIN_PASSWORD)  # those who came while it ended were thrown out again
    new = look(whole.client)
    check(whole.client, whole.state, [new], "not killed")
    history = accepted(whole.client.get("/api/revisions")).json()["items"]
    assert [int(item["key"]) for item in history] == list(range(archive.revisions + 1, 0, -1))
    whole.stop()
    assert old != new
    for number, (step, done) in enumerate(STEPS.items()):
        victim = fresh(untouched, tmp_path / str(number))
        victim.client  # noqa: B018 - starts it
        with victim.trapped(step):
            restore(victim, archive)
        assert victim.where.startswith("killed at"), step
        victim.server.kill()
        victim.server.start()
        victim.enter(ADMIN_PASSWORD if done else PASSWORD)
        check(victim.client, victim.state, [new if done else old], victim.where)
        newest = accepted(victim.client.get("/api/revisions")).json()["items"]
        assert len(newest) == (archive.revisions + 1 if done else 1), victim.where
        victim.stop()
