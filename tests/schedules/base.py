"""The time of a simulated cluster, its nodes and its network; what happens to them is for others to say."""

from __future__ import annotations

import asyncio
import math
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from doorward.cluster.follower import Follower
from doorward.membership import nodes
from doorward.tree.places import Place
from tests.schedules.checks import Checker
from tests.schedules.machine import NAMES
from tests.schedules.node import Killed, Node
from tests.schedules.wire import AtOnce, Net, Wire

TICK = 2.0
HOLD = 6.0
REACH = 60.0
BUSY = 40
"""How often somebody may act at one moment."""


@dataclass(frozen=True)
class Template:
    """A cluster to begin with: files by node, and the time at which they were left."""

    directory: Path
    now: float
    reports: dict[str, tuple[float, int, str]] = field(default_factory=dict)


@dataclass
class Due:
    """When a node is to do what it does regularly; None: when it is woken."""

    follow: float | None = None
    report: float | None = None
    tick: float | None = None


@dataclass
class Base:
    """Five nodes and what is between them. What follows from an event at once is done before it is over."""

    template: Template
    directory: Path
    random: Random = field(default_factory=lambda: Random(1))  # noqa: S311 - losses that are the same in each run
    checker: Checker = field(default_factory=Checker)

    def __post_init__(self) -> None:
        self.now = self.template.now
        self.loop = asyncio.new_event_loop()
        self.loop.set_default_executor(AtOnce(1))
        shutil.copytree(self.template.directory, self.directory, dirs_exist_ok=True)
        self.nodes = [
            Node(name, self.directory / name, f"10.0.0.{number}", lambda: self.now) for number, name in enumerate(NAMES, 1)
        ]
        self.net = Net(self.nodes, self.random, self.loop, self._pass_time, self.die, self._reported, self._perhaps)
        Wire.net = self.net
        self.due = {node.name: Due() for node in self.nodes}
        self.asked: dict[str, Any] = {}
        self.reports = dict(self.template.reports)
        """By node id: when Central Management took its last report, in which of its lives, and what the node ran."""
        self.unsure: set[str] = set()
        """Nodes whose last report Central Management took, or did not: it died over it."""
        self.to_be_told: set[str] = set()
        """Members that were removed by a Central Management that remembers it."""
        self.answered: dict[str, float] = {}
        self.untrue: AssertionError | None = None
        self.trouble = self.now
        """When there was trouble last."""
        self.backed_up: tuple[Path, int] | None = None
        self.begun = self.now
        """When Central Management started."""
        self._epoch = self.now + 2.0  # later than whatever the machine of the test said when the template was made
        self._moves = 0
        self._reached = self.now
        self._slow = -math.inf
        """When messages took their time last, and everybody else with them, because all of them share this thread."""
        self._turns: tuple[float, int] = self.now, 0
        for node in self.nodes:
            self.start(node.name)

    def close(self) -> None:
        for node in self.nodes:
            node.close()
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()
        shutil.rmtree(self.directory)

    def __getitem__(self, name: str) -> Node:
        return self.nodes[NAMES.index(name)]

    @property
    def central(self) -> Node:
        return self.nodes[0]

    # Life and death

    def start(self, name: str) -> None:
        """Start a node that is not running."""
        node = self[name]
        if node.alive:
            return
        self._disturbed()
        try:
            node.open()
        except Killed:
            self.die(node)
            return
        self.checker.history(name, node.revision)
        node.cluster.channel.announce = lambda: self._announced(node)  # type: ignore[method-assign]
        self.due[name] = Due(self.now, self.now, self.now)
        if node is self.central:
            self.begun = self.now
        self._after()

    def die(self, node: Node) -> None:
        """A node is dead; whoever waits for its answer sees the connection end."""
        self._disturbed()
        node.close()
        self.due[node.name] = Due()
        self.net.waited.pop(node.name, None)
        self.net.held.pop(node.name, None)
        for name, (server, _, _) in list(self.net.waited.items()):
            if server is node:
                del self.net.waited[name]
                self.due[name].follow = self.now

    def kill(self, name: str) -> None:
        if self[name].alive:
            self.die(self[name])

    def kill_at(self, name: str, steps: int) -> None:
        """Let a node die after so many steps of whatever it does next."""
        self[name].fuse.steps = steps

    def upgrade(self, name: str, release: str) -> None:
        """Put another release of the program in place."""
        self.kill(name)
        self[name].version = release
        self.advance(1.0)
        self.start(name)

    def jump(self, name: str, seconds: float) -> None:
        """Set the clock of a node, which an administrator or a time server may do at any time."""
        self[name].clock.error += seconds

    # The network

    def cut(self, one: str, other: str, *, both: bool) -> None:
        self._disturbed()
        self.net.cuts |= {(one, other)} | ({(other, one)} if both else set())

    def heal(self) -> None:
        self._disturbed()
        self.net.cuts.clear()
        self.net.loss = self.net.delay = 0.0

    def worsen(self, loss: float, delay: float) -> None:
        """Lose a share of all messages, and let all of them take so many seconds."""
        self._disturbed()
        self.net.loss, self.net.delay = loss, delay

    def _disturbed(self) -> None:
        self.trouble = self.now

    def _member(self, name: str) -> dict[str, Any] | None:
        central = self.central
        document = central.pipeline.running.snapshot.document(Place(nodes.PATH, self[name].id)) if central.alive else None
        return document.value if document else None

    # Time

    def advance(self, seconds: float) -> None:
        """Let time pass, and everybody do what is due."""
        end = self.now + seconds
        while True:
            found = min(self._dues(), default=(math.inf, 0, "", ""))
            at, _, name, what = found
            if at > end:
                break
            self.now = max(self.now, at)
            self._turn(self[name], what)
        self.now = max(self.now, end)

    def _dues(self) -> Iterator[tuple[float, int, str, str]]:
        for number, node in enumerate(self.nodes):
            if node.alive:
                due = self.due[node.name]
                trial = node.confirmations.due
                for what, at in (("follow", due.follow), ("report", due.report), ("tick", due.tick), ("trial", trial)):
                    if at is not None:
                        yield at, number, node.name, what

    def _pass_time(self, seconds: float) -> None:
        self._slow = self.now
        self.now += seconds

    def _turn(self, node: Node, what: str) -> None:
        at, count = self._turns
        self._turns = (at, count + 1) if at == self.now else (self.now, 0)
        assert count < BUSY, f"somebody is busy without end: {node.name}, {what}"
        try:
            getattr(self, f"_{what}")(node, node.cluster.follower)
        except Killed as killed:
            self.die(killed.node)
        self._after()

    def _follow(self, node: Node, follower: Follower) -> None:
        due, net = self.due[node.name], self.net
        net.waited.pop(node.name, None)
        net.held.pop(node.name, None)
        follower._asking._wake.clear()
        due.follow = None
        pause = follower.turn()
        if follower.contact.reason is None and follower.contact.good is not None:
            self.answered[node.name] = self.now
        if pause is not None:
            wait = net.waited[node.name][2] if node.name in net.waited else HOLD if node.name in net.held else 0.0
            due.follow = self.now + pause + wait
        elif node.cluster_role.state in {"joined", "requested"}:  # it waits for the end of a trial
            due.follow = self.now + 1.0

    def _report(self, node: Node, follower: Follower) -> None:
        follower._reporting._wake.clear()
        self.due[node.name].report = None
        pause = follower.push()
        self.due[node.name].report = self.now + pause if pause is not None else None

    def _tick(self, node: Node, _follower: Follower) -> None:
        self.due[node.name].tick = self.now + TICK if node.cluster_role.state == "central" else self.now + 60.0
        node.cluster.work()
        if node is self.central and self.now - self._reached > REACH:
            self._reached = self.now
            node.cluster._reach()

    def _trial(self, node: Node, _follower: Follower) -> None:
        """The time to confirm is over."""
        self._disturbed()
        node.confirmations.due = None
        node.confirmations.go_back()

    def _announced(self, central: Node) -> None:
        """Wake who waits for an answer of a Central Management that has news."""
        waiting = {name: server for name, (server, life, _) in self.net.waited.items() if life == server.lives}
        for name, server in {**waiting, **self.net.held}.items():
            if server is central and self.net.joins(server, self[name]) and self.due[name].follow is not None:
                self.due[name].follow = self.now

    def _after(self) -> None:
        """Do what was put off to be done soon, and look at everybody."""
        for node in self.nodes:
            try:
                while node.alive and node.cluster._jobs:
                    node.cluster.work()
            except Killed as killed:
                self.die(killed.node)
            if node.alive:
                follower, due = node.cluster.follower, self.due[node.name]
                if follower._asking.is_woken:
                    follower._asking._wake.clear()
                    due.follow = self.now
                if follower._reporting.is_woken:
                    follower._reporting._wake.clear()
                    due.report = self.now
        for node in self.nodes:
            if node.alive:
                self._look(node)

    def _reported(self, node: Node, central: Node) -> None:
        """Central Management took the report of a node."""
        raise NotImplementedError

    def _perhaps(self, node: Node) -> None:
        """Central Management died over the report of a node."""
        self.unsure.add(node.id)

    def _look(self, node: Node) -> None:
        """Look at a node after each step."""
        raise NotImplementedError
