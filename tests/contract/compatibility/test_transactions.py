"""What real clients need of transactions: numbers 32 to 44 of the list."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.contract.wire import NTP, TRANSACTION, WEB, Caller

JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("content", "headers"),
    [(b"", JSON), (b"", {}), (b"{}", JSON), (b"{}", {})],
    ids=["empty, labelled", "empty", "object", "object, not labelled"],
)
def test_32_transaction_opens_with_any_of_the_usual_bodies(admin: Caller, content: bytes, headers: dict[str, str]) -> None:
    answer = admin.post(TRANSACTION, content=content, headers=headers).ok()
    assert answer.json["body"] == {"commit_message": "optional", "status": "open"}


def test_33_without_length_and_chunks_is_411_and_the_connection_goes_on(admin: Caller) -> None:
    request = f"POST {TRANSACTION} HTTP/1.1\r\nHost: localhost\r\nCookie: session_id={admin.cookie}\r\n\r\n"
    admin.send(request.encode(), "POST").is_error(411, "LengthRequired")
    assert admin.status() == "closed"
    assert admin.connections == 1


def test_34_opening_twice_loses_nothing(admin: Caller) -> None:
    admin.put(NTP, []).ok()
    assert admin.post(TRANSACTION).ok().json["body"]["status"] == "open"
    assert admin.body(NTP) == []


def test_35_status_closed(admin: Caller) -> None:
    answer = admin.get(TRANSACTION).ok()
    assert answer.json == {
        "body": {"commit_message": "optional", "status": "closed"},
        "key": "transaction",
        "meta": {"href": TRANSACTION, "parent": "/api", "remaining_seconds": 600},
        "transaction": {"status": "closed"},
    }


def test_36_status_open_links_to_changes_only_if_there_are_any(admin: Caller) -> None:
    admin.put(NTP, [{"selection": "fqdn", "value": "pool.ntp.org"}]).ok()
    unchanged = admin.get(TRANSACTION).ok()
    assert unchanged.json["body"]["status"] == unchanged.json["transaction"]["status"] == "open"
    assert "changes" not in unchanged.meta
    admin.put(NTP, []).ok()
    changed = admin.get(TRANSACTION).ok()
    assert changed.meta["changes"] == "/api/transaction/changes"
    assert changed.json["body"]["status"] == changed.json["transaction"]["status"] == "open"


def test_37_changes_have_type_and_path(admin: Caller) -> None:
    admin.put(NTP, []).ok()
    admin.put(WEB, {"timeout": 20}).ok()
    assert [(change["type"], change["path"]) for change in admin.changes()] == [
        ("replace", NTP),
        ("replace", f"{WEB}#timeout"),
    ]


def test_38_write_opens_the_transaction_by_itself(admin: Caller) -> None:
    assert admin.status() == "closed"
    admin.put(WEB, {"timeout": 20}).ok()
    assert admin.status() == "open"


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        (b'{"status":"commit"}', "application/json"),
        (b'{"status":"commit"}', "application/json; charset=utf-8"),
        (b'{\r\n    "status":  "commit"\r\n}\r\n', "application/json"),
        (b'{"status":"commit","message":"why"}', "application/json"),
    ],
    ids=["plain", "charset", "pretty-printed", "with a message"],
)
def test_39_commit_as_clients_send_it(admin: Caller, content: bytes, content_type: str) -> None:
    admin.put(WEB, {"timeout": 21 - admin.body(WEB)["timeout"]}).ok()
    answer = admin.put(TRANSACTION, content=content, headers={"Content-Type": content_type}).ok()
    assert answer.json["body"]["status"] == "closed"
    known = [(w["code"], w["path"], w["pointer"]) for w in answer.meta.get("warnings", [])]
    assert known == ([("unknown_member", TRANSACTION, "/message")] if b"message" in content else [])


def test_40_committed_setting_is_in_effect(admin: Caller, login: Callable[..., Caller]) -> None:
    minutes = admin.body(WEB)["timeout"] + 1
    admin.put(WEB, {"timeout": minutes}).ok()
    admin.commit().ok()
    assert admin.status() == "closed"
    assert login().get(NTP).meta["remaining_seconds"] == minutes * 60


def test_40_commit_without_changes_is_200_and_no_revision(admin: Caller) -> None:
    before = admin.get("/api/revisions").json["items"][0]["key"]
    admin.post(TRANSACTION).ok()
    answer = admin.commit().ok()
    assert answer.json["body"]["status"] == "closed"
    assert answer.meta["revision"] == int(before)
    assert admin.get("/api/revisions").json["items"][0]["key"] == before


def test_41_discard_is_200_and_the_change_is_gone(admin: Caller) -> None:
    before = admin.body(NTP)
    admin.put(NTP, []).ok()
    assert admin.delete(TRANSACTION).status == 200
    assert admin.body(NTP) == before
    assert admin.status() == "closed"


@pytest.mark.parametrize("headers", [JSON, {}], ids=["labelled", "not labelled"])
def test_42_put_without_body_commits_nothing(admin: Caller, headers: dict[str, str]) -> None:
    admin.put(NTP, []).ok()
    admin.put(TRANSACTION, headers=headers).refuses("InvalidRequestBody", ("invalid_json", ""))
    assert admin.status() == "open"


def test_43_commit_answers_within_30_seconds_success_or_not(admin: Caller) -> None:
    began = time.monotonic()
    admin.put(NTP, [{"selection": "fqdn", "value": "nowhere.invalid"}, {"selection": "ip", "value": "127.0.0.99"}]).ok()
    admin.commit().ok()
    admin.commit().is_error(409, "Conflict")
    assert time.monotonic() - began < 30
