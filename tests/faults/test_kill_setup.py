"""kill -9 while a node takes its first settings: it waits as before, or is set up; nobody gets in halfway."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.faults.checks import NTP, ZONE, check, look
from tests.faults.victim import Victim
from tests.support.server import PASSWORD, Client
from tests.support.waiting import PATIENCE

SETUP = "/api/setup"
ANSWERS: dict[str, Any] = {
    "accept_eula": True,
    "administration": {"admin_password": PASSWORD},
    "datetime": {"primary_ntp_server": "127.0.9.1", "timezone": "Asia/Kathmandu"},
}
STEPS = {
    "before SqliteStore.begin": False,
    "before Host._step": False,
    "before SqliteStore.publish": False,
    "before CommitSubscribers.tell": True,
}
"""Where the server is killed, and whether it is set up afterwards."""


def send(client: Client) -> httpx2.Response | None:
    """Send the answers; None where the server died over them."""
    with suppress(httpx2.TransportError):
        return client.post(SETUP, ANSWERS)
    return None


@pytest.mark.parametrize(("step", "done"), STEPS.items())
def test_a_kill_leaves_a_node_that_waits_or_one_that_is_set_up(tmp_path: Path, step: str, done: bool) -> None:
    victim = Victim(tmp_path, DOORWARD_ADMIN_PASSWORD="")
    victim.server.options = ("--setup", "wizard")
    victim.server.start()
    with victim.trapped(step):
        assert send(victim.server.client()) is None
        victim.process.wait(PATIENCE)
    victim.server.start()
    client = victim.server.client()
    status = client.get(SETUP).json()["status"]
    assert status == ("completed" if done else "uninitialized")
    if not done:
        assert client.get("/api/authentication", auth=("admin", PASSWORD)).status_code == 503
        answer = send(client)
        assert answer is not None
        assert answer.status_code == 303
    client = victim.server.login()
    seen = look(client)
    assert (seen[ZONE], [server["value"] for server in seen[NTP]]) == ("Asia/Kathmandu", ["127.0.9.1"])
    check(client, victim.state, [seen], victim.where)
    assert send(client).status_code == 409  # type: ignore[union-attr]
    victim.stop()
