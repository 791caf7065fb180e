"""Random schedules in a simulated cluster: real nodes but for processes, TCP and TLS, and a time that passes on demand.

``DOORWARD_SCHEDULES`` says how many (``make schedules``: 1,000). A failure prints the shortest schedule that still fails, and
what makes it happen again.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.schedules.beginnings import simulated, templates
from tests.schedules.machine import Simulated
from tests.schedules.world import World

COUNT = int(os.environ.get("DOORWARD_SCHEDULES", "25"))
EVENTS = 40
"""At most, of one schedule."""


@pytest.fixture(scope="module", autouse=True)
def simulation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Everything is played from here on; a schedule begins with a copy of one of two clusters."""
    directory = tmp_path_factory.mktemp("schedules")
    with simulated(), pytest.MonkeyPatch.context() as patch:
        made = templates(directory)

        def begin(template: str, seed: int) -> World:
            return World(made[template], Path(tempfile.mkdtemp(dir=directory)), Random(seed))  # noqa: S311 - no secrets

        patch.setattr(Simulated, "begin", staticmethod(begin), raising=False)
        yield


def test_whatever_happens_the_cluster_says_the_truth_and_converges() -> None:
    run_state_machine_as_test(
        Simulated,
        settings=settings(
            max_examples=COUNT,
            stateful_step_count=EVENTS,
            deadline=None,
            database=None,
            print_blob=True,
            phases=[Phase.generate, Phase.shrink],
            derandomize=COUNT < 100,
            suppress_health_check=list(HealthCheck),
        ),
    )
