"""What real clients need of connections and addresses: numbers 1 to 12 of the list."""

from __future__ import annotations

import json
import ssl
from urllib.parse import quote

import pytest

from tests.contract.wire import LOGIN, NTP, TRANSACTION, Caller, basic
from tests.support.server import PASSWORD, Server

EMAIL = "/api/configuration/management/email"


def test_1_client_that_offers_only_tls_1_2_connects(server: Server) -> None:
    caller = Caller(server, tls=ssl.TLSVersion.TLSv1_2)
    assert caller.connect().version() == "TLSv1.2"
    caller.login().ok()
    caller.close()


def test_2_connection_survives_a_401(anybody: Caller) -> None:
    anybody.get(LOGIN).is_error(401, "Unauthenticated")
    anybody.login().ok()
    assert anybody.connections == 1


def test_3_login_session_is_bound_to_no_connection(admin: Caller) -> None:
    admin.put(NTP, []).ok()
    for _ in range(3):
        admin.close()
        assert admin.body(NTP) == []
    assert admin.connections == 4


def test_4_two_slashes_after_api_are_none(admin: Caller) -> None:
    answer = admin.get("/api//").ok()
    assert answer.body == admin.get("/api").body
    assert all(isinstance(item["key"], str) and isinstance(item["meta"], dict) for item in answer.json["items"])


def test_5_two_slashes_inside_a_path_are_one(admin: Caller) -> None:
    answer = admin.get("/api//configuration/management/email").ok()
    assert answer.body == admin.get(EMAIL).body
    assert answer.meta["href"] == EMAIL


@pytest.mark.parametrize("path", ["/api", "/api/info", "/api/configuration", NTP, TRANSACTION, LOGIN, "/api/revisions/1/changes"])
def test_6_trailing_slash_changes_nothing(admin: Caller, path: str) -> None:
    assert admin.get(path + "/").ok().body == admin.get(path).body
    assert admin.get(path + "///").ok().body == admin.get(path).body


def test_6_trailing_slash_changes_nothing_for_writes(admin: Caller) -> None:
    assert admin.post("/api/transaction/").ok().json["body"]["status"] == "open"
    assert admin.put(NTP + "/", []).ok().meta["href"] == NTP


def test_7_query_may_hold_stars_and_colons(admin: Caller) -> None:
    admin.get("/api/info?fields=*&start=2026-11-21T10:00:00.0000000+01:00&q=a:*").ok()


def test_7_escapes_are_decoded_once(admin: Caller) -> None:
    admin.get("/api/a%253Ab").is_error(404, "NotFound", resource="a%3Ab")
    (problem,) = admin.get(NTP + "?a%253Ab=1").is_error(400, "InvalidQuery").error["details"]["errors"]
    assert problem["parameter"] == "a%3Ab"


def test_8_content_type_without_body_is_harmless(admin: Caller) -> None:
    json_type = {"Content-Type": "application/json"}
    admin.get(NTP, headers=json_type).ok()
    admin.post(TRANSACTION, headers=json_type).ok()
    admin.delete(TRANSACTION, headers=json_type).ok()
    admin.get(NTP, headers={"Content-Type": "text/plain", "Content-Length": "0"}).ok()


@pytest.mark.parametrize("accept", ["*/*", "application/json", "application/octet-stream", "text/html", None])
def test_9_accept_is_not_looked_at(admin: Caller, accept: str | None) -> None:
    answer = admin.get(NTP, headers={"Accept": accept} if accept else {})
    assert answer.ok().header("Content-Type") == "application/json"


def test_10_large_body_after_100_continue(admin: Caller) -> None:
    content = json.dumps([{"comment": "x" * 900_000, "selection": "ip", "value": "127.0.0.2"}]).encode()
    head = (
        f"PUT {NTP} HTTP/1.1\r\nHost: localhost\r\nCookie: session_id={admin.cookie}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(content)}\r\nExpect: 100-continue\r\n\r\n"
    )
    connection = admin.connect()
    connection.sendall(head.encode())
    interim = b""
    while not interim.endswith(b"\r\n\r\n"):
        interim += connection.recv(1)
    assert interim.startswith(b"HTTP/1.1 100 ")
    answer = admin.send(content, "PUT").ok()
    assert answer.json["body"] == [{"selection": "ip", "value": "127.0.0.2"}]
    assert [warning["pointer"] for warning in answer.meta["warnings"]] == ["/0/comment"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Connection": "keep-alive"},
        {"Cache-Control": "no-cache, no-store, must-revalidate"},
        {"Accept-Encoding": "gzip, x-gzip, deflate"},
    ],
    ids=lambda headers: next(iter(headers)),
)
def test_11_usual_headers_change_nothing(admin: Caller, headers: dict[str, str]) -> None:
    plain = admin.get(NTP).ok()
    assert admin.get(NTP, headers=headers).ok().body == plain.body
    assert admin.connections == 1


def test_12_every_answer_is_one_json_object(server: Server, admin: Caller) -> None:
    """The client of these tests looks at every answer; here are the ones that servers tend to answer in HTML."""
    accept_html = {"Accept": "text/html"}
    admin.get("/api", headers=accept_html).ok()
    admin.get("/nothing/<b>here</b>", headers=accept_html).is_error(404, "NotFound")
    admin.call("PATCH", "/api", headers=accept_html).is_error(405, "MethodNotAllowed")
    admin.put(NTP, content=b"<html>", headers=accept_html).is_error(400, "InvalidRequestBody")
    admin.get(f"/api/{quote('ä')}/..", headers=accept_html).is_error(404, "NotFound", resource="ä")
    stranger = Caller(server)
    stranger.get("/index.html", headers=accept_html).is_error(401, "Unauthenticated")
    wrong = {"Authorization": basic("admin", PASSWORD + "?"), **accept_html}
    stranger.get(LOGIN, headers=wrong).is_error(401, "AuthenticationFailure")
    stranger.send(b"not HTTP\r\n\r\n").is_error(400, "BadRequest")
    stranger.close()
