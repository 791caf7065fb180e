"""``GET /``: a page for people; nothing else is HTML, and nobody is asked to log in there (amendment 12)."""

from __future__ import annotations

import base64
import hashlib
import re
import socket
import ssl

import pytest

from tests.contract.walk import everything
from tests.contract.wire import Caller
from tests.support.server import Server


def fetched(server: Server, method: str, target: str, *fields: str) -> tuple[int, dict[str, str], bytes]:
    """Status, header fields and body of an answer; its bytes are not looked at by anybody else."""
    context = ssl.create_default_context(cafile=str(server.certificate))
    plain = socket.create_connection(("127.0.0.1", server.port), 30)
    with context.wrap_socket(plain, server_hostname="127.0.0.1") as connection:
        lines = (f"{method} {target} HTTP/1.1", "Host: x", "Connection: close", *fields)
        connection.sendall("".join(f"{line}\r\n" for line in (*lines, "")).encode())
        data = b""
        while piece := connection.recv(1 << 16):
            data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    first, *rest = head.decode("latin-1").split("\r\n")
    return int(first.split()[1]), dict(line.split(": ", 1) for line in rest), body


@pytest.mark.parametrize("target", ["/", "//", "/?x=1"])
@pytest.mark.parametrize("cookie", [(), ("Cookie: session_id=" + "0" * 40,)], ids=["no cookie", "a dead cookie"])
def test_the_page(server: Server, target: str, cookie: tuple[str, ...]) -> None:
    status, fields, body = fetched(server, "GET", target, *cookie)
    assert (status, fields["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert int(fields["Content-Length"]) == len(body)
    assert not {"Set-Cookie", "WWW-Authenticate"} & fields.keys()
    assert fields["X-Content-Type-Options"] == "nosniff"
    text = body.decode()
    assert all(word in text for word in ("Doorward", "/api/authentication", "/api/openapi.json", "guide.md"))
    assert "<script" not in text
    assert not re.search(r"\son[a-z]+=|javascript:|https?://", text), "no script, and nothing is loaded from anywhere"


def test_its_policy_allows_its_style_alone(server: Server) -> None:
    _, fields, body = fetched(server, "GET", "/")
    policy = dict(part.strip().partition(" ")[::2] for part in fields["Content-Security-Policy"].split(";"))
    style = re.search(rb"<style>(.*)</style>", body, re.DOTALL)
    assert style
    digest = base64.b64encode(hashlib.sha256(style[1]).digest()).decode()
    assert policy == {
        "default-src": "'none'",
        "style-src": f"'sha256-{digest}'",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }


def test_head_is_the_page_without_its_body(server: Server) -> None:
    _, page, _ = fetched(server, "GET", "/")
    status, fields, body = fetched(server, "HEAD", "/")
    changing = {"Date", "X-Request-Id"}
    assert (status, body) == (200, b"")
    assert {name: value for name, value in fields.items() if name not in changing} == {
        name: value for name, value in page.items() if name not in changing
    }


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_no_method_is_a_reason_to_log_in(anybody: Caller, method: str) -> None:
    answer = anybody.call(method, "/", content=b"")
    assert answer.status == (200 if method == "OPTIONS" else 405)
    assert answer.header("Allow") == "GET, HEAD, OPTIONS"


def test_nothing_below_the_api_is_html(admin: Caller, anybody: Caller) -> None:
    for path in [*everything(admin), "/api/nothing", "/api/%", "/nothing", "/index.html"]:
        for caller in (admin, anybody):
            answer = caller.get(path, headers={"Accept": "text/html"})
            assert "html" not in answer.header("Content-Type"), path
