"""What is wrong before a resource is looked at: syntax, length, size, expectation, media type, readiness (9.1, 10, 12)."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.contract.wire import NTP, TRANSACTION, WEB, Caller, chunked
from tests.support.ports import free_port
from tests.support.server import Server, running, until

HOST = b"Host: localhost\r\n"
MIB = 1 << 20


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"garbage\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET /api\r\n\r\n",
        b"GET /api HTTP/0.9\r\n" + HOST + b"\r\n",
        b"GET /api HTTP/9.9\r\n" + HOST + b"\r\n",
        b"GET /api HTTP/1.1\r\n" + HOST + b"no colon here\r\n\r\n",
        b"GET /api HTTP/1.1\r\n" + HOST + b"X-Long: " + b"x" * 16384 + b"\r\n\r\n",
        b"GET /api HTTP/1.1\r\n" + HOST + b"".join(b"X-%d: %b\r\n" % (n, b"x" * 90) for n in range(180)) + b"\r\n",
        b"GET /" + b"x" * 16384 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
        b"POST /api/transaction HTTP/1.1\r\n" + HOST + b"Content-Length: -1\r\n\r\n",
        b"POST /api/transaction HTTP/1.1\r\n" + HOST + b"Content-Length: two\r\n\r\n",
        b"POST /api/transaction HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
        b"POST /api/transaction HTTP/1.1\r\n" + HOST + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
    ids=[
        "no request line", "TLS inside TLS", "no version", "version 0.9", "unknown version", "no colon", "long field",
        "many fields", "long path", "negative length", "length not a number", "two lengths", "length and chunks",
    ],
)  # fmt: skip
def test_what_is_not_http_is_a_bad_request_and_ends_the_connection(anybody: Caller, request_bytes: bytes) -> None:
    answer = anybody.send(request_bytes).is_error(400, "BadRequest")
    assert answer.error == {"details": {}, "message": "The request is not valid HTTP.", "type": "BadRequest"}
    assert answer.header("Connection") == "close"
    assert not answer.all("Allow")


def test_head_of_almost_16_kib_is_taken(admin: Caller) -> None:
    admin.get(NTP, headers={"X-Long": "x" * 15_900}).ok()


@pytest.mark.parametrize("path", ["/api/%", "/api/%z1", "/api/%1", "/api/%ff", "/api/%C3", "/api/%ed%a0%80", "/%E4pi"])
def test_path_that_cannot_be_decoded_is_a_bad_request(admin: Caller, path: str) -> None:
    answer = admin.get(path).is_error(400, "BadRequest")
    assert answer.error["details"] == {}
    assert not answer.all("Allow")


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_old_http_is_tolerated(admin: Caller, version: str) -> None:
    request = f"GET {NTP} HTTP/{version}\r\nHost: localhost\r\nCookie: session_id={admin.cookie}\r\nConnection: close\r\n\r\n"
    assert admin.send(request.encode()).ok().json["key"] == "ntp_servers"


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize("path", [TRANSACTION, NTP, "/api/nothing"])
def test_body_needs_a_length(admin: Caller, method: str, path: str) -> None:
    request = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nCookie: session_id={admin.cookie}\r\n\r\n"
    answer = admin.send(request.encode(), method).is_error(411, "LengthRequired")
    assert answer.error["details"] == {}
    admin.get(NTP).ok()
    assert admin.connections == 1, "the connection stays usable"


def test_chunks_are_a_length(admin: Caller) -> None:
    answer = admin.put(NTP, content=chunked(b"[]", 1), headers={"Transfer-Encoding": "chunked"}).ok()
    assert answer.json["body"] == []


def test_body_of_a_mebibyte_is_taken(admin: Caller) -> None:
    content = b'{"timeout":10,"x":"' + b"x" * (MIB - 21) + b'"}'
    assert len(content) == MIB
    admin.put(WEB, content=content).ok()
    admin.put(WEB, content=chunked(content), headers={"Transfer-Encoding": "chunked"}).ok()


@pytest.mark.parametrize("way", ["length", "chunks"])
def test_larger_body_is_refused_and_ends_the_connection(admin: Caller, way: str) -> None:
    content = b" " * (MIB + 1)
    if way == "length":
        answer = admin.put(WEB, content=content)
    else:
        answer = admin.put(WEB, content=chunked(content), headers={"Transfer-Encoding": "chunked"})
    answer.is_error(413, "BodyTooLarge", limit=MIB)
    assert answer.header("Connection") == "close"
    admin.get(WEB).ok()
    assert admin.connections == 2


def test_announced_size_is_enough_to_refuse(admin: Caller) -> None:
    admin.call("PUT", WEB, headers={"Content-Length": str(10**15)}).is_error(413, "BodyTooLarge")


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/xml", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded"]
)
def test_other_media_types_are_refused(admin: Caller, content_type: str) -> None:
    answer = admin.put(NTP, content=b"[]", headers={"Content-Type": content_type})
    answer.is_error(415, "UnsupportedMediaType", accepted=["application/json"])
    admin.put(NTP, content=chunked(b"[]"), headers={"Content-Type": content_type, "Transfer-Encoding": "chunked"}).is_error(
        415, "UnsupportedMediaType"
    )
    assert admin.status() == "closed"


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "APPLICATION/JSON; charset=utf-8", "application/vnd.example+json", "text/json+json", None],
)
def test_every_spelling_of_json_is_taken(admin: Caller, content_type: str | None) -> None:
    admin.put(NTP, content=b"[]", headers={"Content-Type": content_type} if content_type else {}).ok()


def test_empty_body_has_no_media_type(admin: Caller) -> None:
    admin.post(TRANSACTION, headers={"Content-Type": "text/plain"}).ok()


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "DELETE"])
def test_body_where_none_belongs_is_ignored(admin: Caller, method: str) -> None:
    admin.post(TRANSACTION).ok()
    admin.call(method, TRANSACTION, content=b"not JSON", headers={"Content-Type": "text/plain"}).ok()
    admin.get(NTP).ok()
    assert admin.connections == 1


def test_only_100_continue_can_be_expected(admin: Caller) -> None:
    answer = admin.put(NTP, content=b"", headers={"Expect": "200-ok"}).is_error(417, "ExpectationFailed")
    assert answer.error["details"] == {}
    admin.get(NTP, headers={"Expect": "100-Continue"}).ok()


def test_checks_come_in_order(admin: Caller, anybody: Caller) -> None:
    """Each request has the fault of its line and those of all lines below; section 9.1."""
    browser = {"User-Agent": "Mozilla/5.0"}
    wrong_type = {"Content-Type": "text/plain"}
    no_match = {"If-Match": '"x"'}
    token = {"X-Token": admin.body("/api/user/info")["token"]}
    faults = b"{"
    rest = {**browser, **wrong_type, **no_match}
    assert anybody.put("/api/nothing?x=1", content=b" " * (MIB + 1), headers={**rest, "Expect": "x"}).status == 413
    assert anybody.put("/api/nothing?x=1", content=faults, headers={**rest, "Expect": "x"}).status == 417
    assert anybody.put("/api/nothing?x=1", content=faults, headers=rest).status == 401
    assert admin.put("/api/nothing?x=1", content=faults, headers=rest).status == 404
    assert admin.put("/api/configuration?x=1", content=faults, headers=rest).status == 405
    assert admin.put(f"{NTP}?x=1", content=faults, headers=rest).status == 403
    assert admin.put(f"{NTP}?x=1", content=faults, headers={**rest, **token}).status == 415
    assert admin.put(f"{NTP}?x=1", content=faults, headers=no_match).error["type"] == "InvalidQuery"
    assert admin.put(NTP, content=faults, headers=no_match).status == 412
    assert admin.put(NTP, content=faults).error["type"] == "InvalidRequestBody"
    not_yet = "/api/configuration/aaa/saml2"
    assert admin.put(not_yet, content=faults).error["type"] == "InvalidRequestBody"
    assert admin.put(not_yet, {}).error["type"] == "SemanticError"


def test_server_that_starts_says_so(tmp_path: Path) -> None:
    """chronyd is held up until the answers were seen."""
    chronyd = shutil.which("chronyd", path="/usr/sbin:/usr/local/sbin:/sbin")
    assert chronyd, "chronyd is not installed"
    tools = tmp_path / "tools"
    tools.mkdir()
    slow = tools / "chronyd"
    slow.write_text(f'#!/bin/sh\nuntil [ -e {tmp_path}/go ]; do sleep 0.02; done\nexec {chronyd} "$@"\n')
    slow.chmod(0o755)
    port = free_port()
    path = f"{tools}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    server = Server(tmp_path / "state", environment={"PATH": path}, options=("--listen", f"127.0.0.1:{port}"))
    server.start(wait=False)
    server.url = f"https://127.0.0.1:{port}"
    caller = Caller(server)

    def connected() -> bool:
        try:
            caller.connect()
        except OSError:
            return False
        return True

    try:
        until(connected)
        answer = caller.get("/api").is_error(503, "ServiceUnavailable")
        assert answer.error["details"] == {"retry_after": int(answer.header("Retry-After"))}
        assert not answer.all("Allow")
        assert caller.get("/api/setup").ok().json["status"] == "booting"
        assert caller.login().status == 503
        (tmp_path / "go").touch()
        until(lambda: caller.get("/api/setup").ok().json["status"] == "completed")
        caller.login().ok()
    finally:
        (tmp_path / "go").touch()
        caller.close()
        server.stop()


def test_serving_closes_what_it_opened(tmp_path: Path) -> None:
    """SIGTERM while a client keeps its connection: the server ends soon, and cleanly."""
    with running(tmp_path / "state") as server:
        caller = Caller(server)
        caller.login().ok()
        assert server.stop() == 0
        caller.close()
