"""Central Management asks a node about its sessions over real TLS; nodes that hang, lie or are gone hold up nobody."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import pytest
from msgspec.json import encode

from doorward.cluster import connection, searching
from doorward.cluster.calls import CallRefusedError
from doorward.cluster.peers import KnownNodes
from doorward.cluster.pins import PinnedPeer
from doorward.cluster.searching import NodeSearch, SessionAnswers
from doorward.membership import nodes
from doorward.sessions.audience import Audience, AudienceGrant
from doorward.sessions.catalogue.rows import Facts, SessionRow, TrailArchive
from doorward.sessions.catalogue.sqlite import SqliteCatalogue
from doorward.sessions.central.answering import LocalSessions
from doorward.sessions.central.port import NodeAwayError, NodeRefusedError
from doorward.sessions.central.questions import (
    CountQuestion,
    Filter,
    ItemsQuestion,
    SearchCall,
    SessionQuestion,
    TrailSizeQuestion,
)
from doorward.sessions.trails import Trails, TrailUnavailableError
from doorward.tree.places import Place
from tests.support.channel import Running, running
from tests.support.recorded import LINUX, ORACLE, key_of, row, tell
from tests.support.server import until
from tests.unit.cluster.pairs import Node, PairedCentral

ALL = Audience("admin", sees_all=True)
AUDITOR = Audience("jane", grants=(AudienceGrant(LINUX, True, False, None, False, False),))
COUNT = CountQuestion(filter=Filter())


@pytest.fixture
def asked(tmp_path: Path) -> Iterator[Running]:
    """A channel that stands for a node."""
    (tmp_path / "asked").mkdir()
    with running(tmp_path / "asked") as found:
        yield found


@pytest.fixture
def search(central: PairedCentral, asked: Running, monkeypatch: pytest.MonkeyPatch) -> Iterator[NodeSearch]:
    node = str(asked.node.id)
    central.peers.pin(node, asked.node.key.certificate, 0.0)
    central.write(Place(nodes.PATH, central.id), {"address": "10.0.0.1", "roles": ["central-management", "search-master"]})
    central.write(Place(nodes.PATH, node), {"address": "10.0.0.2", "roles": ["search-minion"]})
    asked.channel.trust([PinnedPeer(central.id, central.key.certificate, frozenset({nodes.CENTRAL}))])
    monkeypatch.setattr(searching, "Way", lambda *_: asked.way)
    found = NodeSearch(KnownNodes(lambda: central.rig.pipeline.running.snapshot, central.key, central.peers.all, dict))
    yield found
    found.close()


def test_a_node_is_asked_over_the_channel(search: NodeSearch, asked: Running, central: PairedCentral) -> None:
    node = str(asked.node.id)
    assert [(one.id, one.name) for one in search.all().values()] == [(node, "10.0.0.2")]
    asked.handlers.answer = 7
    assert search.ask(node, ALL, COUNT) == 7
    assert search.ask_each(ALL, {node: COUNT}) == {node: 7}
    assert asked.handlers.asked == [central.id] * 2
    assert asked.connections() == 1


@pytest.mark.parametrize("answer", [-1, "7", [7], None, b"\xff", {"x": 1}])
def test_a_node_that_lies_is_away_for_a_while(search: NodeSearch, asked: Running, answer: Any) -> None:
    node = str(asked.node.id)
    asked.handlers.answer = answer
    with pytest.raises(NodeAwayError):
        search.ask(node, ALL, COUNT)
    asked.handlers.answer = 7
    with pytest.raises(NodeAwayError):
        search.ask(node, ALL, COUNT)
    assert len(asked.handlers.asked) == 1


def test_a_node_that_hangs_is_given_up(search: NodeSearch, asked: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "CALL_SECONDS", 0.5)
    node = str(asked.node.id)

    hanging = []

    def hang(*_: Any) -> Any:
        hanging.append(1)
        time.sleep(1)
        return 7

    monkeypatch.setattr(asked.handlers, "sessions", hang)
    for _ in range(2):
        assert isinstance(search.ask_each(ALL, {node: COUNT})[node], NodeAwayError)
    assert len(hanging) == 1
    # Once it is tried again, the others don't wait for it.
    search._reached[node].away_until = 0.0
    tried = threading.Thread(target=search.ask_each, args=(ALL, {node: COUNT}))
    tried.start()
    until(lambda: search._reached[node].away_until > 0.0)
    with pytest.raises(NodeAwayError):
        search.ask(node, ALL, COUNT)
    tried.join()
    assert len(hanging) == 2


def test_nobody_searches_without_the_role_and_no_node_that_was_removed(
    search: NodeSearch, asked: Running, central: PairedCentral
) -> None:
    node = str(asked.node.id)
    central.peers.mark_removed(node, 1.0)
    with pytest.raises(NodeAwayError):
        search.ask(node, ALL, COUNT)
    central.write(Place(nodes.PATH, central.id), {"address": "10.0.0.1", "roles": ["central-management"]})
    assert search.all() == {}
    assert asked.handlers.asked == []


@pytest.mark.parametrize(("status", "code"), [(404, "no_session"), (503, "trail_unavailable")])
def test_what_a_node_refuses_is_no_sign_that_it_is_away(
    search: NodeSearch, asked: Running, monkeypatch: pytest.MonkeyPatch, status: int, code: str
) -> None:
    def refuse(*_: Any) -> Any:
        raise CallRefusedError(status, code)

    monkeypatch.setattr(asked.handlers, "sessions", refuse)
    for _ in range(2):
        with pytest.raises(NodeRefusedError):
            search.ask(str(asked.node.id), ALL, ItemsQuestion(key=key_of(1), kind="events"))


# The end of a node


@pytest.fixture
def answers(tmp_path: Path, join: Callable[..., Node]) -> Iterator[tuple[Node, SessionAnswers]]:
    node = join("search-minion")
    node.follow()
    catalogue = SqliteCatalogue(tmp_path / "sessions.db")
    tell(catalogue, row(1), row(2, policy_key=ORACLE))
    yield node, SessionAnswers(lambda: node.rig.pipeline.running.snapshot, LocalSessions(catalogue, Trails(tmp_path)))
    catalogue.close()


def peer(node: Node) -> PinnedPeer:
    return PinnedPeer(node.paired.id, node.paired.key.certificate, frozenset({nodes.CENTRAL}))


def test_a_node_shows_no_more_than_the_audience_may_see(answers: tuple[Node, SessionAnswers]) -> None:
    node, found = answers
    assert found.answer(peer(node), encode(SearchCall(ALL, COUNT))) == 2
    assert found.answer(peer(node), encode(SearchCall(AUDITOR, COUNT))) == 1
    assert found.answer(peer(node), encode(SearchCall(AUDITOR, SessionQuestion(key=key_of(2))))) == []
    with pytest.raises(CallRefusedError, match="no_session"):
        found.answer(peer(node), encode(SearchCall(AUDITOR, ItemsQuestion(key=key_of(2), kind="events"))))


def test_a_trail_that_the_archive_does_not_give_is_told(answers: tuple[Node, SessionAnswers]) -> None:
    class Archived:
        def open(self, _row: SessionRow) -> IO[bytes]:
            raise TrailUnavailableError("fetching", "It is on its way.")

        def is_known(self, _archive: TrailArchive) -> bool:
            raise AssertionError

        def forget(self, _key: str) -> None:
            raise AssertionError

    node, found = answers
    local = found._local
    local.trails.archived = Archived()
    asyncio.run(local.catalogue.update(key_of(1), Facts(is_archived=True, trail="s.dwr")))
    asyncio.run(local.catalogue.synced())
    with pytest.raises(CallRefusedError, match="trail_unavailable"):
        found.answer(peer(node), encode(SearchCall(ALL, TrailSizeQuestion(key=key_of(1)))))


def test_a_node_answers_its_central_management_and_only_with_the_role(
    answers: tuple[Node, SessionAnswers], central: PairedCentral
) -> None:
    node, found = answers
    stranger = PinnedPeer("somebody", b"", frozenset({nodes.CENTRAL}))
    with pytest.raises(CallRefusedError, match="role"):
        found.answer(stranger, encode(SearchCall(ALL, COUNT)))
    central.give(node, "search-local")
    node.follow()
    with pytest.raises(CallRefusedError, match="role"):
        found.answer(peer(node), encode(SearchCall(ALL, COUNT)))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b'{"audience":{"user":"x"},"question":{"type":"sql"}}',
        b'{"audience":{"user":"x"},"question":{"type":"trail_size","key":"../../etc/passwd"}}',
        b'{"audience":{"user":"x"},"question":{"type":"rows","ids":[-1]}}',
        b'{"audience":{"user":"x","sees_all":true},"question":{"type":"frequent","filter":{},"field":"1;--"}}',
        b'{"audience":{"user":"x","sees_all":true},"question":{"type":"count","filter":{"q":"((("}}}',
        b'{"audience":{"user":"x","sees_all":true},"question":{"type":"count","filter":{"start":"then"}}}',
        b'{"audience":{"user":"x"},"question":{"type":"trail_piece","key":"a234567890123456789012","offset":0,"size":9999999}}',
    ],
)
def test_a_question_that_is_none_is_refused(answers: tuple[Node, SessionAnswers], body: bytes) -> None:
    node, found = answers
    with pytest.raises(CallRefusedError) as refused:
        found.answer(peer(node), body)
    assert (refused.value.status, refused.value.code) == (400, "format")
