"""kill -9 at every step of a commit of time servers, time zone, login time-out, and an account with its password."""

from __future__ import annotations

from functools import partial

import pytest

from tests.faults.checks import USERS, look, write_everything
from tests.faults.plan import EVERYTHING
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
    victim.commit(write_everything)
    return died


def test_a_kill_at_every_step_leaves_the_old_or_the_new(victim: Victim) -> None:
    victim.survey(lambda: victim.commit(write_everything)).all_killed(partial(kill, victim), EVERYTHING)
