"""``GET /`` leads people to the console; nothing beside both is HTML, and nobody is asked to log in there (amendment 12)."""

from __future__ import annotations

import gzip
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
def test_it_leads_to_the_console(server: Server, target: str, cookie: tuple[str, ...]) -> None:
    status, fields, body = fetched(server, "GET", target, *cookie)
    assert (status, fields["Location"], fields["Content-Type"]) == (303, "/console/", "text/html; charset=utf-8")
    assert int(fields["Content-Length"]) == len(body)
    assert not {"Set-Cookie", "WWW-Authenticate"} & fields.keys()
    assert fields["X-Content-Type-Options"] == "nosniff"
    text = body.decode()
    assert all(word in text for word in ("Doorward", "/console/", "/api/authentication", "/api/openapi.json", "guide.md"))
    assert "<script" not in text
    assert not re.search(r"\son[a-z]+=|javascript:|https?://", text), "no script, and nothing is loaded from anywhere"


POLICY = {
    "default-src": "'none'", "script-src": "'self'", "style-src": "'self'", "img-src": "'self' data:", "font-src": "'self'",
    "connect-src": "'self'", "worker-src": "'self'", "base-uri": "'none'", "form-action": "'none'", "frame-ancestors": "'none'",
    "require-trusted-types-for": "'script'",
}  # fmt: skip


def policy_of(fields: dict[str, str]) -> dict[str, str]:
    return dict(part.strip().partition(" ")[::2] for part in fields["Content-Security-Policy"].split(";"))


@pytest.mark.parametrize("target", ["/console", "/console/", "/console/settings/datetime/ntp_servers", "/console/sessions?q=x"])
def test_every_page_of_the_console_is_the_same_file(server: Server, target: str) -> None:
    status, fields, body = fetched(server, "GET", target)
    assert (status, fields["Content-Type"], fields["Cache-Control"]) == (200, "text/html; charset=utf-8", "no-cache")
    assert policy_of(fields) == POLICY
    assert (fields["Cross-Origin-Opener-Policy"], fields["Cross-Origin-Resource-Policy"]) == ("same-origin", "same-origin")
    assert fields["Referrer-Policy"] == "no-referrer"
    assert not {"Set-Cookie", "WWW-Authenticate", "Strict-Transport-Security"} & fields.keys()
    assert not re.search(rb"<style|<script>|\sstyle=|\son[a-z]+=", body), "nothing inline"
    assert fetched(server, "GET", target, f"If-None-Match: {fields['ETag']}")[0] == 304


def test_the_replay_page_may_run_web_assembly_and_no_more(server: Server) -> None:
    _, fields, _ = fetched(server, "GET", "/console/replay.html")
    expected = {**POLICY, "script-src": "'self' 'wasm-unsafe-eval'"}
    del expected["require-trusted-types-for"]
    assert policy_of(fields) == expected


def test_assets_never_change_and_come_packed(server: Server) -> None:
    _, _, page = fetched(server, "GET", "/console/")
    [script] = re.findall(r'<script type="module"[^>]* src="(/console/assets/[^"]+\.js)"', page.decode())
    status, plain, whole = fetched(server, "GET", script)
    assert (status, plain["Cache-Control"]) == (200, "public, max-age=31536000, immutable")
    assert "Content-Encoding" not in plain
    _, packed, body = fetched(server, "GET", script, "Accept-Encoding: gzip, br")
    assert (packed["Content-Encoding"], packed["Vary"]) == ("gzip", "Accept-Encoding")
    assert gzip.decompress(body) == whole
    status, fields, body = fetched(server, "HEAD", script)
    assert (status, body, int(fields["Content-Length"])) == (200, b"", len(whole))


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_the_console_is_only_read(server: Server, method: str) -> None:
    status, fields, body = fetched(server, method, "/console/", "Content-Length: 0")
    assert (status, fields["Allow"], body) == (405, "GET, HEAD", b"")


def test_the_first_visit_loads_little(server: Server) -> None:
    _, _, page = fetched(server, "GET", "/console/", "Accept-Encoding: gzip")
    _, _, plain = fetched(server, "GET", "/console/")
    found = re.findall(r'(?:src|href)="(/console/assets/[^"]+)"', plain.decode())
    sizes = [len(fetched(server, "GET", target, "Accept-Encoding: gzip")[2]) for target in found]
    assert len(found) >= 4
    assert len(page) + sum(sizes) < 350_000


def test_there_are_no_other_files(admin: Caller, anybody: Caller) -> None:
    for path in [
        "/console/assets/nothing.js",
        "/console/assets/../index.html",
        "/console/assets/__init__.py",
        "/console/assets/",
    ]:
        assert admin.get(path).status == 404
        assert anybody.get(path).status == 401


def test_head_is_the_page_without_its_body(server: Server) -> None:
    _, page, _ = fetched(server, "GET", "/")
    status, fields, body = fetched(server, "HEAD", "/")
    changing = {"Date", "X-Request-Id"}
    assert (status, body) == (303, b"")
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
