"""kill -9 at random moments while clients commit: what was acknowledged is there, what was not is there whole or not at all."""

from __future__ import annotations

import random

import pytest

from tests.faults.at_any_time import kill_at_any_time
from tests.faults.plan import AT_ANY_TIME
from tests.faults.victim import Victim

SEED = 20261121


@pytest.mark.parametrize("number", range(1, AT_ANY_TIME + 1))
def test_a_kill_at_any_time_loses_no_acknowledged_commit(victim: Victim, number: int) -> None:
    kill_at_any_time(victim, random.Random(SEED + number))  # noqa: S311 - a chance that can be repeated
