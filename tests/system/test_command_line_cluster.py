"""``doorward cluster``, from two fresh nodes to a cluster and back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.members import channel_port
from tests.support.server import QUICK, Server, until
from tests.system.command_line import CommandLine


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[CommandLine, CommandLine]]:
    """Users of two nodes; the second one is to be Central Management's."""
    found = []
    for number in (2, 1):
        options = ("--listen", f"127.0.0.{number}:0", "--cluster-port", channel_port())
        server = Server(tmp_path / f"node{number}", QUICK, options=options).start()
        (home := tmp_path / f"home{number}").mkdir()
        found.append(CommandLine(server, home))
    yield found[0], found[1]
    for user in found:
        user.server.stop()


def test_two_nodes_become_a_cluster_and_part_again(pair: tuple[CommandLine, CommandLine]) -> None:
    node, central = pair
    assert node("cluster", "status").lines == ["This node: not in cluster."]
    assert node("cluster", "remove", "127.0.0.1").err == "This node is in no cluster.\n"
    wrong = central("cluster", "promote", "--listen", "127.0.0.9")
    assert (wrong.code, "no address 127.0.0.9" in wrong.err) == (2, True)
    assert central("cluster", "promote").code == 1
    assert central("cluster", "promote", "--listen", "127.0.0.1").code == 0
    joined = node("cluster", "join", "127.0.0.1", "--listen", "127.0.0.2")
    assert joined.code == 0, joined.err
    assert [line.partition(".")[0] for line in joined.lines] == ["doorward-join-1"]  # what a pipe may take
    assert "Revision" in joined.err
    assert central("cluster", "accept", stdin="nothing of the kind").err == "This is not what `doorward cluster join` prints.\n"
    accepted = central("cluster", "accept", "--role", "managed-host", "--role", "search-local", stdin=joined.out)
    assert accepted.code == 0, accepted.err
    until(lambda: "up-to-date" in central("cluster", "status").out, 20, "that it is there")
    head, own, other = central("cluster", "status").lines
    assert head.split() == ["NODE", "ADDRESS", "ROLES", "STATUS", "CONFIGURATION", "VERIFIED", "LAST", "SEEN", "VERSION"]
    assert "(this node)" in own
    assert "central-management" in own
    assert "managed-host, search-local" in other
    number = central.server.login().get("/api/cluster/status").json()["items"][1]["configuration_sync"]["applied"]["number"]
    assert re.search(rf" up-to-date +{number} at 20", other)
    assert "127.0.0.1 does not answer" not in node("cluster", "status").out
    central.server.stop()
    until(lambda: "Central Management at 127.0.0.1 does not answer" in node("cluster", "status").out, 20, "that it is away")
    assert " It did at 20" in node("cluster", "status").out, "and how old that is which it knows"
    central.server.start()
    central.variables = {"DOORWARD_URL": central.server.url}
    assert central("cluster", "remove", "127.0.0.7").err == "No nodes are called 127.0.0.7.\n"
    removed = central("cluster", "remove", "127.0.0.2")
    assert removed.code == 0, removed.err
    until(lambda: node("cluster", "status").lines == ["This node: not in cluster."], 30, "that it is out")
    assert node("cluster", "join", "127.0.0.1").code == 0
    assert node("cluster", "leave").code == 0
    assert node("cluster", "leave").code == 1
