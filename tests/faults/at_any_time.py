"""Clients that commit until the server is killed at a moment that chance chooses."""

from __future__ import annotations

import random
import threading
from contextlib import suppress

import httpx2

from tests.faults.checks import accepted, look, write_servers, write_web, write_zone
from tests.faults.victim import COMMIT, Victim
from tests.support.waiting import PATIENCE

MAX_SECONDS = 0.4


def kill_at_any_time(victim: Victim, chance: random.Random) -> bool:
    """Commit until the kill, start again, check everything. Whether it fell on a commit whose answer was awaited."""
    client = victim.client
    asked = running = look(client)
    killer = threading.Timer(chance.uniform(0, MAX_SECONDS), victim.process.kill)
    killer.start()
    awaited = False
    with suppress(httpx2.TransportError):
        while killer.is_alive():
            victim.turn += 1
            chance.choice([write_servers, write_web, write_zone])(client, victim.turn)
            asked = look(client)
            awaited = True
            accepted(client.put("/api/transaction", COMMIT))
            awaited, running = False, asked
    killer.join()
    victim.process.wait(PATIENCE)
    victim.check([running, asked])
    return awaited
