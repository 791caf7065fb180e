"""Two nodes of a cluster, of which one dies at a step of what they do together."""

from __future__ import annotations

import os
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx2

from doorward.cli.verify import findings
from tests.faults.checks import NTP, USERS, WEB, ZONE, Seen, check_host, check_records, look
from tests.faults.victim import TRAP
from tests.support.members import INTERFACE, JOIN, NIC, NODES, Member, channel_port, members
from tests.support.server import Server, until
from tests.support.zygote import UNMEASURED

HASTY = (
    "doorward.cluster.follower.SOON_SECONDS=0.2 doorward.cluster.follower._MAX_BACKOFF=0.5"
    " doorward.cluster.channel.ATTEMPT_SECONDS=0.5"
)
"""Who waits for a neighbour that was killed looks for it again soon, and they pair more often than ever in earnest."""

SPREAD = 3
"""So many steps of each deed are tried, unless EVERY_STEP is set: ``make kills``."""

COMMON = (NTP, ZONE, WEB, USERS)
"""What of a look is Central Management's."""


class Trapped(Member):
    """A node that dies at a step of what it does, once it is told."""

    def __init__(self, state: Path, address: str) -> None:
        super().__init__(state, address)
        self.trap = state.with_suffix(".trap")
        self.steps = self.trap.with_suffix(".trap.steps")
        options = ("--listen", f"{address}:0", "--cluster-port", channel_port())
        environment = {"DOORWARD_TRAP": str(self.trap), "DOORWARD_TRAP_AHEAD": "1", "HASTY": HASTY, **UNMEASURED}
        self.server = Server(state, (str(TRAP),), environment, options)
        self.second = address.replace("127.0.0.", "127.0.1.")
        self.own: list[str] = []

    @property
    def dead(self) -> bool:
        assert self.server.process
        return self.server.process.poll() is not None

    @property
    def passed(self) -> list[str]:
        """The steps that it passed since the trap was set; the last one may have been its end."""
        return self.steps.read_text().splitlines() if self.steps.exists() else []

    @contextmanager
    def trapped(self, step: int) -> Iterator[None]:
        """It dies at this step of what happens inside; never, where that is 0."""
        self.steps.unlink(missing_ok=True)
        part = self.trap.with_suffix(".part")
        part.write_text(str(step))
        part.rename(self.trap)
        try:
            yield
        finally:
            self.trap.unlink()
        if self.passed and self.passed[-1].startswith(f"{step} "):  # it dies in this very moment
            until(lambda: self.dead, 10, "its end")

    def secrets(self) -> list[str]:
        """The secrets that it keeps for pairings, sealed ones and notes of their time."""
        sealed = self._rows("SELECT key FROM secrets WHERE form = 'sealed'")
        return [key for key in sealed if key not in self.own] + self._rows("SELECT id FROM records WHERE kind = 'cluster_psk'")

    def trusted(self) -> list[str]:
        """Whom it trusts, as it is on the disk; tombstones are no trust."""
        return self._rows("SELECT id FROM records WHERE kind = 'cluster_peer' AND body LIKE '%\"removed\":null%'")

    def ledger(self) -> list[int]:
        """The numbers of its cluster revisions, as they are on the disk."""
        return [int(key.partition(":")[2]) for key in self._rows("SELECT id FROM records WHERE kind = 'cluster_revision'")]

    def _rows(self, question: str) -> list[str]:
        with closing(sqlite3.connect(f"{(self.state / 'doorward.db').as_uri()}?mode=ro", uri=True)) as store:
            return [str(row[0]) for row in store.execute(question)]

    def start(self) -> None:
        """Start it; what secrets it has at first are no pairing's."""
        super().start()
        self.own = self.own or self._rows("SELECT key FROM secrets WHERE form = 'sealed'")

    def listed(self) -> dict[str, Any]:
        """The nodes of the cluster as it knows them: body by id."""
        return {item["key"]: item["body"] for item in self.client.get(NODES).json()["items"]}

    def listens(self) -> str:
        """Its address in the cluster."""
        return self.second if self.body(INTERFACE)["listen_address"]["key"].endswith(".second") else self.address

    def stands(self) -> str:
        """What it is by its join request."""
        return str(self.client.get(JOIN).json()["status"])

    def check(self, allowed: list[Seen] | None, where: str) -> None:
        """One of these configurations runs, if they are told, and host, history and records agree with it."""
        seen = look(self.client)
        assert allowed is None or seen in allowed, where
        check_host(self.client, self.state, seen, where)
        check_records(self.client, pending=False, where=where)
        assert findings(self.state, "sandbox") == [], where

    @contextmanager
    def still(self) -> Iterator[None]:
        """For the time of a block it does nothing, so that its neighbour can be looked at."""
        assert self.server.process
        self.server.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.server.process.send_signal(signal.SIGCONT)


class Deed:
    """Something that the two do together, in which ``mortal`` dies. ``answered``: it had said before that it is done."""

    dies: str = "centre"
    """Central Management or the node."""

    def __init__(self, central: Trapped, node: Trapped) -> None:
        self.central, self.node = central, node
        self.mortal = central if self.dies == "centre" else node
        self.answered = False

    def prepare(self) -> None:
        """Bring both to where it begins."""

    def act(self) -> None:
        """Begin it."""

    def done(self) -> bool:
        """Whether all of it has happened, on either side."""
        raise NotImplementedError

    def check(self, where: str) -> None:
        """Look at the mortal one after its death, while the other keeps still: all of it has happened there or nothing."""

    def finish(self, where: str) -> None:
        """Bring it to its end; what has begun comes there by itself."""
        until(self.done, 60, f"{where}: the end")

    # What several do

    def together(self) -> bool:
        """Whether the node is in and Central Management has heard of it."""
        return self.node.is_in() and bool(self.central.says(self.node)["status"] != "offline")

    def paired_for_good(self) -> bool:
        """Whether they are together and no secret of the pairing is left."""
        return self.together() and not self.central.secrets() and not self.node.secrets()

    def part(self) -> None:
        """Make the node standalone, and Central Management alone."""
        if self.node.stands() != "not in cluster":
            self.node.write(JOIN, None, "DELETE")
        if self.node.id in self.central.listed():
            self.central.write(f"{NODES}/{self.node.id}", None, "DELETE")
        until(lambda: not any([*self.node.trusted(), *self.central.trusted()]), 20, "that they forget each other")

    def ask(self) -> Any:
        """Let the node ask to join; what Central Management is to accept."""
        return self.node.ask(self.central.listens())

    def unite(self, *roles: str) -> None:
        """Make them a cluster, the node with these roles."""
        if self.node.stands() != "in cluster" or self.node.id not in self.central.listed():
            self.part()
            self.central.write(NODES, self.ask(), "POST")
            until(self.paired_for_good, 30, "a pairing")
        if self.central.listed()[self.node.id]["roles"] != list(roles):
            self.central.write(f"{NODES}/{self.node.id}", {"address": self.node.address, "roles": list(roles)})
        until(lambda: self.node.listed() == self.central.listed(), 30, "that it knows its roles")
        if roles:
            until(self.follows, 30, "its first configuration")

    def follows(self) -> bool:
        """Whether the node has what Central Management has, and said so."""
        return bool(self.central.says(self.node)["sync_status"] == "up-to-date")

    def wanted(self) -> Seen:
        """What the node has when it has what Central Management has now."""
        common = look(self.central.client)
        return look(self.node.client) | {path: common[path] for path in COMMON}


def kill(deed: Deed, step: int) -> bool:
    """Let one die at a step of a deed, start it again and check everything; whether it died."""
    deed.prepare()
    mortal, deed.answered = deed.mortal, False
    other = deed.node if mortal is deed.central else deed.central
    with mortal.trapped(step):
        with suppress(httpx2.TransportError):
            deed.act()
            deed.answered = True
        until(lambda: mortal.dead or alive(deed.done), 60, "the end of one or of the deed")
    where = f"{type(deed).__name__}, at {mortal.passed[-1] if mortal.passed else 'no step'}"
    if died := mortal.dead:
        mortal.server.kill()  # only what is left: connections of its clients
        with other.still():
            mortal.start()
            deed.check(where)
    deed.finish(where)
    return died


def alive(condition: Callable[[], bool]) -> bool:
    """Whether a condition holds of nodes of which one may die in this moment."""
    with suppress(httpx2.TransportError):
        return condition()
    return False


def steps_of(deed: Deed) -> list[str]:
    """Do a deed without a death, and return the steps that the mortal one passes."""
    deed.prepare()
    with deed.mortal.trapped(0):
        deed.act()
        until(deed.done, 60, f"{type(deed).__name__}: the end")
    deed.finish(type(deed).__name__)
    return deed.mortal.passed


def chosen(steps: list[str]) -> list[int]:
    """Return the numbers of the steps to die at: all, or some of those that follow a commit of the database."""
    if os.environ.get("EVERY_STEP"):
        return list(range(1, len(steps) + 1))
    behind = [number for number, step in enumerate(steps, 2) if step.endswith("COMMIT") and number <= len(steps)]
    behind = behind or [len(steps)]
    return sorted({behind[round(index * (len(behind) - 1) / max(SPREAD - 1, 1))] for index in range(SPREAD)})


@contextmanager
def two(directory: Path) -> Iterator[tuple[Trapped, Trapped]]:
    """A Central Management and a node, united once: they have the same accounts from then on. Each has a second address."""
    with members(directory, 2, Trapped) as found:
        central, node = found
        assert isinstance(central, Trapped)
        assert isinstance(node, Trapped)
        node.join(central, "managed-host", "search-local")
        for member in (central, node):
            body = member.body(NIC)
            [interface] = body["interfaces"]["@order"]
            addresses = body["interfaces"][interface]["addresses"]
            addresses["@order"].append("second")
            addresses["second"] = f"{member.second}/8"
            member.write(NIC, body)
        yield central, node
