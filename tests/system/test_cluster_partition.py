"""Real nodes on machines of their own, and a network that is cut between them: nobody loses anything, everybody catches up."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.members import ZONE, Member, started
from tests.support.network import Network
from tests.support.server import until

HASTY = {
    "client.REVISION_SECONDS": 1,
    "connection.CALL_SECONDS": 1,
    "connection.CONNECT_SECONDS": 1,
    "follower.WAIT_SECONDS": 2,
    "follower._MAX_BACKOFF": 2,
}
"""The waits of a node, shortened; what they wait for is the same."""


def follows(node: Member, zone: str) -> None:
    until(lambda: node.zone() == zone, 60, f"the node to be in {zone}")


@pytest.fixture(scope="module")
def network() -> Iterator[Network]:
    made = Network.of(3)
    yield made
    made.close()


@pytest.fixture(scope="module")
def members(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Member]]:
    """A Central Management and two managed hosts, each on its machine."""
    nodes = [Member.on(machine, tmp_path_factory.mktemp("node") / "state", HASTY) for machine in network.machines[1:]]
    with started(nodes) as found:
        for node in found[1:]:
            node.join(found[0], "managed-host", "search-local")
        yield found


@pytest.fixture(autouse=True)
def healed(network: Network) -> Iterator[None]:
    network.heal()
    yield
    network.heal()


def test_one_direction_is_as_good_as_none(network: Network, members: list[Member]) -> None:
    central, lonely, other = members
    for ends, zone in (((1, 2), "Europe/Vienna"), ((2, 1), "Europe/Rome")):
        network.cut(*(network.machines[end] for end in ends), both=False)
        central.write(ZONE, zone)
        follows(other, zone)
        until(lambda: not lonely.central()["reachable"])
        assert central.says(lonely)["sync_status"] == "pending"
        network.heal()
        follows(lonely, zone)
        central.settled(lonely)


def test_who_is_cut_off_goes_on_and_catches_up_with_one_commit(network: Network, members: list[Member]) -> None:
    central, lonely, other = members
    before = lonely.revision()
    network.cut(network.machines[1], network.machines[2])
    until(lambda: not lonely.central()["reachable"])
    assert lonely.central()["reason"] == "no_answer"
    refused = lonely.client.put(ZONE, "Europe/Oslo")
    assert [problem["code"] for problem in refused.json()["error"]["details"]["errors"]] == ["from_central_management"]
    for zone in ("Europe/Paris", "Europe/Madrid", "Europe/Lisbon"):
        central.write(ZONE, zone)
    follows(other, "Europe/Lisbon")
    assert lonely.revision() == before
    network.heal()
    follows(lonely, "Europe/Lisbon")
    assert lonely.revision() == before + 1
    until(lambda: lonely.central()["reachable"])


def test_a_bad_line_only_takes_longer(network: Network, members: list[Member]) -> None:
    central, *nodes = members
    network.delay, network.loss = 0.02, 0.03
    central.write(ZONE, "Europe/Athens")
    for node in nodes:
        follows(node, "Europe/Athens")
    network.heal()
    central.settled(*nodes)
