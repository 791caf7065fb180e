"""Copies of machines: Central Management brought back from an old one, and a member's that runs beside it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.members import NIC, STATUS, ZONE, Member, members
from tests.support.server import until
from tests.system.command_line import CommandLine


class Watchful(Member):
    """Forgets sooner than in earnest that it saw two machines."""

    def __init__(self, state: Path, address: str) -> None:
        super().__init__(state, address)
        self.server.environment["HASTY"] += " doorward.cluster.doubles.WINDOW_SECONDS=10"


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[list[Member]]:
    with members(tmp_path, 2, Watchful) as found:
        found[1].join(found[0], "managed-host", "search-local")
        yield found


def wrong(member: Member) -> list[str]:
    """The errors of a node's own health."""
    return [issue["message"] for issue in member.shown("/api/health_status")["health_status"]["issues"]["errors"]]


def errors(central: Member, node: Member) -> list[str]:
    """The codes of the errors of a node, as Central Management shows them."""
    issues: dict[str, Any] = central.says(node)["configuration_sync"]["issues"]
    return [issue["code"] for issue in issues.get("errors", [])]


def test_a_central_from_an_old_copy_says_so_and_is_repaired(pair: list[Member], tmp_path: Path) -> None:
    central, node = pair
    user = CommandLine(central.server, tmp_path)
    assert central.send("POST", "/api/cluster/repair", {}).json()["error"]["details"]["errors"][0]["code"] == "no_history_fork"
    central.server.stop()
    shutil.copytree(central.state, tmp_path / "copy", symlinks=True)
    central.start()
    central.write(ZONE, "Europe/Rome")
    central.settled(node)
    held = central.says(node)["configuration_sync"]["applied"]
    central.server.stop()
    shutil.rmtree(central.state)
    shutil.copytree(tmp_path / "copy", central.state, symlinks=True)
    central.start()
    until(lambda: errors(central, node) == ["history_fork"], 60, "that the node holds another history")
    [said] = until(lambda: wrong(central), 30, "the health of Central Management")
    assert "doorward cluster repair" in said
    assert "cluster_sync_failed" in "".join(central.server.errors)
    node.login()
    assert node.body(ZONE) == "Europe/Rome", "nothing was taken from the old copy"

    user.variables = {"DOORWARD_URL": central.server.url}
    asked = user("cluster", "repair", "--dry-run")
    assert f"gives up its cluster revision {held['number']}" in asked.out + asked.err
    assert errors(central, node) == ["history_fork"], "nobody was asked to do it"
    done = user("cluster", "repair", "--yes")
    assert done.code == 0, done.err
    central.settled(node)
    until(lambda: not errors(central, node) and not wrong(central), 30, "that nothing is wrong any more")
    node.login()
    assert node.body(ZONE) == central.body(ZONE) != "Europe/Rome"
    assert central.says(node)["configuration_sync"]["applied"]["epoch"] > held["epoch"]
    assert any("Europe/Rome" in str(item) for item in node.shown("/api/revisions")["items"]) or node.revision() > 2
    assert user("cluster", "repair", "--yes").code == 1


def moved(member: Member, address: str) -> None:
    """Give a machine another address, as one does with a copy, so that both can run on the network."""
    nic = member.body(NIC)
    [interface] = nic["interfaces"]["@order"]
    found = nic["interfaces"][interface]
    [key] = found["addresses"]["@order"]
    addresses = {"@order": [key], key: f"{address}/8"}
    member.ok("PUT", NIC, nic | {"interfaces": nic["interfaces"] | {interface: {**found, "addresses": addresses}}})
    assert member.client.commit().status_code == 200


def test_a_copy_of_a_member_beside_it_is_told_loudly(pair: list[Member], tmp_path: Path) -> None:
    central, node = pair
    node.server.stop()
    shutil.copytree(node.state, tmp_path / "copy", symlinks=True)
    copy = Member(tmp_path / "copy", node.address)
    copy.start()
    moved(copy, "127.0.0.3")
    copy.server.stop()
    try:
        node.start()
        copy.server.start()  # its certificate is not for the new address
        until(lambda: "duplicate_identity" in errors(central, node), 60, "that there are two")
        until(
            lambda: any("Two machines have the identity" in one for one in wrong(central)), 30, "the health of Central Management"
        )
        assert "cluster_sync_failed" in "".join(central.server.errors)
        warnings = central.says(node)["configuration_sync"]["issues"].get("warnings", [])
        assert "address_differs" not in [issue["code"] for issue in warnings]
    finally:
        copy.server.stop()
    assert central.shown(STATUS)
    until(lambda: "duplicate_identity" not in errors(central, node), 90, "that there is one")
    until(lambda: not wrong(central), 30, "the health of Central Management")
