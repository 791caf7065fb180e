"""kill -9 at every step of a commit that goes back unless it is confirmed, and at every step of its confirmation."""

from __future__ import annotations

from functools import partial

import pytest

from tests.faults.checks import accepted, look, write_servers
from tests.faults.plan import COMMIT_TO_CONFIRM, CONFIRMATION
from tests.faults.victim import Victim

CONFIRM = {"status": "confirm"}


@pytest.fixture(scope="module", autouse=True)
def something_to_change(victim: Victim) -> None:
    victim.commit(write_servers)


def pending(victim: Victim) -> bool:
    """Whether a commit awaits its confirmation."""
    return "confirm_remaining_seconds" in accepted(victim.client.get("/api/transaction")).json()["meta"]


def kill_commit(victim: Victim, step: int) -> bool:
    """Kill in a commit; it awaits its confirmation just when it is there."""
    before = look(victim.client)
    died = victim.kill_in_commit(step, write_servers, confirm_seconds=3600)
    there = look(victim.client) != before
    assert pending(victim) == there, victim.where
    if there:
        accepted(victim.client.put("/api/transaction", CONFIRM))
    victim.commit(write_servers)
    return died


def kill_confirmation(victim: Victim, step: int) -> bool:
    """Kill in a confirmation; nothing but the wait for it can end."""
    victim.commit(write_servers, confirm_seconds=3600)
    before = look(victim.client)
    died, acknowledged = victim.kill(step, CONFIRM)
    victim.check([before])
    if pending(victim):
        assert not acknowledged, victim.where
        accepted(victim.client.put("/api/transaction", CONFIRM))
    victim.commit(write_servers)
    return died


def test_a_kill_in_the_commit_leaves_the_old_or_the_new(victim: Victim) -> None:
    survey = victim.survey(lambda: victim.commit(write_servers, confirm_seconds=3600))
    accepted(victim.client.put("/api/transaction", CONFIRM))
    survey.all_killed(partial(kill_commit, victim), COMMIT_TO_CONFIRM)


def test_a_kill_in_the_confirmation_leaves_it_pending_or_done(victim: Victim) -> None:
    victim.commit(write_servers, confirm_seconds=3600)
    survey = victim.survey(lambda: accepted(victim.client.put("/api/transaction", CONFIRM)))
    survey.all_killed(partial(kill_confirmation, victim), CONFIRMATION)
