"""Two real nodes that shall not pair: a wrong secret, a machine in the middle, another one in the place of Central Management."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.channel import Node, in_the_middle, running
from tests.support.members import JOIN, NODES, Member, started
from tests.support.ports import free_port
from tests.support.server import QUICK, Server, until

HASTY = " ".join(
    f"doorward.cluster.{name}" for name in ("channel.HOLD_SECONDS=0.5", "follower.SOON_SECONDS=0.3", "follower._MAX_BACKOFF=1")
)


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def members(port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Member]]:
    """A Central Management, and a node that wants to join."""

    def member(address: str) -> Member:
        state = tmp_path_factory.mktemp("node") / "state"
        options = ("--listen", f"{address}:0", "--cluster-port", str(port))
        return Member(state, address, Server(state, QUICK, {"HASTY": HASTY}, options))

    with started([member("127.0.0.1"), member("127.0.0.2")]) as found:
        yield found


def test_a_wrong_secret_pairs_nobody(members: list[Member]) -> None:
    central, node = members
    asked = node.ask(central.address)
    until(lambda: node.request()[1] == "not_accepted")
    central.write(NODES, {**asked, "psk": asked["psk"][::-1]}, "POST")
    until(lambda: [i["code"] for i in central.says(node).get("issues", {}).get("warnings", [])] == ["psk_mismatch"])
    assert node.request() == ("join requested", "not_accepted")
    assert central.pinned() == node.pinned() == []


def test_a_machine_in_the_middle_pairs_nobody(members: list[Member], port: int, tmp_path: Path) -> None:
    central, node = members
    with in_the_middle((central.address, port), Node.new(tmp_path).key, ("127.0.0.3", port)):
        asked = node.ask("127.0.0.3")
        central.write(NODES, asked, "POST")
        until(lambda: node.request()[1] == "not_accepted")
        until(lambda: "issues" in central.says(node))
        assert node.request()[0] == "join requested"
        assert central.pinned() == node.pinned() == []
    node.write(JOIN, {"central_management_address": central.address})  # the same secret, the right way
    until(lambda: node.request()[0] == "in cluster")
    assert (central.pinned(), node.pinned()) == ([node.id], [central.id])
    assert not any(member.holds(asked["psk"]) for member in members)


def test_another_machine_in_the_place_of_the_central_is_not_obeyed(members: list[Member], port: int, tmp_path: Path) -> None:
    central, node = members
    central.server.stop()
    with running(tmp_path, address=central.address, port=port) as impostor:
        until(lambda: node.central()["reason"] == "pin_mismatch")
        assert (impostor.handlers.asked, impostor.handlers.reports) == ([], [])
    central.start()
    until(lambda: node.central()["reachable"])


def test_a_node_that_lost_its_key_is_nobody(members: list[Member]) -> None:
    """The pin is for the key, not for the id of the node."""
    central, node = members
    node.server.stop()
    (node.state / "cluster" / "node-key.pem").unlink()
    node.start()
    until(lambda: node.central()["reason"] == "not_accepted")
    assert central.pinned() == [node.id]
