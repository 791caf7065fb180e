"""Search and downloads of recorded sessions, as far as public clients of the model need them (compatibility, section H)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations
from urllib.parse import quote

import pytest

from doorward.sessions.catalogue.sqlite import SqliteCatalogue
from tests.contract.wire import Caller, logged_in
from tests.support.recorded import key_of, put_trail, row, shell, tell, trail
from tests.support.server import Server

SESSIONS = "/api/audit/sessions"
FILTERS = {"start": "2026-11-29T10:00:00.0000000+00:00", "end": "2026-11-30T10:00:00.1234567+01:00", "q": "protocol:SSH"}


@pytest.fixture(scope="module")
def caller(server: Server) -> Iterator[Caller]:
    catalogue = SqliteCatalogue(server.state / "sessions.db")
    tell(
        catalogue,
        *(row(number, trail=put_trail(server.state / "trails", key_of(number), trail(shell(2)))) for number in range(1, 6)),
    )
    catalogue.close()
    made = logged_in(server)
    yield made
    made.close()


def test_71_sessions_are_listed_by_keys_for_urls(caller: Caller) -> None:
    items = caller.get(f"{SESSIONS}?fields=*").ok().json["items"]
    assert [item["key"] for item in items] == [key_of(number) for number in range(1, 6)]
    assert all(quote(item["key"], safe="") == item["key"] for item in items)
    assert items[0]["body"]["recording"]["target"]["port"] == 2222
    assert caller.get(f"{SESSIONS}?q=verdict:FAIL").ok().json["items"] == []


@pytest.mark.parametrize("order", list(permutations(["fields=*", "sort=-start_time", "limit=2", "offset=1"]))[::5])
def test_72_parameters_come_in_any_order(caller: Caller, order: tuple[str, ...]) -> None:
    name = caller.body(f"{SESSIONS}/_snapshot")["snapshot"]
    filters = [f"{key}={quote(value)}" for key, value in FILTERS.items()]
    items = caller.get(f"{SESSIONS}?{'&'.join([*order, *filters, f'snapshot={name}'])}").ok().json["items"]
    assert [item["key"] for item in items] == [key_of(4), key_of(3)]
    lines = caller.get(f"{SESSIONS}?{'&'.join([*filters, 'format=csv', *order])}").ok().body.splitlines()
    assert len(lines) == 3


@pytest.mark.parametrize("with_snapshot", [False, True])
def test_73_next_leads_on_by_itself(caller: Caller, with_snapshot: bool) -> None:
    filters = "&".join(f"{key}={quote(value)}" for key, value in FILTERS.items())
    snapshot = f"&snapshot={caller.body(f'{SESSIONS}/_snapshot')['snapshot']}" if with_snapshot else ""
    path: str | None = f"{SESSIONS}?fields=*&sort=-start_time&limit=2&{filters}{snapshot}"
    found = []
    while path:
        reply = caller.get(path).ok()
        found += [item["key"] for item in reply.json["items"] if item["body"]]
        path = reply.meta["next"]
        if with_snapshot:
            assert {reply.meta[name] for name in ("first", "last", "previous", "search_after")} == {None}
    assert found == [key_of(number) for number in (5, 4, 3, 2, 1)]


def test_74_snapshots_can_be_too_many_and_gone(caller: Caller) -> None:
    while (reply := caller.get(f"{SESSIONS}/_snapshot")).status == 200:
        assert isinstance(reply.json["body"]["snapshot"], str)
        caller.get(f"{SESSIONS}?fields=*&snapshot={reply.json['body']['snapshot']}").ok()
    reply.is_error(429, "TooManyRequests")
    caller.get(f"{SESSIONS}?fields=*&snapshot=gone").is_error(404, "NotFound")


def test_75_the_count_is_a_number(caller: Caller) -> None:
    filters = "&".join(f"{key}={quote(value)}" for key, value in FILTERS.items())
    assert caller.get(f"{SESSIONS}/_count?fields=*&sort=-start_time&{filters}").ok().json["count"] == 5


def test_76_lists_hold_text_and_only_one_member_is_null(caller: Caller) -> None:
    def leaves(value: object, name: str = "") -> list[tuple[str, object]]:
        if isinstance(value, dict):
            return [leaf for key, member in value.items() for leaf in leaves(member, key)]
        if isinstance(value, list):
            return [(f"{name}[]", element) for element in value]
        return [(name, value)]

    for item in caller.get(f"{SESSIONS}?fields=*").ok().json["items"]:
        found = leaves(item["body"])
        assert [name for name, value in found if value is None] == ["trail_download_link"]
        assert all(isinstance(value, str) for name, value in found if name.endswith("[]"))


def test_77_a_trail_is_bytes_with_a_length(caller: Caller) -> None:
    reply = caller.get(f"{SESSIONS}/{key_of(1)}/audit_trail", headers={"Accept": "application/octet-stream"}).ok()
    assert reply.status == 200
    assert int(reply.header("Content-Length")) == len(reply.body) > 0


def test_78_content_needs_no_slash(caller: Caller) -> None:
    assert len(caller.get(f"{SESSIONS}/{key_of(1)}/content?q=ls").ok().json["items"]) == 2
