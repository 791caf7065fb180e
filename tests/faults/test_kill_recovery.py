"""kill -9 at every step of the start that follows a kill: however often it happens, the next start puts it right."""

from __future__ import annotations

import pytest

from tests.faults.checks import look, write_everything
from tests.faults.plan import BEYOND, RECOVERY
from tests.faults.victim import COMMIT, Victim


@pytest.fixture(scope="module", autouse=True)
def something_to_go_back_to(victim: Victim) -> None:
    victim.commit(write_everything)


def kill(victim: Victim, step: int) -> bool:
    """Kill a commit that is on the host but not in the store, then the start after it."""
    before = look(victim.client)
    victim.write(write_everything)
    assert victim.kill("before SqliteStore.publish", COMMIT) == (True, False)
    died = victim.start_trapped(step)
    if not died:
        victim.server.kill()
    where = victim.where
    victim.check([before])
    record = victim.client.get("/api/commits").json()["items"][0]["body"]
    assert (record["state"], record["error"]["action"]) == ("reverted", "restart"), where
    return died


@pytest.mark.parametrize("step", range(1, RECOVERY + 1))
def test_a_start_after_two_kills_ends_in_the_old(victim: Victim, step: int) -> None:
    assert kill(victim, step), f"{victim.where} and survived: there are fewer steps than planned"


def test_no_step_is_left_out(victim: Victim) -> None:
    further = range(RECOVERY + 1, RECOVERY + BEYOND)
    assert not all(kill(victim, step) for step in further), "there are many more steps than planned"
    victim.commit(write_everything)
