"""kill -9 at every step of a start that takes back a commit whose confirmation did not come."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import partial

import pytest

from tests.faults.checks import look, write_servers
from tests.faults.plan import RETURN
from tests.faults.victim import Victim


@pytest.fixture(scope="module", autouse=True)
def something_to_go_back_to(victim: Victim) -> None:
    victim.commit(write_servers)


def overdue(victim: Victim) -> str:
    """Let the time for a confirmation end while the server is down; returns where the commit is shown."""
    commit: str = victim.commit(write_servers, confirm_seconds=3600)["meta"]["commit"]
    victim.server.kill()
    with closing(sqlite3.connect(victim.state / "doorward.db", isolation_level=None)) as connection:
        assert connection.execute("UPDATE confirmation SET deadline = deadline - 7200, moment = moment - 7200").rowcount == 1
        connection.execute("DELETE FROM tally")  # else the next start says, rightly, that somebody altered a row
    return commit


def kill(victim: Victim, step: int) -> bool:
    """Kill the start that takes a commit back."""
    before = look(victim.client)
    commit = overdue(victim)
    died = victim.start_trapped(step)
    where = victim.where
    victim.check([before])
    assert victim.client.body(commit)["state"] == "reverted", where
    return died


def test_a_start_after_two_kills_ends_in_the_old(victim: Victim) -> None:
    overdue(victim)
    victim.survey_start().all_killed(partial(kill, victim), RETURN)
    victim.commit(write_servers)
