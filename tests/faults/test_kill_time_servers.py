"""kill -9 at every step of a commit of time servers: a file, a reload of chronyd, a read-back."""

from __future__ import annotations

import pytest

from tests.faults.checks import write_servers
from tests.faults.plan import BEYOND, TIME_SERVERS
from tests.faults.victim import Victim


@pytest.fixture(scope="module", autouse=True)
def something_to_change(victim: Victim) -> None:
    victim.commit(write_servers)


@pytest.mark.parametrize("step", range(1, TIME_SERVERS + 1))
def test_a_kill_at_a_step_leaves_the_old_or_the_new(victim: Victim, step: int) -> None:
    assert victim.kill_in_commit(step, write_servers), f"{victim.where} and survived: there are fewer steps than planned"
    victim.commit(write_servers)


def test_no_step_is_left_out(victim: Victim) -> None:
    further = range(TIME_SERVERS + 1, TIME_SERVERS + BEYOND)
    assert not all(victim.kill_in_commit(step, write_servers) for step in further), "there are many more steps than planned"
