"""kill -9 at every step of a commit that touches nothing but the store."""

from __future__ import annotations

import pytest

from tests.faults.checks import write_web
from tests.faults.plan import BEYOND, STORE_ONLY
from tests.faults.victim import Victim


@pytest.fixture(scope="module", autouse=True)
def something_to_change(victim: Victim) -> None:
    victim.commit(write_web)


@pytest.mark.parametrize("step", range(1, STORE_ONLY + 1))
def test_a_kill_at_a_step_leaves_the_old_or_the_new(victim: Victim, step: int) -> None:
    assert victim.kill_in_commit(step, write_web), f"{victim.where} and survived: there are fewer steps than planned"
    victim.commit(write_web)


def test_no_step_is_left_out(victim: Victim) -> None:
    further = range(STORE_ONLY + 1, STORE_ONLY + BEYOND)
    assert not all(victim.kill_in_commit(step, write_web) for step in further), "there are many more steps than planned"
