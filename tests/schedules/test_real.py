"""Random schedules among five real processes in network namespaces: the events and the checks of the simulated ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule, run_state_machine_as_test

from tests.schedules.machine import Schedules
from tests.schedules.real import OFFLINE, Real, Visited
from tests.schedules.test_schedules import COUNT
from tests.support.members import LEFT_OPEN, Member, started
from tests.support.network import Network

pytestmark = pytest.mark.filterwarnings(LEFT_OPEN)

EVENTS = 12
HASTY = {
    "client.REVISION_SECONDS": 1,
    "connection.CALL_SECONDS": 1,
    "connection.CONNECT_SECONDS": 1,
    "follower.LOST_SECONDS": 1,
    "follower.REPORT_SECONDS": 0.5,
    "follower.WAIT_SECONDS": 2,
    "follower._MAX_BACKOFF": 2,
    "statuses.OFFLINE_SECONDS": OFFLINE,
}
"""The waits of a node, shortened; what they wait for is the same."""


class RealSchedules(Schedules):
    """What only real processes do: die in the middle of whatever they do."""

    templates = ("joined",)

    @rule(value=st.integers(0, 4))
    def die_amid_commits(self, value: int) -> None:
        self.world.die_amid_commits(value)


class Witness:
    """Does to a cluster what it is told, and keeps what went wrong first, and after what: it can't be made to happen again."""

    def __init__(self, cluster: Real) -> None:
        self._cluster = cluster
        self._done: list[str] = []
        self.seen: Exception | None = None

    def __getattr__(self, name: str) -> Callable[..., None]:
        def do(*given: Any, **named: Any) -> None:
            self._done.append(f"{name}{(*given, *named.values())}")
            try:
                getattr(self._cluster, name)(*given, **named)
            except Exception as error:
                if self.seen is None:
                    self.seen = error
                    error.add_note("After " + " ".join(self._done))
                raise

        return do


@pytest.fixture(scope="module")
def network() -> Iterator[Network]:
    made = Network.of(5)
    yield made
    made.close()


@pytest.fixture(scope="module")
def real(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Real]:
    """A Central Management, two managed hosts, a node without that role, and one that knows nothing of the cluster."""
    nodes: list[Member] = [
        Visited.on(machine, tmp_path_factory.mktemp("node") / "state", HASTY) for machine in network.machines[1:]
    ]
    with started(nodes) as found:
        central, one, two, three, _ = found
        one.join(central, "managed-host", "search-local")
        two.join(central, "managed-host", "search-local")
        three.join(central)
        yield Real(network, found)


def test_whatever_happens_to_real_nodes_they_say_the_truth_and_converge(real: Real, monkeypatch: pytest.MonkeyPatch) -> None:
    witness = Witness(real)
    monkeypatch.setattr(RealSchedules, "begin", staticmethod(lambda _template, _seed: witness), raising=False)
    limits = settings(
        max_examples=max(3, COUNT // 25),
        stateful_step_count=EVENTS,
        deadline=None,
        database=None,
        derandomize=COUNT < 100,
        phases=[Phase.generate],  # what has happened to a real cluster can't be taken back to try less
        suppress_health_check=list(HealthCheck),
    )
    try:
        run_state_machine_as_test(RealSchedules, settings=limits)
    except Exception:
        if witness.seen is not None:  # Hypothesis tried it again, and tells how that went
            raise witness.seen from None
        raise
