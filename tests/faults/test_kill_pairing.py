"""A node and its centre, each killed at steps of a pairing: they are paired after a restart, and no secret is left."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx2
import pytest

from doorward.cli.verify import findings
from tests.faults.victim import TRAP
from tests.support.members import JOIN, NODES, PORT, STATUS, Member, members
from tests.support.server import Server, until
from tests.support.zygote import UNMEASURED

STEPS = (3, 8, 13, 18)
"""Of some twenty on either side."""


class Trapped(Member):
    """A node that dies at a step of what it does, once it is told."""

    def __init__(self, state: Path, address: str) -> None:
        super().__init__(state, address)
        self.trap = state.with_suffix(".trap")
        options = ("--listen", f"{address}:0", "--cluster-port", PORT)
        self.server = Server(state, (str(TRAP),), {"DOORWARD_TRAP": str(self.trap), **UNMEASURED}, options)

    def set_trap(self, step: int) -> None:
        part = self.trap.with_suffix(".part")
        part.write_text(str(step))
        part.rename(self.trap)

    def free(self) -> bool:
        """Take the trap away; whether it sprang. The node runs afterwards."""
        self.trap.unlink()
        assert self.server.process
        if self.server.process.poll() is None:
            return False
        self.start()
        return True

    @property
    def dead(self) -> bool:
        assert self.server.process
        return self.server.process.poll() is not None


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[Trapped, Trapped]]:
    with members(tmp_path, 2, Trapped) as (centre, node):
        yield centre, node  # type: ignore[misc]


def secrets_left(member: Member) -> int:
    """How many secrets a node keeps for pairings."""
    with sqlite3.connect(f"{(member.state / 'doorward.db').as_uri()}?mode=ro", uri=True) as store:
        records = store.execute("SELECT count(*) FROM records WHERE kind = 'cluster_psk'").fetchone()[0]
        sealed = store.execute("SELECT count(*) FROM secrets WHERE form = 'sealed'").fetchone()[0]
    return int(records + sealed)


@pytest.mark.parametrize("victim", ["centre", "node"])
def test_a_pairing_outlives_the_death_of_either_side(pair: tuple[Trapped, Trapped], victim: str) -> None:
    centre, node = pair
    before = [secrets_left(member) for member in pair]
    died = 0
    for step in STEPS:
        asked = node.write(JOIN, {"central_management_address": centre.address}, "POST")["body"]
        node.id = asked["node_id"]
        mortal = centre if victim == "centre" else node
        if mortal is node:
            mortal.set_trap(step)
        centre.write(NODES, asked, "POST")
        if mortal is centre:  # the commit that accepts is one like others, which die elsewhere
            mortal.set_trap(step)
        until(lambda: mortal.dead or (not centre.dead and joined(centre, node)), 30, "the end of one or of the pairing")  # noqa: B023
        died += mortal.free()
        assert node.client.get(JOIN).json()["status"] in {"join requested", "in cluster"}
        until(lambda: joined(centre, node), 60, f"a pairing after a death at step {step}")
        until(lambda: [secrets_left(member) for member in pair] == before, 20, "that no secret is left")
        node.ok("DELETE", JOIN)
        node.commit()
        centre.ok("DELETE", f"{NODES}/{node.id}")
        centre.commit()
        assert centre.client.get(f"{STATUS}/{node.id}").status_code == 404
    assert died >= len(STEPS) - 1
    assert [findings(member.state, "sandbox") for member in pair] == [[], []]


def joined(centre: Member, node: Member) -> bool:
    """Whether the node is in, and the centre has heard of it."""
    with suppress(httpx2.TransportError):  # dies this very moment
        return node.is_in() and bool(centre.says(node)["status"] == "ok")
    return False
