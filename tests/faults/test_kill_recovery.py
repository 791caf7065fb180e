"""kill -9 at every step of the start that follows a kill: however often it happens, the next start puts it right."""

from __future__ import annotations

from functools import partial

import pytest

from tests.faults.checks import look, write_everything
from tests.faults.plan import RECOVERY
from tests.faults.victim import COMMIT, Victim


@pytest.fixture(scope="module", autouse=True)
def something_to_go_back_to(victim: Victim) -> None:
    victim.commit(write_everything)


def kill_commit(victim: Victim) -> None:
    """Kill a commit that is on the host but not in the store."""
    victim.write(write_everything)
    assert victim.kill("before SqliteStore.publish", COMMIT) == (True, False)


def kill(victim: Victim, step: int) -> bool:
    """Kill such a commit, then the start after it."""
    before = look(victim.client)
    kill_commit(victim)
    died = victim.start_trapped(step)
    if not died:
        victim.server.kill()
    where = victim.where
    victim.check([before])
    record = victim.client.get("/api/commits").json()["items"][0]["body"]
    assert (record["state"], record["error"]["action"]) == ("reverted", "restart"), where
    return died


def test_a_start_after_two_kills_ends_in_the_old(victim: Victim) -> None:
    kill_commit(victim)
    victim.survey_start().all_killed(partial(kill, victim), RECOVERY)
    victim.commit(write_everything)
