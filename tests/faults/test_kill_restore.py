"""kill -9 at every step of the commit of a restored revision."""

from __future__ import annotations

import pytest

from tests.faults.checks import write_everything, write_previous
from tests.faults.plan import BEYOND, RESTORE
from tests.faults.victim import Victim


@pytest.fixture(scope="module", autouse=True)
def something_to_go_back_to(victim: Victim) -> None:
    victim.commit(write_everything)


@pytest.mark.parametrize("step", range(1, RESTORE + 1))
def test_a_kill_at_a_step_leaves_the_old_or_the_new(victim: Victim, step: int) -> None:
    assert victim.kill_in_commit(step, write_previous), f"{victim.where} and survived: there are fewer steps than planned"
    victim.commit(write_previous)


def test_no_step_is_left_out(victim: Victim) -> None:
    further = range(RESTORE + 1, RESTORE + BEYOND)
    assert not all(victim.kill_in_commit(step, write_previous) for step in further), "there are many more steps than planned"
