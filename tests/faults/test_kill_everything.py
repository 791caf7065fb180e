"""kill -9 at every step of a commit of time servers, time zone, login time-out, and an account with its password."""

from __future__ import annotations

import pytest

from tests.faults.checks import USERS, look, write_everything
from tests.faults.plan import BEYOND, EVERYTHING
from tests.faults.victim import Victim
from tests.support.server import PASSWORD


@pytest.fixture(scope="module", autouse=True)
def something_to_change(victim: Victim) -> None:
    victim.commit(write_everything)


def kill(victim: Victim, step: int) -> bool:
    """Kill in a commit; the new account can log in just when it is there."""
    died = victim.kill_in_commit(step, write_everything)
    name = f"user{victim.turn}"
    there = name in {user["name"] for user in look(victim.client)[USERS].values()}
    client = victim.server.client()
    with client.http:
        answer = client.get("/api/authentication", auth=(name, f"{PASSWORD}-{victim.turn}"))
    assert answer.status_code == (200 if there else 401), victim.where
    return died


@pytest.mark.parametrize("step", range(1, EVERYTHING + 1))
def test_a_kill_at_a_step_leaves_the_old_or_the_new(victim: Victim, step: int) -> None:
    assert kill(victim, step), f"{victim.where} and survived: there are fewer steps than planned"
    victim.commit(write_everything)


def test_no_step_is_left_out(victim: Victim) -> None:
    further = range(EVERYTHING + 1, EVERYTHING + BEYOND)
    assert not all(kill(victim, step) for step in further), "there are many more steps than planned"
