"""kill -9 at every step of a start that takes back a commit whose confirmation did not come."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from tests.faults.checks import look, write_servers
from tests.faults.plan import BEYOND, RETURN
from tests.faults.victim import Victim


@pytest.fixture(scope="module", autouse=True)
def something_to_go_back_to(victim: Victim) -> None:
    victim.commit(write_servers)


def kill(victim: Victim, step: int) -> bool:
    """Let the time for a confirmation end while the server is down, and kill the start after that."""
    before = look(victim.client)
    commit = victim.commit(write_servers, confirm_seconds=3600)["meta"]["commit"]
    victim.server.kill()
    with closing(sqlite3.connect(victim.state / "doorward.db", isolation_level=None)) as connection:
        assert connection.execute("UPDATE confirmation SET deadline = deadline - 7200, moment = moment - 7200").rowcount == 1
    died = victim.start_trapped(step)
    where = victim.where
    victim.check([before])
    assert victim.client.body(commit)["state"] == "reverted", where
    return died


@pytest.mark.parametrize("step", range(1, RETURN + 1))
def test_a_start_after_two_kills_ends_in_the_old(victim: Victim, step: int) -> None:
    assert kill(victim, step), f"{victim.where} and survived: there are fewer steps than planned"


def test_no_step_is_left_out(victim: Victim) -> None:
    further = range(RETURN + 1, RETURN + BEYOND)
    assert not all(kill(victim, step) for step in further), "there are many more steps than planned"
    victim.commit(write_servers)
