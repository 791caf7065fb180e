"""kill -9 at random moments while clients commit: what was acknowledged is there, what was not is there whole or not at all."""

from __future__ import annotations

import random
import threading
from contextlib import suppress

import httpx2
import pytest

from tests.faults.checks import accepted, look, write_servers, write_web, write_zone
from tests.faults.plan import AT_ANY_TIME
from tests.faults.victim import COMMIT, Victim
from tests.support.waiting import PATIENCE

SEED = 20261121
MAX_SECONDS = 0.4


@pytest.mark.parametrize("number", range(1, AT_ANY_TIME + 1))
def test_a_kill_at_any_time_loses_no_acknowledged_commit(victim: Victim, number: int) -> None:
    chance = random.Random(SEED + number)  # noqa: S311 - a chance that can be repeated
    client = victim.client
    asked = running = look(client)
    killer = threading.Timer(chance.uniform(0, MAX_SECONDS), victim.process.kill)
    killer.start()
    with suppress(httpx2.TransportError):
        while killer.is_alive():
            victim.turn += 1
            chance.choice([write_servers, write_web, write_zone])(client, victim.turn)
            asked = look(client)
            accepted(client.put("/api/transaction", COMMIT))
            running = asked
    killer.join()
    victim.process.wait(PATIENCE)
    victim.check([running, asked])
