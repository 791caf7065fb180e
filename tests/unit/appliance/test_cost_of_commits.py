"""What a small commit costs, counted where a clock would say something else on every machine."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from doorward.appliance.node import Appliance
from doorward.appliance.options import Options
from doorward.areas.worker import Worker
from doorward.configuration.aaa.local_database import users
from doorward.configuration.management import webinterface
from doorward.host.engine import Host
from doorward.store.anchor import HistoryKey
from doorward.store.database import Database
from doorward.transaction.candidate import Candidate
from doorward.transaction.order import Order
from doorward.tree.places import Place
from doorward.tree.snapshot import Snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

COUNTED = {
    "syncs": (Database, "_write"),
    "reads": (Database, "_read"),
    "signatures": (HistoryKey, "sign"),
    "looks at the host": (Host, "drift"),
    "workers woken": (Worker, "wake"),
}


class Node:
    """A node with all its areas, none of which was started: they are told of commits, and nothing else happens."""

    def __init__(self, state: Path) -> None:
        self.appliance = Appliance(Options(state, port=0, admin_password="a password for admin", plain_http=True))
        self.pipeline = self.appliance.pipeline
        self.put_off: list[Callable[[], None]] = []
        self.pipeline.subscribers.put_off = self.put_off.append
        for area in self.appliance.areas._areas:
            self.pipeline.subscribers.published.append(area.published)
            self.pipeline.subscribers.following.append(area.follow)

    def commit(self, minutes: int) -> None:
        candidate, place = Candidate.on(self.pipeline.running), Place(webinterface.PATH)
        candidate.put(place, self.pipeline.tree.load(place, {"timeout": minutes}))
        self.pipeline.commit(candidate, Order("admin", "127.0.0.1", everything=True))


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    (tmp_path / "state").mkdir(mode=0o700)
    made = Node(tmp_path / "state")
    yield made
    made.appliance.close()


@pytest.fixture
def counts(node: Node, monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    counts = Counter[str]()
    for name, (owner, method) in COUNTED.items():
        monkeypatch.setattr(owner, method, counted(getattr(owner, method), name, counts))
    return counts


def counted(work: Any, name: str, counts: Counter[str]) -> Any:
    def call(*given: Any, **named: Any) -> Any:
        counts[name] += 1
        return work(*given, **named)

    return call


def test_a_small_commit_syncs_and_signs_once_and_asks_nothing_else(node: Node, counts: Counter[str]) -> None:
    node.commit(20)
    assert counts == {"syncs": 1, "signatures": 1}


def test_what_follows_from_a_small_commit_is_little(node: Node, counts: Counter[str]) -> None:
    for minutes in (20, 21):
        node.commit(minutes)
    counts.clear()
    for follow in node.put_off:
        follow()
    assert counts == {"workers woken": 2}, "the event for who listens; the signed head for the log was signed before"


def test_a_row_of_commits_costs_as_much_each(node: Node, counts: Counter[str]) -> None:
    for number in range(5):
        node.commit(20 + number % 2)
    assert counts == {"syncs": 5, "signatures": 5}


def test_each_change_of_a_commit_is_looked_up_twice(
    node: Node, counts: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    candidate = Candidate.on(node.pipeline.running)
    for number in range(200):
        place = Place(users.PATH, f"key{number}")
        candidate.put(place, node.pipeline.tree.load(place, {"name": f"operator{number}", "password": None}))
    for name in ("document", "entry"):
        monkeypatch.setattr(Snapshot, name, counted(getattr(Snapshot, name), "looked up", counts))
    node.pipeline.commit(candidate, Order("admin", "127.0.0.1", everything=True))
    assert 400 <= counts["looked up"] < 600, "what was there and what comes, and a few that have nothing to do with them"
