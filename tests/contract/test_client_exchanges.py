"""The requests of real clients, replayed as they send them; every one of the file is either served or listed as later."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.contract.exchanges import BEFORE, EXCHANGES, LATER, check_field, listen_key, nothing
from tests.contract.wire import TRANSACTION, Caller, Reply, basic, chunked
from tests.support.server import PASSWORD


def name_of(exchange: dict[str, Any]) -> tuple[str, str]:
    return exchange["client"], exchange["call"]


def ids(exchanges: list[dict[str, Any]]) -> list[str]:
    return [f"{exchange['client'].split()[0]}: {exchange['call']}" for exchange in exchanges]


SERVED = [exchange for exchange in EXCHANGES if name_of(exchange) not in LATER]
REFUSED = [exchange for exchange in EXCHANGES if name_of(exchange) in LATER]
ERRORS = {"4xx", "4xx (code not known)", "unknown"}


def filled(text: str, caller: Caller) -> str:
    """A text of the file with values for its place holders."""
    values = {
        "{base64(user:password)}": basic("admin", PASSWORD).partition(" ")[2],
        "{wrong}": basic("admin", "not the password").partition(" ")[2],
        "{session_id}": caller.cookie,
        "{name}": "local",
        "{unknown}": "nonexistent/endpoint",
        "{key}": "7a3f0e52-4f0f-4c7e-9a55-5d6f9d2b8f10",
        "{id}": "some-recording",
    }
    for place, value in values.items():
        text = text.replace(place, value)
    return text


def body_of(exchange: dict[str, Any], caller: Caller) -> bytes | None:
    """The bytes that the client sends."""
    body = exchange["body"]
    if exchange["call"] == "Invoke-SafeguardSpsMethod PUT (changed body of the GET)":
        body = {**caller.body(exchange["path"]), "admin_address": "ops@example.com"}
    if exchange["path"] == "/api/configuration/local_services/cluster" and body:
        body = {**body, "listen_address": listen_key(caller)}
    if body is None:
        return b"" if exchange["method"] in {"POST", "PUT"} else None
    return filled(body, caller).encode() if isinstance(body, str) else json.dumps(body, indent=2).encode()


def replay(exchange: dict[str, Any], caller: Caller) -> Reply:
    headers = {name: filled(text, caller) for name, text in exchange["headers"].items()}
    content = body_of(exchange, caller)
    if "Cookie" not in headers:
        caller.cookie = ""
    return caller.call(exchange["method"], filled(exchange["path"], caller), content=content, headers=headers)


@pytest.mark.parametrize("exchange", SERVED, ids=ids(SERVED))
def test_exchange_is_served(admin: Caller, exchange: dict[str, Any]) -> None:
    BEFORE.get(name_of(exchange), nothing)(admin)
    reply = replay(exchange, admin)
    expected = exchange["expects"]["status"]
    assert (
        reply.status == expected
        or (expected == "2xx" and 200 <= reply.status < 300)
        or (expected in ERRORS and 400 <= reply.status < 500)
    ), reply.body
    for field in exchange["expects"]["fields"]:
        check_field(reply, field["path"], field["rule"])


@pytest.mark.parametrize("exchange", REFUSED, ids=ids(REFUSED))
def test_exchange_of_a_later_release_has_a_plain_answer(admin: Caller, exchange: dict[str, Any]) -> None:
    BEFORE.get(name_of(exchange), nothing)(admin)
    later = LATER[name_of(exchange)]
    reply = replay(exchange, admin)
    assert reply.status == later.status, reply.body
    assert reply.json.get("error", {}).get("type") == later.error


def test_every_exchange_of_the_file_is_in_exactly_one_group() -> None:
    names = [name_of(exchange) for exchange in EXCHANGES]
    assert len(names) == 57
    assert len(set(names)) == len(names)
    assert LATER.keys() <= set(names), "a later exchange is not in the file"
    assert BEFORE.keys() <= set(names)
    assert len(SERVED) + len(REFUSED) == len(names)
    assert all(later.reason for later in LATER.values())


def test_a_client_that_sends_the_old_agent_gets_through_with_its_token(admin: Caller) -> None:
    (old,) = [exchange for exchange in EXCHANGES if "negative" in exchange["call"]]
    BEFORE[name_of(old)](admin)
    assert replay(old, admin).status == 403
    token = admin.body("/api/user/info")["token"]
    assert replay({**old, "headers": {**old["headers"], "X-Token": token}}, admin).status == 200


def test_a_body_in_chunks_is_the_same_body(admin: Caller) -> None:
    content = b'{"status":"commit"}'
    admin.post(TRANSACTION).ok()
    reply = admin.put(TRANSACTION, content=chunked(content, 7), headers={"Transfer-Encoding": "chunked"})
    assert reply.ok().json["body"]["status"] == "closed"
