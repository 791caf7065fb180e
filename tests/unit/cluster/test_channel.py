"""The channel over real TLS: who is let in, who may ask what, waiting, limits."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

from doorward.cluster import connection
from doorward.cluster.calls import Rate, Refused, Since
from doorward.cluster.client import Central, pair
from doorward.cluster.connection import ChannelError, Way
from doorward.cluster.links import Links
from doorward.cluster.pairing import Acceptance, PskLife, new_psk
from doorward.cluster.peers import Pinned
from tests.support.channel import VERSION, Node, Running, running
from tests.support.server import until


@pytest.fixture
def centre(tmp_path: Path) -> Iterator[Running]:
    with running(tmp_path) as found:
        yield found


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node.new(tmp_path)


def central(centre: Running, node: Node) -> Central:
    return Central(node.key, centre.node.peer("central-management"), centre.way)


def tried(centre: Running, node: Node, psk: str, version: str = VERSION) -> Any:
    return pair(centre.way, node.key, node_id=node.id, psk=psk, version=version, address="127.0.0.2")


def code(call: Any, *args: Any) -> str:
    with pytest.raises(ChannelError) as failed:
        call(*args)
    return failed.value.code


def test_pairing_then_pinned_calls(centre: Running, node: Node) -> None:
    paired = tried(centre, node, centre.handlers.accept(node))
    assert paired.certificate == centre.node.key.certificate
    assert paired.central_node_id == centre.node.id
    assert centre.handlers.paired == {node.id: node.key.certificate}
    asking = central(centre, node)
    assert code(asking.head, None) == "not_accepted"  # ends in the handshake until the centre trusts
    centre.channel.trust([node.peer("managed-host")])
    assert asking.head(None) == {"epoch": 1, "number": 1}
    assert asking.head(Since(1, 1), wait=0) is None
    assert asking.revision(None) == centre.handlers.answer
    assert asking.membership(Since(1, 0)) == {"epoch": 1, "number": 1}
    assert asking.hello() == {"node_id": str(centre.node.id), "version": "9.9.9", "you": str(node.id)}
    assert asking.release == "9.9.9"
    assert asking.status({"fqdn": "node2.invalid"}) == {}
    assert centre.handlers.reports == [(str(node.id), {"fqdn": "node2.invalid"})]
    asking.close()


def test_pairing_is_done_at_once_when_the_node_is_accepted_meanwhile(tmp_path: Path, node: Node) -> None:
    with running(tmp_path, hold=30) as centre:
        psk = new_psk()
        found: list[Any] = []
        thread = threading.Thread(target=lambda: found.append(tried(centre, node, psk)))
        thread.start()
        until(lambda: centre.handlers.asked)
        centre.handlers.accepted[node.id] = Acceptance(node.id, psk, PskLife(time.time() + 60))
        centre.channel.announce()
        thread.join(10)
        assert [one.central_node_id for one in found] == [centre.node.id]


@pytest.mark.parametrize("why", ["unknown", "psk", "expired", "psk of another", "used"])
def test_refused_pairing_pins_nothing_and_tells_nothing(centre: Running, node: Node, tmp_path: Path, why: str) -> None:
    psk = centre.handlers.accept(node)
    accepted = centre.handlers.accepted[node.id]
    if why == "unknown":
        centre.handlers.accepted.clear()
    if why == "psk":
        psk = new_psk()
    if why == "expired":
        centre.handlers.accepted[node.id] = replace(accepted, life=PskLife(time.time()))
    if why == "psk of another":
        psk = centre.handlers.accept(Node.new(tmp_path))
    if why == "used":
        centre.handlers.accepted[node.id] = replace(
            accepted, life=replace(accepted.life, pinned=bytes(32), pinned_at=time.time())
        )
    began = time.monotonic()
    with pytest.raises(ChannelError, match=r"the centre answers 403$") as refused:
        tried(centre, node, psk)
    assert refused.value.code == "not_accepted"
    assert time.monotonic() - began >= 0.2  # all refusals come after the same time
    assert centre.handlers.paired == {}
    assert bool(centre.handlers.differs) == (why in {"psk", "psk of another", "used"})


def test_other_release_is_told(centre: Running, node: Node) -> None:
    assert code(lambda: tried(centre, node, centre.handlers.accept(node), "2.0")) == "version_mismatch"
    assert centre.handlers.paired == {}


def test_another_release_is_held_as_every_refusal_is(tmp_path: Path, node: Node) -> None:
    """A node that asked again at once would soon be refused for its many attempts, and not know any more why."""
    with running(tmp_path, hold=30) as centre:
        psk = centre.handlers.accept(node)
        found: list[str] = []
        thread = threading.Thread(target=lambda: found.append(code(lambda: tried(centre, node, psk, "2.0"))))
        thread.start()
        until(lambda: centre.handlers.asked)
        centre.channel.announce()
        until(lambda: len(centre.handlers.asked) > 1)
        centre.channel.release()
        thread.join(10)
        assert found == ["version_mismatch"]


def test_eleventh_attempt_in_a_minute_is_refused(centre: Running, node: Node) -> None:
    psk = centre.handlers.accept(node)
    for _ in range(10):
        tried(centre, node, psk)
    assert code(tried, centre, node, psk) == "too_many_attempts"
    other = replace(centre.way, source="127.0.0.7")
    pair(other, node.key, node_id=node.id, psk=psk, version=VERSION, address="127.0.0.2")
    assert centre.handlers.asked[-1] == "127.0.0.7"  # bound to our own address


def test_rate_counts_the_last_minute_of_each_address() -> None:
    rate = Rate(most=2, seconds=60)
    assert [rate.admit("a", at) for at in (0, 1, 2, 60, 60.5, 61)] == [True, True, False, True, False, True]
    assert rate.admit("b", 61)
    for number in range(5000):
        rate.admit(str(number), 61)
    assert len(rate._times) <= 4096


def test_without_a_certificate_nothing_but_pairing_is_reached(centre: Running, node: Node) -> None:
    centre.channel.trust([node.peer("managed-host")])
    from doorward.cluster.pins import unverified_context

    for method, path in (("GET", "hello"), ("GET", "head"), ("GET", "revision"), ("POST", "status"), ("GET", "nothing")):
        anonymous = connection.connected(centre.way, unverified_context())
        assert code(anonymous.ask, method, path, b"{}") == "not_accepted"
        anonymous.close()
    assert centre.handlers.reports == []


@pytest.mark.parametrize(
    ("roles", "allowed"),
    [
        (("managed-host", "search-local"), {"hello", "head", "membership", "revision", "status"}),
        (("search-local",), {"hello", "head", "membership", "status"}),
        ((), {"hello", "head", "membership", "status"}),
        (("central-management",), {"hello"}),
    ],
)
def test_roles_decide_what_a_peer_may_ask(centre: Running, node: Node, roles: tuple[str, ...], allowed: set[str]) -> None:
    centre.channel.trust([node.peer(*roles)])
    asking = central(centre, node)
    calls: dict[str, Callable[[], Any]] = {
        "hello": asking.hello,
        "head": lambda: asking.head(None),
        "membership": lambda: asking.membership(None),
        "revision": lambda: asking.revision(None),
        "status": lambda: asking.status({}),
    }
    for name, call in calls.items():
        if name in allowed:
            call()
        else:
            assert code(call) == "role", name
    asking.close()


def test_a_node_understands_that_it_has_no_role(centre: Running, node: Node) -> None:
    centre.channel.trust([node.peer()])
    links = Links(node.key, str(node.id), lambda: centre.way.port)
    pinned = Pinned(str(centre.node.id), centre.node.key.certificate, 0.0)
    link = links.connect(centre.way.addresses, pinned, "127.0.0.1")
    assert link.revision(None) is None
    link.close()


def test_a_role_is_given_and_taken_on_an_open_connection(centre: Running, node: Node) -> None:
    centre.channel.trust([node.peer()])
    asking = central(centre, node)
    assert code(asking.revision, None) == "role"
    centre.channel.trust([node.peer("managed-host")])
    assert asking.revision(None)
    centre.channel.trust([node.peer()])
    assert code(asking.revision, None) == "role"
    asking.close()


def test_removed_node_is_told_so_wherever_it_is(centre: Running, node: Node) -> None:
    centre.channel.trust([node.peer()])
    waiting, fresh = central(centre, node), central(centre, node)
    told: list[str] = []
    thread = threading.Thread(target=lambda: told.append(code(waiting.head, Since(1, 1))))
    thread.start()
    until(lambda: str(node.id) in centre.handlers.asked)
    centre.channel.trust([node.peer(removed=True)])
    thread.join(10)
    assert told == ["removed"]  # at once, in the middle of its wait
    assert [code(fresh.hello), code(fresh.revision, None), code(lambda: fresh.status({}))] == ["removed"] * 3
    centre.channel.trust([])
    assert code(waiting.head, None) == "not_accepted"  # its open connection, and below a new one
    assert code(central(centre, node).head, None) == "not_accepted"
    for asking in (waiting, fresh):
        asking.close()


def test_who_waits_is_woken_at_once(centre: Running, node: Node) -> None:
    centre.channel.trust([node.peer()])
    asking = central(centre, node)
    asking.hello()
    found: list[tuple[Any, float]] = []
    thread = threading.Thread(target=lambda: found.append((asking.head(Since(1, 1)), time.monotonic())))
    thread.start()
    until(lambda: str(node.id) in centre.handlers.asked)
    centre.handlers.number = 2
    began = time.monotonic()
    centre.channel.announce()
    thread.join(20)
    assert found[0][0] == {"epoch": 1, "number": 2}
    assert found[0][1] - began < 5  # the wait itself would have taken 25
    asking.close()


def test_stopping_lets_go_who_waits(centre: Running, node: Node) -> None:
    centre.channel.trust([node.peer()])
    asking = central(centre, node)
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(asking.head(Since(1, 1))))
    thread.start()
    until(lambda: str(node.id) in centre.handlers.asked)
    began = time.monotonic()
    centre.stop()
    thread.join(20)
    assert found == [None]
    assert time.monotonic() - began < 5
    assert code(asking.head, None) == "no_answer"
    asking.close()


def test_closing_ends_a_call_that_waits(centre: Running, node: Node) -> None:
    centre.channel.trust([node.peer()])
    asking = central(centre, node)
    told: list[str] = []
    thread = threading.Thread(target=lambda: told.append(code(asking.head, Since(1, 1))))
    thread.start()
    until(lambda: str(node.id) in centre.handlers.asked)
    asking.close()
    thread.join(10)
    assert told == ["no_answer"]
    assert code(asking.hello) == "no_answer"


def test_connection_is_kept_and_opened_again(centre: Running, node: Node) -> None:
    centre.channel.trust([node.peer()])
    asking = central(centre, node)
    asking.hello()
    kept = asking._connection
    asking.hello()
    assert asking._connection is kept
    assert kept
    kept.cut()
    kept._is_cut = False  # as if the centre had ended it
    asking.hello()
    assert asking._connection is not kept
    asking.close()


def test_old_address_is_tried_after_the_new_one(centre: Running, node: Node) -> None:
    centre.channel.trust([node.peer()])
    asking = Central(node.key, centre.node.peer(), replace(centre.way, addresses=("127.0.0.9", "127.0.0.1")))
    assert asking.hello()
    asking.way = replace(asking.way, addresses=("127.0.0.9",))
    assert code(asking.hello) == "no_answer"
    asking.way = centre.way
    assert asking.hello()
    asking.close()


def test_another_machine_at_the_address_is_refused(centre: Running, node: Node, tmp_path: Path) -> None:
    with running(tmp_path, address="127.0.0.2") as impostor:
        for each in (centre, impostor):
            each.channel.trust([node.peer()])
        asking = Central(node.key, centre.node.peer(), impostor.way)
        assert code(lambda: asking.status({"health": 1})) == "pin_mismatch"
        assert impostor.handlers.reports == []
        assert impostor.handlers.asked == []


def test_nobody_there_is_no_answer(node: Node, centre: Running) -> None:
    nowhere = Way(("127.0.0.1",), port=9)
    assert code(Central(node.key, centre.node.peer(), nowhere).hello) == "no_answer"
    assert code(lambda: pair(nowhere, node.key, node_id=node.id, psk=new_psk(), version="1", address="::1")) == "no_answer"
    assert code(Central(node.key, centre.node.peer(), Way(())).hello) == "no_answer"


def test_queries_are_numbers_within_limits(centre: Running, node: Node) -> None:
    centre.channel.trust([node.peer()])
    asking = central(centre, node)
    asking.hello()
    assert asking._connection
    lonely, odd = ("epoch=1", "number=1"), ("epoch=1&number=1.5", "epoch=1&number=%C2%B2")
    for query in ("wait=26", "wait=-1", "wait=x", f"wait={'9' * 99}", *lonely, *odd):
        assert code(asking._connection.ask, "GET", f"head?{query}") == "format", query
    assert code(asking._connection.ask, "POST", "head", b"") == "method_not_allowed"
    assert code(asking._connection.ask, "GET", "nothing") == "not_found"
    assert code(asking._connection.ask, "POST", "status", b"{") == "format"
    assert asking.head(None, wait=25)
    asking.close()


def test_answers_of_handlers_reach_the_node(centre: Running, node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    centre.channel.trust([node.peer("managed-host")])
    asking = central(centre, node)

    def raising(error: Exception) -> Any:
        def call(*_args: Any) -> Any:
            raise error

        return call

    monkeypatch.setattr(centre.handlers, "revision", raising(Refused(404, "not_central")))
    assert code(asking.revision, None) == "not_central"
    monkeypatch.setattr(centre.handlers, "status", raising(msgspec.ValidationError("Expected `str`")))
    assert code(lambda: asking.status({})) == "format"
    monkeypatch.setattr(centre.handlers, "revision", raising(RuntimeError("the password is hunter2")))
    with capture_logs() as logs, pytest.raises(ChannelError) as failed:
        asking.revision(None)
    assert failed.value.code == "internal"
    assert "hunter2" not in str(failed.value)
    assert any(entry["event"] == "internal error" for entry in logs)
    assert asking.hello()
    asking.close()


def test_both_ends_log_who_what_and_result_but_no_body(centre: Running, node: Node) -> None:
    centre.channel.trust([node.peer("managed-host")])
    asking = central(centre, node)
    with capture_logs() as logs:
        asking.revision(Since(1, 0))
        asking.status({"hidden": "hunter2"})
        until(lambda: len(logs) >= 6)
    asking.close()
    served = [entry for entry in logs if entry["event"] == "cluster request"]
    called = [entry for entry in logs if entry["event"] == "cluster call"]
    assert [entry["path"] for entry in served] == [entry["path"] for entry in called] == ["hello", "revision", "status"]
    assert {(entry["peer"], entry["address"], entry["status"]) for entry in served} == {(str(node.id), "127.0.0.1", 200)}
    assert {(entry["peer"], entry["address"], entry["result"]) for entry in called} == {(str(centre.node.id), "127.0.0.1", "ok")}
    assert "hunter2" not in str(logs)
    assert "ssss" not in str(logs)


def test_large_revision_travels_compressed(centre: Running, node: Node) -> None:
    centre.channel.trust([node.peer("managed-host")])
    centre.handlers.answer = {"tree": ["configuration"] * 400_000}
    asking = central(centre, node)
    assert asking.revision(None) == centre.handlers.answer
    asking.close()


def test_answers_beyond_the_limit_are_refused_before_they_fill_the_memory(
    centre: Running, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    centre.channel.trust([node.peer("managed-host")])
    centre.handlers.answer = ["0" * 1000] * 2000
    monkeypatch.setattr(connection, "ANSWER_LIMIT", 100_000)
    asking = central(centre, node)
    assert code(asking.revision, None) == "bad_answer"
    asking.close()


def test_a_call_that_takes_too_long_is_ended(centre: Running, node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    centre.channel.trust([node.peer()])
    monkeypatch.setattr(connection, "CALL_SECONDS", 0.3)
    asking = central(centre, node)
    monkeypatch.setattr(centre.handlers, "head", lambda *_args: time.sleep(0.6))
    assert code(asking.head, None, 0) == "no_answer"
    asking.close()


def test_nobody_is_waited_for_who_went_away(centre: Running, node: Node) -> None:
    centre.channel.trust([node.peer()])
    asking = central(centre, node)
    thread = threading.Thread(target=lambda: code(asking.head, Since(1, 1)))
    thread.start()
    until(lambda: str(node.id) in centre.handlers.asked and centre.requests() == 1)
    began = time.monotonic()
    asking.close()
    thread.join(10)
    until(lambda: centre.requests() == 0)
    assert time.monotonic() - began < 10
