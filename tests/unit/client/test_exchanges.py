"""What the client says and how it takes answers, spoken by hand: no server, no connection."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, TypeVar

import pytest

from doorward.client.errors import (
    ApiRefusedError,
    ApplyFailedError,
    ConflictError,
    LoginRefusedError,
    UnknownOutcomeError,
    UnreachableError,
    UnsendableError,
)
from doorward.client.exchanges import ApiConversation, Exchange, encoded
from doorward.client.messages import ClientReply, ClientRequest
from doorward.client.streams import EventReader, LineSplitter

T = TypeVar("T")
URL = "https://gate.example.com"
LOST = UnreachableError("gone")


def reply(status: int = 200, etag: str = "", **members: Any) -> ClientReply:
    return ClientReply(status, {"etag": etag} if etag else {}, json.dumps({"meta": {"href": "/"}, **members}).encode())


def refused(status: int, kind: str, **details: Any) -> ClientReply:
    return reply(status, error={"type": kind, "message": "No.", "details": details})


def done(revision: int = 7) -> ClientReply:
    return ClientReply(200, {}, json.dumps({"meta": {"revision": revision}}).encode())


def played(exchange: Exchange[T], *replies: ClientReply | UnreachableError) -> tuple[T, list[ClientRequest]]:
    """Carry an exchange with these replies; return its result and what it sent."""
    said, left = [next(exchange)], iter(replies)
    try:
        while True:
            match next(left):
                case UnreachableError() as lost:
                    said.append(exchange.throw(lost))
                case ClientReply() as answer:
                    said.append(exchange.send(answer))
    except StopIteration as end:
        assert list(left) == []
        return end.value, said


def commit(*replies: ClientReply | UnreachableError, patience: float = 2.0) -> tuple[int | None, list[ClientRequest]]:
    conversation = ApiConversation(URL)
    played(conversation.log_in("jane", "secret"), reply())
    committed, said = played(conversation.commit("why", None, patience), *replies)
    return committed.revision, said


def test_a_commit_is_one_request_with_a_key() -> None:
    revision, [request] = commit(done())
    assert (revision, request.method, request.path) == (7, "PUT", "/api/transaction")
    assert json.loads(request.content or b"") == {"status": "commit", "commit_message": "why"}
    assert len(request.headers["Idempotency-Key"]) == 36


def test_a_commit_that_waits_for_somebody_has_a_proposal_and_no_revision() -> None:
    conversation = ApiConversation(URL)
    played(conversation.log_in("jane", "secret"), reply())
    waiting = ClientReply(202, {}, json.dumps({"meta": {"proposal": "/api/proposals/p", "waits_for": ["security"]}}).encode())
    committed, [request] = played(conversation.commit("why", None, 2.0, emergency=True), waiting)
    assert (committed.revision, committed.proposal, committed.waits_for) == (None, "/api/proposals/p", ("security",))
    assert json.loads(request.content or b"")["emergency"] is True


def test_a_lost_answer_is_asked_for_with_the_same_key_and_ever_longer_waits() -> None:
    revision, said = commit(LOST, LOST, LOST, done())
    assert revision == 7
    assert len({request.headers["Idempotency-Key"] for request in said}) == 1
    assert [request.delay for request in said] == [0, 0, 0.25, 0.5]


def test_a_server_that_started_anew_is_asked_for_the_record() -> None:
    starting, ended = refused(503, "ServiceUnavailable"), refused(401, "Unauthenticated")
    record = reply(body={"state": "done", "revision": 8, "error": None})
    revision, said = commit(LOST, starting, ended, reply(), record)
    key = said[0].headers["Idempotency-Key"]
    assert revision == 8
    assert [request.path for request in said[2:]] == ["/api/transaction", "/api/authentication", f"/api/commits/{key}"]


def test_a_record_that_is_not_finished_is_looked_at_again() -> None:
    busy, ended = reply(body={"state": "applying", "revision": None, "error": None}), refused(401, "Unauthenticated")
    kept = reply(body={"state": "awaiting_confirmation", "revision": 9, "error": None})
    assert commit(LOST, ended, reply(), busy, reply(), kept)[0] == 9


@pytest.mark.parametrize(
    ("record", "raised"),
    [
        (refused(404, "NotFound"), UnreachableError),
        (reply(body={"state": "failed", "revision": None, "error": {"type": "ApplyFailed", "message": "No."}}), ApplyFailedError),
        (reply(body={"state": "unknown", "revision": None, "error": None}), UnknownOutcomeError),
    ],
)
def test_a_record_tells_what_did_not_happen(record: ClientReply, raised: type[Exception]) -> None:
    with pytest.raises(raised) as failure:
        commit(LOST, refused(401, "Unauthenticated"), reply(), record)
    assert type(failure.value) is raised


def test_patience_ends_with_the_key_to_look_for() -> None:
    with pytest.raises(UnknownOutcomeError, match="got lost: gone") as failure:
        commit(*[LOST] * 5, patience=0.5)
    assert len(failure.value.key) == 36


def test_a_refusal_is_not_sent_again_and_has_every_place() -> None:
    errors = [
        {"message": "Too small.", "pointer": "/timeout", "path": "/api/configuration/a"},
        {"message": "Not known.", "parameter": "x"},
    ]
    with pytest.raises(ApiRefusedError) as failure:
        commit(refused(400, "SemanticError", errors=errors))
    found = failure.value
    assert [(one.path, one.pointer, one.message) for one in found.problems] == [
        ("/api/configuration/a", "/timeout", "Too small."),
        ("/api/transaction", "x", "Not known."),
    ]
    assert found.pointers == ["/timeout"]
    assert "/api/configuration/a /timeout: Too small." in str(found)


def test_a_conflict_is_an_exception_of_its_own() -> None:
    with pytest.raises(ConflictError):
        commit(refused(409, "Conflict", conflicts=[]))


def test_a_password_that_is_not_taken_is_not_remembered() -> None:
    conversation = ApiConversation(URL)
    with pytest.raises(LoginRefusedError, match="jane: No"):
        played(conversation.log_in("jane", "secret"), refused(401, "Unauthenticated"))
    assert list(conversation.log_in_again()) == []


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"meta": 1}', b"<html>", b'{"meta": {}}'])
def test_what_is_not_doorward_is_said(content: bytes) -> None:
    status = 500 if content == b'{"meta": {}}' else 200
    with pytest.raises(UnreachableError, match="not Doorward"):
        played(ApiConversation(URL).read("datetime"), ClientReply(status, {}, content))


def test_paths_are_those_of_the_configuration_unless_they_are_whole() -> None:
    conversation = ApiConversation(URL)
    _, [below] = played(conversation.read("datetime/ntp_servers"), reply())
    _, [whole] = played(conversation.read("/api/info", {"q": "ä b"}), reply())
    assert (below.path, whole.path) == ("/api/configuration/datetime/ntp_servers", "/api/info?q=%C3%A4+b")


@pytest.mark.parametrize("value", [{"a": object()}, float("nan"), "\udcff"])
def test_what_is_no_json_is_not_sent(value: Any) -> None:
    with pytest.raises(UnsendableError):
        encoded(value)


def events(pieces: list[bytes]) -> Iterator[tuple[str, str]]:
    splitter, reader = LineSplitter(), EventReader()
    for piece in pieces:
        for line in splitter.feed(piece):
            yield from reader.feed(line)


def test_events_come_out_of_any_pieces() -> None:
    stream = "event: screen\ndata: a\u2028\x85b\ndata: c\n\n: alive\n\ndata:d\n\nevent: cut off\ndata".encode()
    want = [("screen", "a\u2028\x85b\nc"), ("", "d")]
    assert list(events([stream])) == want
    assert list(events([stream[i : i + 1] for i in range(len(stream))])) == want
