"""What could be understood in two ways as to where it begins and ends is refused, and the connection ends (amendment 11)."""

from __future__ import annotations

import pytest

from tests.contract.wire import NTP, TRANSACTION, Caller, chunked

HOST = b"Host: localhost\r\n"
GET = b"GET /api/setup HTTP/1.1\r\n" + HOST
POST = b"POST /api/transaction HTTP/1.1\r\n" + HOST
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"

REFUSED = {
    "no host": b"GET /api/setup HTTP/1.1\r\n\r\n",
    "no host for a whole URL": b"GET https://localhost/api/setup HTTP/1.1\r\n\r\n",
    "no host for what could be answered at once": f"GET {NTP} HTTP/1.1\r\nCookie: session_id={'0' * 40}\r\n\r\n".encode(),
    "two hosts": GET + b"Host: other\r\n\r\n",
    "two hosts that are the same": GET + HOST + b"\r\n",
    "two hosts with HTTP/1.0": b"GET /api/setup HTTP/1.0\r\n" + HOST + HOST + b"\r\n",
    "host with a path": b"GET /api/setup HTTP/1.1\r\nHost: localhost/x\r\n\r\n",
    "host with a user": b"GET /api/setup HTTP/1.1\r\nHost: u@localhost\r\n\r\n",
    "list of hosts": b"GET /api/setup HTTP/1.1\r\nHost: a b\r\n\r\n",
    "host with a port that is none": b"GET /api/setup HTTP/1.1\r\nHost: a:x\r\n\r\n",
    "gzip before chunked": POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "gzip after chunked": POST + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "chunked twice": POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "chunked in two fields": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "codings in two fields": POST + b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "identity": POST + b"Transfer-Encoding: identity\r\n\r\n",
    "identity and length": POST + b"Transfer-Encoding: identity\r\nContent-Length: 2\r\n\r\n{}",
    "unknown coding": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "quoted coding": POST + b'Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n',
    "coding with parameter": POST + b"Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n",
    "empty coding": POST + b"Transfer-Encoding: \r\n\r\n",
    "vertical tab before the coding": POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "chunks with HTTP/1.0": b"POST /api/transaction HTTP/1.0\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "length, then chunks": POST + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks, then length": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n",
    "two lengths that are the same": POST + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
    "list of lengths": POST + b"Content-Length: 2, 2\r\n\r\n{}",
    "length with a sign": POST + b"Content-Length: +2\r\n\r\n{}",
    "length in hexadecimal": POST + b"Content-Length: 0x2\r\n\r\n{}",
    "empty length": POST + b"Content-Length: \r\n\r\n",
    "blank before the colon": POST + b"Content-Length : 2\r\n\r\n{}",
    "folded field": GET + b"X: a\r\n b\r\n\r\n",
    "folded coding": POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "folded first line": b"GET /api/setup HTTP/1.1\r\n Host: localhost\r\n\r\n",
    "line feeds alone": b"GET /api/setup HTTP/1.1\nHost: localhost\n\n",
    "one line feed alone": GET + b"X: a\nY: b\r\n\r\n",
    "line feed at the end": GET + b"\n",
    "carriage return in a value": GET + b"X: a\rb\r\n\r\n",
    "NUL in a value": GET + b"X: a\0b\r\n\r\n",
    "blank in a name": GET + b"A b: c\r\n\r\n",
    "no name": GET + b": c\r\n\r\n",
    "chunk extension with a line feed": CHUNKED + b"2;a\n{}\r\n0\r\n\r\n",
    "chunk extension with a carriage return": CHUNKED + b"2;a\rb\r\n{}\r\n0\r\n\r\n",
    "chunk size with a line feed": CHUNKED + b"2\n{}\r\n0\r\n\r\n",
    "chunk with a line feed": CHUNKED + b"2\r\n{}\n0\r\n\r\n",
    "chunk that is longer": CHUNKED + b"2\r\n{}xx0\r\n\r\n",
    "chunk size with 0x": CHUNKED + b"0x2\r\n{}\r\n0\r\n\r\n",
    "chunk size with a blank": CHUNKED + b"2 \r\n{}\r\n0\r\n\r\n",
    "negative chunk size": CHUNKED + b"-2\r\n{}\r\n0\r\n\r\n",
    "chunk size beyond 64 bits": CHUNKED + b"10000000000000002\r\n{}\r\n0\r\n\r\n",
    "fragment in the target": b"GET /api/setup#x HTTP/1.1\r\n" + HOST + b"\r\n",
    "target with a user": b"GET https://u@localhost/api/setup HTTP/1.1\r\n" + HOST + b"\r\n",
    "target of another scheme": b"GET ftp://localhost/api/setup HTTP/1.1\r\n" + HOST + b"\r\n",
    "target without slash": b"GET api/setup HTTP/1.1\r\n" + HOST + b"\r\n",
    "target that is a host": b"CONNECT localhost:443 HTTP/1.1\r\n" + HOST + b"\r\n",
}


@pytest.mark.parametrize("request_bytes", REFUSED.values(), ids=REFUSED)
def test_doubtful_framing_is_refused(anybody: Caller, admin: Caller, request_bytes: bytes) -> None:
    """With the login of an administrator, so that nothing else can be the reason where the head alone is wrong."""
    start, end, fields = request_bytes.partition(b"\r\n")
    if b"Cookie" not in request_bytes and not fields.startswith(b" "):
        fields = f"Cookie: session_id={admin.cookie}\r\n".encode() + fields
    follower = b"GET /api/setup HTTP/1.1\r\n" + HOST + b"\r\n"
    if b"\n" in start:
        end = b""
    answer = anybody.send(start + end + (fields if end else b"") + follower).is_error(400, "BadRequest")
    assert answer.header("Connection") == "close"
    assert anybody._socket is None, "the connection ends, and what came behind is not looked at"
    assert admin.status() == "closed"


def test_http_1_0_needs_no_host(anybody: Caller) -> None:
    assert anybody.send(b"GET /api/setup HTTP/1.0\r\n\r\n").ok().json["status"] == "completed"


@pytest.mark.parametrize("host", ["", "x", "EXAMPLE.com:8443", "[::1]:8443", "[fe80::1%25eth0]", "a_b.example.", "127.0.0.1:"])
def test_hosts_that_are_some(anybody: Caller, host: str) -> None:
    anybody.send(f"GET /api/setup HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()).ok()


@pytest.mark.parametrize("coding", ["chunked", "Chunked", " chunked"])
def test_chunked_alone_is_taken(admin: Caller, coding: str) -> None:
    admin.put(NTP, content=chunked(b"[]"), headers={"Transfer-Encoding": coding}).ok()


def test_extensions_and_trailers_of_chunks_are_ignored(admin: Caller) -> None:
    extended = b'1;a="b"\r\n[\r\n1;c\r\n]\r\n0\r\nX-Trailer: x\r\n\r\n'
    admin.put(NTP, content=extended, headers={"Transfer-Encoding": "chunked"}).ok()
    admin.delete(TRANSACTION).ok()


@pytest.mark.parametrize("target", ["https://other.example/api/setup?x=1", "HTTP://other.example:8443/api/setup"])
def test_a_whole_url_is_a_target(anybody: Caller, target: str) -> None:
    assert anybody.get(target).ok().meta["href"] == "/api/setup"


def test_a_whole_url_without_path_is_the_root(admin: Caller) -> None:
    assert admin.call("OPTIONS", "https://localhost").ok().meta["href"] == "/"
