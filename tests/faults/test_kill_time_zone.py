"""kill -9 at every step of a commit of a time zone: a link, a file, a proof."""

from __future__ import annotations

import pytest

from tests.faults.checks import write_zone
from tests.faults.plan import BEYOND, TIME_ZONE
from tests.faults.victim import Victim


@pytest.fixture(scope="module", autouse=True)
def something_to_change(victim: Victim) -> None:
    victim.commit(write_zone)


@pytest.mark.parametrize("step", range(1, TIME_ZONE + 1))
def test_a_kill_at_a_step_leaves_the_old_or_the_new(victim: Victim, step: int) -> None:
    assert victim.kill_in_commit(step, write_zone), f"{victim.where} and survived: there are fewer steps than planned"
    victim.commit(write_zone)


def test_no_step_is_left_out(victim: Victim) -> None:
    further = range(TIME_ZONE + 1, TIME_ZONE + BEYOND)
    assert not all(victim.kill_in_commit(step, write_zone) for step in further), "there are many more steps than planned"
