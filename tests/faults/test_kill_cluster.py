"""kill -9 at the steps of what two nodes of a cluster do: the old or the new state, and what was begun comes to its end.

Some steps of each deed are tried; all of them by ``make kills``.
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.faults.checks import NIC1, ZONE, Seen, look, write_everything
from tests.faults.cluster_victims import Deed, Trapped, alive, chosen, kill, steps_of, two
from tests.support.members import INTERFACE, JOIN, LEFT_OPEN, NODES, PROMOTE, STATUS
from tests.support.server import until

MANAGED = ("managed-host", "search-local")
ELSEWHERE = "127.0.2.1"
"""Nobody is there."""
TURNS = itertools.count(1)

pytestmark = pytest.mark.filterwarnings(LEFT_OPEN)


class Join(Deed):
    """A node asks to join."""

    dies = "node"
    asked: Any = None
    address: str

    def prepare(self) -> None:
        self.part()
        self.address = self.central.listens()

    def act(self) -> None:
        self.asked = self.node.ok("POST", JOIN, {"central_management_address": self.address})["body"]
        self.node.id = self.asked["node_id"]
        self.node.commit()

    def done(self) -> bool:
        return self.node.stands() == "join requested" and len(self.node.secrets()) > 1

    def check(self, where: str) -> None:
        stands = self.node.stands()
        assert stands in {"not in cluster", "join requested"}, where
        if stands == "not in cluster":
            assert not self.answered, where
            assert self.node.secrets() == [], where
            self.act()

    def finish(self, where: str) -> None:
        """The secret that was shown is good for the pairing."""
        super().finish(where)
        self.central.write(NODES, self.asked, "POST")
        until(self.paired_for_good, 30, f"{where}: a pairing")


class Accept(Deed):
    """Central Management accepts a node, and they pair."""

    dies = "centre"
    asked: Any = None

    def prepare(self) -> None:
        self.part()
        self.asked = self.ask()

    def act(self) -> None:
        self.central.write(NODES, self.asked, "POST")

    def done(self) -> bool:
        return self.paired_for_good()

    def check(self, where: str) -> None:
        if self.node.id not in self.central.listed():
            assert not self.answered, where
            assert self.central.secrets() == [], where
            self.act()


class Pair(Accept):
    """The same seen from the node."""

    dies = "node"

    def check(self, where: str) -> None:
        assert self.node.stands() in {"join requested", "in cluster"}, where

    def finish(self, where: str) -> None:
        super().finish(where)
        assert self.node.trusted() == [self.central.id], where


class Manage(Deed):
    """A node gets its role and its first configuration."""

    dies = "node"
    old: Seen
    new: Seen

    def prepare(self) -> None:
        self.unite()
        write_everything(self.central.client, next(TURNS))
        self.central.commit()
        self.old, self.new = look(self.node.client), self.wanted()

    def act(self) -> None:
        self.central.write(f"{NODES}/{self.node.id}", {"address": self.node.address, "roles": [*MANAGED]})

    def done(self) -> bool:
        return self.follows()

    def check(self, where: str) -> None:
        self.node.check([self.old, self.new], where)

    def finish(self, where: str) -> None:
        super().finish(where)
        self.node.check([self.new], where)


class Take(Manage):
    """A managed host takes a revision."""

    def prepare(self) -> None:
        self.unite(*MANAGED)
        self.old = look(self.node.client)
        write_everything(self.central.client, next(TURNS))
        self.new = self.wanted()

    def act(self) -> None:
        self.central.commit()

    def done(self) -> bool:
        return self.follows() and look(self.node.client)[ZONE] == self.new[ZONE]


class Publish(Deed):
    """Central Management commits what a managed host takes."""

    dies = "centre"
    old: Seen
    new: Seen

    def prepare(self) -> None:
        self.unite(*MANAGED)
        self.old = look(self.central.client)
        write_everything(self.central.client, next(TURNS))
        self.new = look(self.central.client)

    def act(self) -> None:
        self.central.commit()

    def done(self) -> bool:
        return self.follows() and self.wanted() == look(self.node.client)

    def check(self, where: str) -> None:
        self.central.check([self.new] if self.answered else [self.old, self.new], where)

    def finish(self, where: str) -> None:
        if look(self.central.client) == self.old:
            write_everything(self.central.client, next(TURNS))
            self.act()
        super().finish(where)
        self.node.check([self.wanted()], where)


class Remove(Deed):
    """Central Management removes a node."""

    dies = "centre"

    def prepare(self) -> None:
        self.unite(*MANAGED)

    def act(self) -> None:
        self.central.write(f"{NODES}/{self.node.id}", None, "DELETE")

    def done(self) -> bool:
        return self.node.stands() == "not in cluster" and not self.node.trusted() and not self.central.trusted()

    def check(self, where: str) -> None:
        if self.node.id in self.central.listed():
            assert not self.answered, where
            assert self.central.client.get(f"{STATUS}/{self.node.id}").status_code == 200, where
            self.act()

    def finish(self, where: str) -> None:
        """The node keeps what it had, and it is its own again."""
        super().finish(where)
        assert self.central.client.get(f"{STATUS}/{self.node.id}").status_code == 404, where
        assert self.node.client.get(JOIN).json()["details"] == {"reason": "removed"}, where
        assert self.node.listed() == {}, where
        self.node.write(ZONE, "Etc/UTC" if self.node.body(ZONE) != "Etc/UTC" else "Europe/Budapest")
        self.node.check(None, where)


class Removed(Remove):
    """The same seen from the node."""

    dies = "node"

    def check(self, where: str) -> None:
        assert self.node.stands() in {"in cluster", "not in cluster"}, where


class Leave(Deed):
    """A node leaves."""

    dies = "node"

    def prepare(self) -> None:
        self.unite(*MANAGED)

    def act(self) -> None:
        self.node.write(JOIN, None, "DELETE")

    def done(self) -> bool:
        return self.node.stands() == "not in cluster" and not self.node.trusted()

    def check(self, where: str) -> None:
        if self.node.stands() == "in cluster":
            assert not self.answered, where
            self.act()

    def finish(self, where: str) -> None:
        super().finish(where)
        assert self.node.client.get(JOIN).json()["details"] == {}, where
        self.node.check(None, where)
        self.part()


class Tell(Deed):
    """Central Management tells its nodes another address."""

    dies = "centre"

    def prepare(self) -> None:
        self.unite(*MANAGED)
        self.old = self.told()
        self.new = ELSEWHERE if self.old == self.central.listens() else self.central.listens()

    def told(self) -> str:
        """The address of Central Management by its own list."""
        return str(self.central.listed()[self.central.id]["address"])

    def act(self) -> None:
        self.central.write(f"{NODES}/{self.central.id}", {"address": self.new, "roles": ["central-management"]})

    def done(self) -> bool:
        central = self.node.client.get(STATUS).json()["central_management"]
        return central["reachable"] and central["address"] == self.new and self.follows()

    def check(self, where: str) -> None:
        assert self.told() in ([self.new] if self.answered else [self.old, self.new]), where
        if self.told() == self.old:
            self.act()


class Told(Tell):
    """The same seen from the node."""

    dies = "node"

    def check(self, where: str) -> None:
        assert self.looks() in {self.old, self.new}, where

    def looks(self) -> str:
        """Where the node looks for Central Management."""
        return str(self.node.client.get(JOIN).json()["details"]["central_management_address"])


class Redirect(Told):
    """A node that missed it is told itself."""

    def prepare(self) -> None:
        super().prepare()
        self.old = self.looks()
        self.new = ELSEWHERE if self.old == self.central.listens() else self.central.listens()

    def act(self) -> None:
        self.node.write(JOIN, {"central_management_address": self.new})

    def check(self, where: str) -> None:
        assert self.looks() in ([self.new] if self.answered else [self.old, self.new]), where
        if self.looks() == self.old:
            self.act()


class Move(Deed):
    """Central Management moves to the address that its nodes were told."""

    dies = "centre"

    def prepare(self) -> None:
        self.unite(*MANAGED)
        at = self.mortal.body(INTERFACE)["listen_address"]["key"].rpartition(".")[0]
        names = self.mortal.body(NIC1)["interfaces"][at.split(".")[2]]["addresses"]["@order"]
        away = self.mortal.listens() == self.mortal.address
        self.other = f"{at}.{names[away]}"
        self.tell(self.mortal.second if away else self.mortal.address)

    def tell(self, address: str) -> None:
        """Let the nodes know before."""
        self.central.write(f"{NODES}/{self.central.id}", {"address": address, "roles": ["central-management"]})
        until(lambda: self.node.listed() == self.central.listed(), 20, "that the node was told")

    def moved(self) -> bool:
        """Whether the mortal one listens at the other address."""
        return bool(self.mortal.body(INTERFACE)["listen_address"]["key"] == self.other)

    def act(self) -> None:
        self.mortal.write(INTERFACE, {"enabled": True, "listen_address": self.other})

    def done(self) -> bool:
        return self.moved() and bool(self.node.client.get(STATUS).json()["central_management"]["reachable"]) and self.follows()

    def check(self, where: str) -> None:
        if not self.moved():
            assert not self.answered, where
            self.act()
        self.mortal.check(None, where)


class MoveNode(Move):
    """A node moves, and Central Management is told later."""

    dies = "node"

    def tell(self, address: str) -> None:
        self.address = address

    def done(self) -> bool:
        issues = self.central.says(self.node).get("configuration_sync", {}).get("issues", {}).get("warnings", [])
        return self.moved() and "address_differs" in [issue["code"] for issue in issues]

    def finish(self, where: str) -> None:
        super().finish(where)
        self.central.write(f"{NODES}/{self.node.id}", {"address": self.address, "roles": [*MANAGED]})
        until(self.follows, 30, f"{where}: that all is well")


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Trapped, Trapped]]:
    with two(tmp_path_factory.mktemp("cluster")) as found:
        yield found


DEEDS = (Publish, Take, Manage, Tell, Told, Redirect, Move, MoveNode, Remove, Removed, Leave, Join, Accept, Pair)


@pytest.mark.parametrize("kind", DEEDS)
def test_a_death_leaves_the_old_or_the_new(pair: tuple[Trapped, Trapped], kind: type[Deed]) -> None:
    deed = kind(*pair)
    steps = steps_of(deed)
    died = [kill(deed, step) for step in chosen(steps)]
    assert any(died), f"{died} of {steps}"


class Alone:
    """A node that is promoted. There is no way back, so each time it begins with a copy of the same node."""

    def __init__(self, directory: Path) -> None:
        self.node = Trapped(directory / "alone", "127.0.0.3")
        self.copy = directory / "copy"
        self.node.start()
        self.node.enable()
        self.node.server.stop()
        shutil.copytree(self.node.state, self.copy, symlinks=True)
        self.node.start()

    def prepare(self) -> None:
        if self.is_central():
            self.node.server.kill()
            shutil.rmtree(self.node.state)
            shutil.copytree(self.copy, self.node.state, symlinks=True)
            self.node.start()

    def is_central(self) -> bool:
        return self.node.client.get(STATUS).status_code == 200

    def noted(self) -> bool:
        """Whether it is central, and its first revision is there for others."""
        return self.is_central() and self.node.ledger() == [1]

    def promote(self, step: int) -> bool:
        """Promote it, with death at a step; whether it died."""
        self.prepare()
        node, answered = self.node, False
        with node.trapped(step):
            with suppress(httpx2.TransportError):
                node.ok("POST", PROMOTE)
                node.commit()
                answered = True
            until(lambda: node.dead or alive(self.noted), 20, "the end of the node or its promotion")
        if died := node.dead:
            node.server.kill()  # only what is left: connections of its clients
            node.start()
        where = f"at {node.passed[-1]}"
        central = self.is_central()
        assert central or not answered, where
        assert [body["roles"] for body in node.listed().values()] == [["central-management"]] * central, where
        assert node.stands() == ("in cluster" if central else "not in cluster"), where
        if not central:
            assert node.ledger() == [], where
            node.write(PROMOTE, None, "POST")
        until(self.noted, 20, f"{where}: its first revision")
        node.check(None, where)
        return died


def test_a_death_while_it_is_promoted_leaves_it_standalone_or_central(tmp_path: Path) -> None:
    alone = Alone(tmp_path)
    assert not alone.promote(0)
    died = [alone.promote(step) for step in chosen(alone.node.passed)]
    assert all(died[:-1]), died
    alone.node.server.stop()
