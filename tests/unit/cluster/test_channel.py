"""The channel over real TLS: who is let in, who may ask what, waiting, limits."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from doorward.cluster import connection
from doorward.cluster.calls import MAX_WAIT, Call, CallRefusedError, Rate, Since
from doorward.cluster.client import CentralClient, pair
from doorward.cluster.connection import ChannelError, Way
from doorward.cluster.links import Links
from doorward.cluster.pairing import Acceptance, PskLife, new_psk
from doorward.cluster.peers import Pinned
from tests.support.channel import VERSION, Node, Running, running
from tests.support.server import until
from tests.support.waiting import PATIENCE


@pytest.fixture
def central_node(tmp_path: Path) -> Iterator[Running]:
    with running(tmp_path) as found:
        yield found


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node.new(tmp_path)


def central(central_node: Running, node: Node) -> CentralClient:
    return CentralClient(node.key, central_node.node.peer("central-management"), central_node.way)


def tried(central_node: Running, node: Node, psk: str, version: str = VERSION) -> Any:
    return pair(central_node.way, node.key, node_id=node.id, psk=psk, version=version, address="127.0.0.2")


def code(call: Any, *args: Any) -> str:
    with pytest.raises(ChannelError) as failed:
        call(*args)
    return failed.value.code


def test_pairing_then_pinned_calls(central_node: Running, node: Node) -> None:
    paired = tried(central_node, node, central_node.handlers.accept(node))
    assert paired.certificate == central_node.node.key.certificate
    assert paired.central_node_id == central_node.node.id
    assert central_node.handlers.paired == {node.id: node.key.certificate}
    asking = central(central_node, node)
    assert code(asking.head, None) == "not_accepted"  # ends in the handshake until Central Management trusts
    central_node.channel.trust([node.peer("managed-host")])
    assert asking.head(None) == {"epoch": 1, "number": 1}
    assert asking.head(Since(1, 1), wait=0) is None
    assert asking.revision(None) == central_node.handlers.answer
    assert asking.membership(Since(1, 0)) == {"epoch": 1, "number": 1}
    assert asking.hello() == {"node_id": str(central_node.node.id), "version": "9.9.9", "you": str(node.id)}
    assert asking.release == "9.9.9"
    assert asking.status({"fqdn": "node2.invalid"}) == {}
    assert central_node.handlers.reports == [(str(node.id), {"fqdn": "node2.invalid"})]
    asking.close()


def test_pairing_is_done_at_once_when_the_node_is_accepted_meanwhile(tmp_path: Path, node: Node) -> None:
    with running(tmp_path, hold=30) as central_node:
        psk = new_psk()
        found: list[Any] = []
        thread = threading.Thread(target=lambda: found.append(tried(central_node, node, psk)))
        thread.start()
        until(lambda: central_node.handlers.asked)
        central_node.handlers.accepted[node.id] = Acceptance(node.id, psk, PskLife(time.time() + 60))
        central_node.channel.announce()
        thread.join(PATIENCE)
        assert [one.central_node_id for one in found] == [central_node.node.id]


@pytest.mark.parametrize("why", ["unknown", "psk", "expired", "psk of another", "used"])
def test_refused_pairing_pins_nothing_and_tells_nothing(central_node: Running, node: Node, tmp_path: Path, why: str) -> None:
    psk = central_node.handlers.accept(node)
    accepted = central_node.handlers.accepted[node.id]
    if why == "unknown":
        central_node.handlers.accepted.clear()
    if why == "psk":
        psk = new_psk()
    if why == "expired":
        central_node.handlers.accepted[node.id] = dataclasses.replace(accepted, life=PskLife(time.time()))
    if why == "psk of another":
        psk = central_node.handlers.accept(Node.new(tmp_path))
    if why == "used":
        central_node.handlers.accepted[node.id] = dataclasses.replace(
            accepted, life=replace(accepted.life, pinned=bytes(32), pinned_at=time.time())
        )
    began = time.monotonic()
    with pytest.raises(ChannelError, match=r"Central Management answers 403$") as refused:
        tried(central_node, node, psk)
    assert refused.value.code == "not_accepted"
    assert time.monotonic() - began >= 0.2  # all refusals come after the same time
    assert central_node.handlers.paired == {}
    assert bool(central_node.handlers.differs) == (why in {"psk", "psk of another", "used"})


def test_other_release_is_told(central_node: Running, node: Node) -> None:
    assert code(lambda: tried(central_node, node, central_node.handlers.accept(node), "2.0")) == "version_mismatch"
    assert central_node.handlers.paired == {}


def test_another_release_is_held_as_every_refusal_is(tmp_path: Path, node: Node) -> None:
    """A node that asked again at once would soon be refused for its many attempts, and not know any more why."""
    with running(tmp_path, hold=30) as central_node:
        psk = central_node.handlers.accept(node)
        found: list[str] = []
        thread = threading.Thread(target=lambda: found.append(code(lambda: tried(central_node, node, psk, "2.0"))))
        thread.start()
        until(lambda: central_node.handlers.asked)
        central_node.channel.announce()
        until(lambda: len(central_node.handlers.asked) > 1)
        central_node.channel.release()
        thread.join(PATIENCE)
        assert found == ["version_mismatch"]


def test_eleventh_attempt_in_a_minute_is_refused(central_node: Running, node: Node) -> None:
    psk = central_node.handlers.accept(node)
    for _ in range(10):
        tried(central_node, node, psk)
    assert code(tried, central_node, node, psk) == "too_many_attempts"
    other = replace(central_node.way, source="127.0.0.7")
    pair(other, node.key, node_id=node.id, psk=psk, version=VERSION, address="127.0.0.2")
    assert central_node.handlers.asked[-1] == "127.0.0.7"  # bound to our own address


def test_rate_counts_the_last_minute_of_each_address() -> None:
    rate = Rate(most=2, seconds=60)
    assert [rate.admit("a", at) for at in (0, 1, 2, 60, 60.5, 61)] == [True, True, False, True, False, True]
    assert rate.admit("b", 61)
    for number in range(5000):
        rate.admit(str(number), 61)
    assert len(rate._times) <= 4096


def test_without_a_certificate_nothing_but_pairing_is_reached(central_node: Running, node: Node) -> None:
    central_node.channel.trust([node.peer("managed-host")])
    from doorward.cluster.pins import unverified_context

    for method, path in (
        ("GET", "hello"),
        ("GET", "head"),
        ("GET", "revision"),
        ("POST", "status"),
        ("POST", "host_keys"),
        ("GET", "nothing"),
    ):
        anonymous = connection.connected(central_node.way, unverified_context())
        assert code(anonymous.ask, method, path, b"{}") == "not_accepted"
        anonymous.close()
    assert central_node.handlers.reports == []


@pytest.mark.parametrize(
    ("roles", "allowed"),
    [
        (("managed-host", "search-local"), {"hello", "head", "host_keys", "membership", "revision", "status"}),
        (("search-local",), {"hello", "head", "membership", "status"}),
        ((), {"hello", "head", "membership", "status"}),
        (("central-management",), {"hello", "sessions"}),
    ],
)
def test_roles_decide_what_a_peer_may_ask(central_node: Running, node: Node, roles: tuple[str, ...], allowed: set[str]) -> None:
    central_node.channel.trust([node.peer(*roles)])
    asking = central(central_node, node)
    calls: dict[str, Callable[[], Any]] = {
        "hello": asking.hello,
        "head": lambda: asking.head(None),
        "membership": lambda: asking.membership(None),
        "revision": lambda: asking.revision(None),
        "status": lambda: asking.status({}),
        "host_keys": lambda: asking.host_keys({"digest": ""}),
        "sessions": lambda: asking.sessions({}),
    }
    for name, call in calls.items():
        if name in allowed:
            call()
        else:
            assert code(call) == "role", name
    asking.close()


def a_call(certificate: bytes, path: str) -> Call:
    """A call that is only judged."""
    asked = {"headers": (), "peer": certificate, "ending": bool, "client": ("127.0.0.2", 1), "path": f"/cluster/v1/{path}"}
    return Call(asked, None)


@pytest.mark.parametrize(
    ("why", "status", "code", "close"),
    [
        ("nobody", 403, "not_accepted", True),
        ("removed", 410, "removed", False),
        ("elsewhere", 404, "not_found", False),
        ("role", 403, "role", False),
    ],
)
def test_a_call_is_refused_for_what_is_wrong_with_it(
    central_node: Running, node: Node, why: str, status: int, code: str, close: bool
) -> None:
    peer = dataclasses.replace(node.peer(), removed=why == "removed")
    central_node.channel.trust([] if why == "nobody" else [peer])
    call = a_call(peer.certificate, "elsewhere" if why == "elsewhere" else "revision")
    with pytest.raises(CallRefusedError) as refused:
        central_node.channel._admit(call)
    assert (refused.value.status, refused.value.code, call.close) == (status, code, close)


def test_a_node_understands_that_it_has_no_role(central_node: Running, node: Node) -> None:
    central_node.channel.trust([node.peer()])
    links = Links(node.key, str(node.id), lambda: central_node.way.port)
    pinned = Pinned(str(central_node.node.id), central_node.node.key.certificate, 0.0)
    link = links.connect(central_node.way.addresses, pinned, "127.0.0.1")
    assert link.revision(None) is None
    link.close()


def test_a_role_is_given_and_taken_on_an_open_connection(central_node: Running, node: Node) -> None:
    central_node.channel.trust([node.peer()])
    asking = central(central_node, node)
    assert code(asking.revision, None) == "role"
    central_node.channel.trust([node.peer("managed-host")])
    assert asking.revision(None)
    central_node.channel.trust([node.peer()])
    assert code(asking.revision, None) == "role"
    asking.close()


def test_removed_node_is_told_so_wherever_it_is(central_node: Running, node: Node) -> None:
    central_node.channel.trust([node.peer()])
    waiting, fresh = central(central_node, node), central(central_node, node)
    told: list[str] = []
    thread = threading.Thread(target=lambda: told.append(code(waiting.head, Since(1, 1))))
    thread.start()
    until(lambda: str(node.id) in central_node.handlers.asked)
    central_node.channel.trust([node.peer(removed=True)])
    thread.join(PATIENCE)
    assert told == ["removed"]  # at once, in the middle of its wait
    assert [code(fresh.hello), code(fresh.revision, None), code(lambda: fresh.status({}))] == ["removed"] * 3
    central_node.channel.trust([])
    assert code(waiting.head, None) == "not_accepted"  # its open connection, and below a new one
    assert code(central(central_node, node).head, None) == "not_accepted"
    for asking in (waiting, fresh):
        asking.close()


def test_who_waits_is_woken_at_once(central_node: Running, node: Node) -> None:
    central_node.channel.trust([node.peer()])
    asking = central(central_node, node)
    asking.hello()
    found: list[tuple[Any, float]] = []
    thread = threading.Thread(target=lambda: found.append((asking.head(Since(1, 1)), time.monotonic())))
    thread.start()
    until(lambda: str(node.id) in central_node.handlers.asked)
    central_node.handlers.number = 2
    began = time.monotonic()
    central_node.channel.announce()
    thread.join(PATIENCE)
    assert found[0][0] == {"epoch": 1, "number": 2}
    assert found[0][1] - began < MAX_WAIT  # or it would have waited to its end
    asking.close()


def test_stopping_lets_go_who_waits(central_node: Running, node: Node) -> None:
    central_node.channel.trust([node.peer()])
    asking = central(central_node, node)
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(asking.head(Since(1, 1))))
    thread.start()
    until(lambda: str(node.id) in central_node.handlers.asked)
    began = time.monotonic()
    central_node.stop()
    thread.join(PATIENCE)
    assert found == [None]
    assert time.monotonic() - began < MAX_WAIT
    assert code(asking.head, None) == "no_answer"
    asking.close()


def test_closing_ends_a_call_that_waits(central_node: Running, node: Node) -> None:
    central_node.channel.trust([node.peer()])
    asking = central(central_node, node)
    told: list[str] = []
    thread = threading.Thread(target=lambda: told.append(code(asking.head, Since(1, 1))))
    thread.start()
    until(lambda: str(node.id) in central_node.handlers.asked)
    asking.close()
    thread.join(PATIENCE)
    assert told == ["no_answer"]
    assert code(asking.hello) == "no_answer"


def test_connection_is_kept_and_opened_again(central_node: Running, node: Node) -> None:
    central_node.channel.trust([node.peer()])
    asking = central(central_node, node)
    asking.hello()
    kept = asking._connection
    asking.hello()
    assert asking._connection is kept
    assert kept
    kept.cut()
    kept._is_cut = False  # as if Central Management had ended it
    asking.hello()
    assert asking._connection is not kept
    asking.close()


def test_old_address_is_tried_after_the_new_one(central_node: Running, node: Node) -> None:
    central_node.channel.trust([node.peer()])
    asking = CentralClient(node.key, central_node.node.peer(), replace(central_node.way, addresses=("127.0.0.9", "127.0.0.1")))
    assert asking.hello()
    asking.way = replace(asking.way, addresses=("127.0.0.9",))
    assert code(asking.hello) == "no_answer"
    asking.way = central_node.way
    assert asking.hello()
    asking.close()


def test_another_machine_at_the_address_is_refused(central_node: Running, node: Node, tmp_path: Path) -> None:
    with running(tmp_path, address="127.0.0.2") as impostor:
        for each in (central_node, impostor):
            each.channel.trust([node.peer()])
        asking = CentralClient(node.key, central_node.node.peer(), impostor.way)
        assert code(lambda: asking.status({"health": 1})) == "pin_mismatch"
        assert impostor.handlers.reports == []
        assert impostor.handlers.asked == []


def test_nobody_there_is_no_answer(node: Node, central_node: Running) -> None:
    nowhere = Way(("127.0.0.1",), port=9)
    assert code(CentralClient(node.key, central_node.node.peer(), nowhere).hello) == "no_answer"
    assert code(lambda: pair(nowhere, node.key, node_id=node.id, psk=new_psk(), version="1", address="::1")) == "no_answer"
    assert code(CentralClient(node.key, central_node.node.peer(), Way(())).hello) == "no_answer"


def test_queries_are_numbers_within_limits(central_node: Running, node: Node) -> None:
    central_node.channel.trust([node.peer()])
    asking = central(central_node, node)
    asking.hello()
    assert asking._connection
    lonely, odd = ("epoch=1", "number=1"), ("epoch=1&number=1.5", "epoch=1&number=%C2%B2")
    for query in ("wait=26", "wait=-1", "wait=x", f"wait={'9' * 99}", "&" * 99, *lonely, *odd):
        assert code(asking._connection.ask, "GET", f"head?{query}") == "format", query
    assert code(asking._connection.ask, "POST", "head", b"") == "method_not_allowed"
    assert code(asking._connection.ask, "GET", "nothing") == "not_found"
    assert code(asking._connection.ask, "POST", "status", b"{") == "format"
    assert asking.head(None, wait=25)
    asking.close()


def test_answers_of_handlers_reach_the_node(central_node: Running, node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    central_node.channel.trust([node.peer("managed-host")])
    asking = central(central_node, node)

    def raising(error: Exception) -> Any:
        def call(*_args: Any) -> Any:
            raise error

        return call

    monkeypatch.setattr(central_node.handlers, "revision", raising(CallRefusedError(404, "not_central")))
    assert code(asking.revision, None) == "not_central"
    monkeypatch.setattr(central_node.handlers, "status", raising(msgspec.ValidationError("Expected `str`")))
    assert code(lambda: asking.status({})) == "format"
    monkeypatch.setattr(central_node.handlers, "revision", raising(RuntimeError("the password is hunter2")))
    with capture_logs() as logs, pytest.raises(ChannelError) as failed:
        asking.revision(None)
    assert failed.value.code == "internal"
    assert "hunter2" not in str(failed.value)
    assert any(entry["event"] == "internal error" for entry in logs)
    assert asking.hello()
    asking.close()


def test_both_ends_log_who_what_and_result_but_no_body(central_node: Running, node: Node) -> None:
    central_node.channel.trust([node.peer("managed-host")])
    asking = central(central_node, node)
    with capture_logs() as logs:
        asking.revision(Since(1, 0))
        asking.status({"hidden": "hunter2"})
        until(lambda: len(logs) >= 6)
    asking.close()
    served = [entry for entry in logs if entry["event"] == "cluster request"]
    called = [entry for entry in logs if entry["event"] == "cluster call"]
    assert [entry["path"] for entry in served] == [entry["path"] for entry in called] == ["hello", "revision", "status"]
    assert {(entry["peer"], entry["address"], entry["status"]) for entry in served} == {(str(node.id), "127.0.0.1", 200)}
    assert {(entry["peer"], entry["address"], entry["result"]) for entry in called} == {
        (str(central_node.node.id), "127.0.0.1", "ok")
    }
    assert "hunter2" not in str(logs)
    assert "ssss" not in str(logs)


def test_large_revision_travels_compressed(central_node: Running, node: Node) -> None:
    central_node.channel.trust([node.peer("managed-host")])
    central_node.handlers.answer = {"tree": ["configuration"] * 400_000}
    asking = central(central_node, node)
    assert asking.revision(None) == central_node.handlers.answer
    asking.close()


def test_answers_beyond_the_limit_are_refused_before_they_fill_the_memory(
    central_node: Running, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    central_node.channel.trust([node.peer("managed-host")])
    central_node.handlers.answer = ["0" * 1000] * 2000
    monkeypatch.setattr(connection, "ANSWER_LIMIT", 100_000)
    asking = central(central_node, node)
    assert code(asking.revision, None) == "bad_answer"
    asking.close()


def test_a_call_that_takes_too_long_is_ended(central_node: Running, node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    central_node.channel.trust([node.peer()])
    monkeypatch.setattr(connection, "CALL_SECONDS", 0.3)
    asking = central(central_node, node)
    monkeypatch.setattr(central_node.handlers, "head", lambda *_args: time.sleep(0.6))
    assert code(asking.head, None, 0) == "no_answer"
    asking.close()


def test_nobody_is_waited_for_who_went_away(central_node: Running, node: Node) -> None:
    central_node.channel.trust([node.peer()])
    asking = central(central_node, node)
    thread = threading.Thread(target=lambda: code(asking.head, Since(1, 1)))
    thread.start()
    until(lambda: str(node.id) in central_node.handlers.asked and central_node.requests() == 1)
    began = time.monotonic()
    asking.close()
    thread.join(PATIENCE)
    until(lambda: central_node.requests() == 0)
    assert time.monotonic() - began < MAX_WAIT
