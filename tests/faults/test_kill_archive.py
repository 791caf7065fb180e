"""kill -9 at the steps of a restore from an archive, from the request to its end; those on the host are like any commit's."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import httpx2
import pytest

from tests.faults.checks import Seen, accepted, look, write_servers, write_user, write_web
from tests.faults.victim import Victim
from tests.support.server import PASSWORD, Client, until

RESTORES = "/api/backup/restores"
STEPS = (1, 2, 3, 5, 7, 8, 9, 11, 12, 15, 18, 22, 27, 33, 38, 43, 44, 45, 46, 47, 48)
"""Before the host is touched, some of those that touch it, and those from the revision on."""
PUBLISHED = 44
"""The first one at which the revision is written."""


def write_some(client: Client, number: int) -> None:
    """A change that takes the same steps each time."""
    for write in (write_servers, write_web, write_user):
        write(client, number)


@pytest.fixture(scope="module")
def archived(victim: Victim) -> tuple[str, Seen]:
    """An uploaded archive, and what was running when it was made."""
    victim.commit(write_some)
    client = victim.client
    made = accepted(client.post("/api/backup/exports", {"encryption": {"selection": "none"}})).json()
    data = accepted(client.get(f"{made['meta']['href']}/download")).content
    headers = {"Content-Type": "application/octet-stream"}
    upload = accepted(client.post("/api/upload/backup", content=data, headers=headers)).json()["key"]
    return upload, look(client)


def ask(victim: Victim, upload: str) -> bool:
    """Ask for a restore and wait for its end, or that of the server. Whether the server lives."""
    client = victim.client

    def over() -> Any:
        if victim.process.poll() is not None:
            return "died"
        with suppress(httpx2.TransportError):  # success ends the login session
            return "ended" if client.get("/api/transaction").status_code == 401 else None
        return None

    with suppress(httpx2.TransportError):
        accepted(client.post(RESTORES, {"source": {"selection": "upload", "value": upload}}))
    return bool(until(over, what="the end of the restore, or of the server") == "ended")


@pytest.mark.parametrize("step", STEPS)
def test_a_kill_at_a_step_leaves_the_old_or_the_new(victim: Victim, archived: tuple[str, Seen], step: int) -> None:
    upload, wanted = archived
    victim.commit(write_some)
    before, number = look(victim.client), len(records(victim))
    with victim.trapped(step):
        if ask(victim, upload):  # the last steps come after the end of the login session
            victim.enter(PASSWORD)
            until(lambda: victim.process.poll() is not None, 5, f"{victim.where} and survived: fewer steps than planned")
    found = records(victim)
    assert len(found) <= number + 1
    restored = look(victim.client) == wanted
    if len(found) > number:
        assert found[0]["status"] == "finished", victim.where
        assert found[0]["result"] in ({"succeeded"} if restored else {"failed", "reverted"}), victim.where
    else:
        assert not restored, "a restore that nobody knows of"
    victim.check([wanted if restored else before])
    assert restored == (step >= PUBLISHED), victim.where


def records(victim: Victim) -> list[dict[str, Any]]:
    items = accepted(victim.client.get(f"{RESTORES}?limit=1000")).json()["items"]
    return [item["body"] for item in items]
