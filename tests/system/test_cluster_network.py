"""The node channel over a network that is slow, loses packets, and is cut one way or both."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from doorward.cluster import connection
from doorward.cluster.calls import Since
from doorward.cluster.client import REVISION_SECONDS, CentralClient, Paired, pair
from doorward.cluster.connection import ChannelError, Way
from tests.support.channel import VERSION, Node, Running, running
from tests.support.network import Machine, Network
from tests.support.server import until
from tests.support.waiting import PATIENCE


@pytest.fixture(scope="module")
def network() -> Iterator[Network]:
    made = Network.of(1)
    yield made
    made.close()


@pytest.fixture
def machine(network: Network) -> Iterator[Machine]:
    network.heal()
    yield network.machines[1]
    network.heal()


@pytest.fixture
def central(network: Network, tmp_path: Path) -> Iterator[Running]:
    with running(tmp_path, address=network.machines[0].address) as found:
        yield found


@pytest.fixture
def node(central: Running, tmp_path: Path) -> Node:
    found = Node.new(tmp_path)
    central.channel.trust([found.peer("managed-host")])
    return found


def code(machine: Machine, call: Any) -> str:
    with pytest.raises(ChannelError) as failed:
        machine.do(call)
    return failed.value.code


def paired_at_last(way: Way, node: Node, psk: str, address: str) -> Paired:
    """Pair as a node does: again where a try found no answer in time, which on a busy machine comes about as well."""
    for _ in range(4):
        try:
            return pair(way, node.key, node_id=node.id, psk=psk, version=VERSION, address=address)
        except ChannelError as error:
            if error.code != "no_answer":
                raise
    raise AssertionError("four tries found no answer")


def test_pairs_and_synchronises_over_a_bad_line(network: Network, machine: Machine, central: Running, node: Node) -> None:
    central.handlers.answer = {"tree": [str(number) for number in range(20_000)]}
    network.delay, network.loss = 0.01, 0.03
    psk = central.handlers.accept(node)
    way = central.way
    paired = machine.do(lambda: paired_at_last(way, node, psk, machine.address))
    assert paired.certificate == central.node.key.certificate
    assert set(central.handlers.asked) == {machine.address}
    asking = CentralClient(node.key, central.node.peer(), way)
    assert machine.do(lambda: asking.revision(None)) == central.handlers.answer
    assert network.dropped > 0
    asking.close()


@pytest.mark.parametrize("direction", ["there", "back", "both"])
def test_a_cut_is_noticed_and_survived(
    network: Network, machine: Machine, central: Running, node: Node, direction: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asking = CentralClient(node.key, central.node.peer(), central.way)
    assert machine.do(asking.hello)
    monkeypatch.setattr(connection, "CALL_SECONDS", 0.5)
    monkeypatch.setattr(connection, "CONNECT_SECONDS", 0.5)
    ends = {"there": (machine, network.machines[0]), "back": (network.machines[0], machine)}.get(direction)
    network.cut(*(ends or (machine, network.machines[0])), both=ends is None)
    assert code(machine, asking.hello) == "no_answer"  # on the open connection
    assert code(machine, asking.hello) == "no_answer"  # on a new one
    network.heal()
    monkeypatch.undo()
    assert machine.do(asking.hello)["you"] == str(node.id)
    asking.close()


def test_news_of_a_time_of_silence_arrive_after_it(
    network: Network, machine: Machine, central: Running, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Central Management wakes who waits, but the answer is lost; the wait ends by itself, and the next call has the newest."""
    monkeypatch.setattr(connection, "CALL_SECONDS", 0.5)
    asking = CentralClient(node.key, central.node.peer(), central.way)
    found: list[str] = []
    thread = threading.Thread(target=lambda: found.append(code(machine, lambda: asking.head(Since(1, 1), 1))))
    thread.start()
    until(lambda: str(node.id) in central.handlers.asked)
    network.cut(network.machines[0], machine, both=False)
    central.handlers.number = 7
    central.channel.announce()
    thread.join(PATIENCE)
    assert found == ["no_answer"]
    network.heal()
    assert machine.do(lambda: asking.head(Since(1, 1))) == {"epoch": 1, "number": 7}
    asking.close()


def test_a_short_interruption_is_bridged_by_tcp(network: Network, machine: Machine, central: Running, node: Node) -> None:
    asking = CentralClient(node.key, central.node.peer(), central.way)
    assert machine.do(asking.hello)
    kept = asking._connection
    network.cut(network.machines[0], machine)
    healing = threading.Timer(0.5, network.heal)
    healing.start()
    assert machine.do(asking.hello)
    assert asking._connection is kept
    healing.join()
    asking.close()


def test_a_long_call_is_given_up_when_nothing_is_acknowledged(
    network: Network, machine: Machine, central: Running, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A revision may take a minute, but not on a line that is dead."""
    monkeypatch.setattr(connection, "CALL_SECONDS", 1.0)
    asking = CentralClient(node.key, central.node.peer(), central.way)
    assert machine.do(asking.hello)
    network.cut(machine, network.machines[0])
    began = time.monotonic()
    assert code(machine, lambda: asking.revision(None)) == "no_answer"
    assert time.monotonic() - began < REVISION_SECONDS
    asking.close()


def test_the_central_forgets_connections_that_ended_in_silence(
    network: Network, machine: Machine, central: Running, node: Node
) -> None:
    """A node that vanished without a word holds nothing for longer than its wait."""
    asking = CentralClient(node.key, central.node.peer(), central.way)
    thread = threading.Thread(target=lambda: code(machine, lambda: asking.head(Since(1, 1), 2)))
    thread.start()
    until(lambda: central.requests() == 1)
    network.cut(network.machines[0], machine)
    until(lambda: central.requests() == 0)
    asking.close()
    thread.join(PATIENCE)
