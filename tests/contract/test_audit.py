"""``/api/audit/sessions``: shapes, paging, snapshots, trails, as the model's clients know them (sessions contract, 10)."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from http.client import IncompleteRead
from urllib.parse import quote

import pytest

from doorward.sessions.catalogue.rows import Facts, Peer, SessionEnd
from doorward.sessions.catalogue.sqlite import SqliteCatalogue
from tests.contract.wire import Caller, Reply, logged_in
from tests.support.recorded import ORACLE, key_of, put_trail, row, shell, tell, trail
from tests.support.server import QUICK, Server, running
from tests.unit.recording.trails import identity, output

SESSIONS = "/api/audit/sessions"
ONE = f"{SESSIONS}/{key_of(1)}"
EVIL = Facts(gateway_user='=cmd|"/c calc"!A1', server_user="+1", server=Peer("10.9.0.1", 22, "@evil"), auth_method="publickey")
CERTIFICATE, _key, PARSED, _parsed_key = identity("ec")
FINGERPRINT = PARSED.fingerprint(PARSED.signature_hash_algorithm).hex()  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """1: with a trail. 2: on another policy, runs. 3: with evil names. 4: its trail is encrypted. 5 to 9: like 1."""
    with running(tmp_path_factory.mktemp("audit") / "state", launcher=QUICK) as server:
        trails, catalogue = server.state / "trails", SqliteCatalogue(server.state / "sessions.db")
        tell(catalogue, row(1, trail=put_trail(trails, key_of(1), trail(shell()))), lines=("$ ls", "notes second 30"))
        tell(catalogue, row(2, policy="oracle", policy_key=ORACLE), end=None)
        tell(catalogue, row(3), facts=EVIL, end=SessionEnd(at=1000, verdict="TERMINATED", reason="-2+3"))
        secret = put_trail(trails, key_of(4), trail(shell(3), [CERTIFICATE]))
        tell(catalogue, row(4, trail=secret, recipients=(FINGERPRINT,)))
        tell(catalogue, *(row(number) for number in range(5, 10)))
        catalogue.close()
        yield server


@pytest.fixture(scope="module")
def caller(server: Server) -> Iterator[Caller]:
    made = logged_in(server)
    yield made
    made.close()


def keys(reply: Reply) -> list[int]:
    return [int(item["key"][1:]) for item in reply.ok().json["items"]]


def test_a_list_has_the_members_of_the_guide(caller: Caller) -> None:
    reply = caller.get(SESSIONS).ok()
    assert reply.json["items"][0] == {"key": key_of(1), "meta": {"href": ONE}}
    remaining = reply.meta.pop("remaining_seconds")
    assert remaining > 0
    assert reply.meta == {
        "fields": [],
        "first": f"{SESSIONS}?limit=500&offset=0&fields=",
        "href": SESSIONS,
        "last": f"{SESSIONS}?limit=500&offset=0&fields=",
        "limit": 500,
        "match_count": 9,
        "next": None,
        "offset": 0,
        "parent": "/api/audit",
        "previous": None,
    }


def test_a_session_has_the_members_of_the_guide(caller: Caller) -> None:
    def link(name: str) -> dict[str, str]:
        return {"href": f"{ONE}/{name}"}

    assert caller.body(ONE) == {
        "active": False,
        "alerts": link("alerts"),
        "analytics": {"interesting_events": [], "scripted": False, "scripted_results": {}, "similar_sessions": [], "tags": []},
        "channels": link("channels"),
        "client": {"ip": "192.0.2.7", "name": "192.0.2.7", "port": 50_001},
        "creation_time": "2026-11-29T10:00:01.000Z",
        "duration": 57,
        "end_time": "2026-11-29T10:00:58.000Z",
        "events": link("events"),
        "hidden": False,
        "indexing": link("indexing"),
        "node_id": "6fed7872-065e-41d2-9cfa-ba75e8cad901",
        "origin": "RECORDING",
        "phantom": False,
        "protocol": "SSH",
        "recording": {
            "archived": False,
            "audit_trail": {"download": link("audit_trail")},
            "auth_method": "password",
            "channel_policy": "shell-only",
            "command_extracted": True,
            "connection_policy": "linux",
            "connection_policy_id": "8235074425707e306abf39",
            "content_reference_id": 1,
            "has_accepted_channel": True,
            "index_status": "INDEXED",
            "server_local": {"ip": "10.1.2.1", "name": "10.1.2.1", "port": 40_000},
            "session_id": f"svc/{key_of(1)}/linux:1",
            "target": {"ip": "198.51.100.1", "name": "198.51.100.1", "port": 2222},
            "verdict": "ACCEPT",
            "window_title_extracted": False,
        },
        "server": {"id": "10.1.2.3", "ip": "10.1.2.3", "name": "db1.example.com", "port": 22},
        "start_time": "2026-11-29T10:00:01.000Z",
        "trail_download_link": None,
        "user": {"gateway_username": "jane", "id": "jane", "name": "jane", "server_username": ["root"]},
        "verdict": "ACCEPT",
    }


def test_what_is_not_known_is_left_out(caller: Caller) -> None:
    body = caller.body(f"{SESSIONS}/{key_of(2)}")
    assert body["active"] is True
    assert not {"duration", "end_time"} & body.keys()
    assert "audit_trail" not in body["recording"]


def test_lists_in_a_session_hold_text_alone(caller: Caller) -> None:
    def lists(value: object) -> Iterator[list[object]]:
        if isinstance(value, list):
            yield value
        for member in value.values() if isinstance(value, dict) else ():
            yield from lists(member)

    for item in caller.get(f"{SESSIONS}?fields=*").ok().json["items"]:
        assert all(isinstance(element, str) for found in lists(item["body"]) for element in found)
        assert [name for name, value in item["body"].items() if value is None] == ["trail_download_link"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("q=user.name:jane AND active:true", [2]),
        ("q=verdict:TERMINATED", [3]),
        ("q=notes", [1, 2, 3, 5, 6, 7, 8, 9]),
        ("content=second", [1]),
        ("q=active:false&content=notes&sort=-start_time&limit=2", [9, 8]),
        ("start=2026-11-29T10:00:08.0000000Z", [8, 9]),
        ("start=2026-11-29T12:00:08.0000000%2B02:00", [8, 9]),
        ("start=2026-11-29T12:00:08.0000000+02:00", [8, 9]),
        ("end=2026-11-29T10:00:58.0000000Z", [1, 3]),
        ("sort=-recording.content_reference_id,user.name&limit=1", [9]),
        ("snapshotx=1&q=", [1, 2, 3, 4, 5, 6, 7, 8, 9]),
        ("q=verdict:nothing", []),
    ],
)
def test_a_list_is_found_by(caller: Caller, query: str, expected: list[int]) -> None:
    reply = caller.get(f"{SESSIONS}?{query.replace(' ', '%20')}")
    assert keys(reply) == expected


def test_pages_lead_to_one_another_with_all_parameters(caller: Caller) -> None:
    path, found, seen = (
        f"{SESSIONS}?limit=4&fields=client.ip,user&q={quote('protocol:SSH AND active:false')}&sort=-start_time",
        [],
        [],
    )
    while path:
        reply = caller.get(path).ok()
        found += keys(reply)
        seen.append(reply.meta)
        assert all(item["body"].keys() == {"client", "user"} for item in reply.json["items"])
        path = reply.meta["next"]
    assert found == [9, 8, 7, 6, 5, 4, 3, 1]
    assert [meta["previous"] is None for meta in seen] == [True, False]
    assert keys(caller.get(seen[1]["previous"])) == found[:4]
    assert keys(caller.get(seen[0]["last"])) == found[4:]


@pytest.mark.parametrize(
    ("query", "parameter", "code"),
    [
        ("q=nix:1", "q", "unknown_field"),
        ("q=(", "q", "syntax"),
        ("content=user.name:x", "content", "unknown_field"),
        ("limit=501", "limit", "range"),
        ("limit=0", "limit", "range"),
        ("limit=x", "limit", "range"),
        ("offset=-1", "offset", "range"),
        ("offset=10000", "offset", "range"),
        ("sort=nix", "sort", "unknown_field"),
        ("sort=protocol,verdict,duration,active", "sort", "too_many"),
        ("fields=nix", "fields", "unknown_field"),
        ("format=xml", "format", "enum"),
        ("start=yesterday", "start", "format"),
        ("q=" + "a" * 5000, "q", "length"),
    ],
)
def test_a_list_is_refused_with_the_parameter(caller: Caller, query: str, parameter: str, code: str) -> None:
    for path in (SESSIONS, f"{SESSIONS}/_count"):
        if path.endswith("_count") and parameter not in {"q", "content", "start"}:
            continue
        reply = caller.get(f"{path}?{query}").is_error(400, "InvalidQuery")
        (problem,) = reply.error["details"]["errors"]
        assert (problem["parameter"], problem["code"]) == (parameter, code)


def test_an_unknown_field_comes_with_those_that_exist(caller: Caller) -> None:
    details = caller.get(f"{SESSIONS}?q=protocol:SSH%20AND%20nix:1").error["details"]
    assert details["errors"][0]["position"] == 17
    assert {"protocol", "user.name", "recording.connection_policy"} <= set(details["fields"])


def test_nothing_is_beyond_ten_thousand(caller: Caller) -> None:
    assert caller.get(f"{SESSIONS}?offset=9999&limit=500").ok().meta["limit"] == 1


# Power BI


def test_power_bi_reads_a_snapshot(caller: Caller) -> None:
    """Its sequence: a snapshot, its pages, and in between the count."""
    name = caller.body(f"{SESSIONS}/_snapshot")["snapshot"]
    filters = "start=2026-11-29T10:00:02.0000000%2B00:00&q=protocol:SSH"
    path, found = f"{SESSIONS}?fields=*&sort=-start_time&{filters}&limit=3&snapshot={name}", []
    while path:
        reply = caller.get(path).ok()
        found += keys(reply)
        meta = reply.meta
        assert meta.keys() == {
            "fields", "first", "href", "last", "limit", "next", "parent", "previous", "remaining_seconds", "search_after",
        }  # fmt: skip
        assert (meta["first"], meta["last"], meta["previous"], meta["search_after"], meta["fields"]) == (
            None,
            None,
            None,
            None,
            ["*"],
        )
        assert all(isinstance(item["body"], dict) for item in reply.json["items"])
        path = meta["next"]
    assert found == [9, 8, 7, 6, 5, 4, 3, 2]
    count = caller.get(f"{SESSIONS}/_count?fields=*&sort=-start_time&{filters}").ok().json
    assert count["count"] == 8
    assert caller.get(f"{SESSIONS}?fields=*&snapshot={name}&offset=500").ok().json["items"] == []


def test_a_snapshot_that_is_gone_or_somebody_elses(caller: Caller) -> None:
    for name in ("x", "", "%00"):
        caller.get(f"{SESSIONS}?snapshot={name}").is_error(404, "NotFound")


def test_there_are_so_many_snapshots(server: Server) -> None:
    other = logged_in(server)
    replies = []
    for _ in range(12):
        replies.append(other.get(f"{SESSIONS}/_snapshot"))
        if replies[-1].status == 200:
            other.get(f"{SESSIONS}?snapshot={replies[-1].json['body']['snapshot']}").ok()
    last = replies[-1].is_error(429, "TooManyRequests")
    assert 0 < int(last.header("Retry-After")) <= 3600
    other.close()


# Below a session


def test_channels(caller: Caller) -> None:
    reply = caller.get(f"{ONE}/channels").ok()
    (item,) = reply.json["items"]
    assert (item["key"], item["meta"]) == ("1", {"href": f"{ONE}/channels/1"})
    body = item["body"]
    assert (body["type"], body["verdict"], body["start_time"], body["end_time"], body["duration"]) == (
        "session shell", "accept", 1_795_946_401, 1_795_946_457, 55,
    )  # fmt: skip
    assert {"first", "href", "last", "limit", "match_count", "next", "offset", "parent", "previous"} <= reply.meta.keys()
    assert caller.body(f"{ONE}/channels/1") == body
    for name in ("2", "0", "x", "99999999999"):
        caller.get(f"{ONE}/channels/{name}").is_error(404, "NotFound")


def test_events(caller: Caller) -> None:
    reply = caller.get(f"{ONE}/events?limit=1").ok()
    assert reply.json["items"] == [
        {
            "action": "ls",
            "channels_id": "1",
            "content": "ls",
            "record_id": 1,
            "time": "2026-11-29T10:00:02.000",
            "type": "command",
        }
    ]
    assert reply.meta["match_count"] == 2
    assert caller.get(reply.meta["next"]).ok().json["items"][0]["type"] == "channel_denied"


def test_alerts_and_indexing(caller: Caller) -> None:
    assert caller.get(f"{ONE}/alerts").ok().json["items"] == []
    (job,) = caller.get(f"{ONE}/indexing").ok().json["items"]
    assert job.keys() == {"config", "statistics", "status", "version"}
    assert job["status"] == "COMPLETED"
    assert caller.get(f"{SESSIONS}/{key_of(4)}/indexing").json["items"][0]["status"] == "DISABLED"


@pytest.mark.parametrize("query", ["?q=ls", "/?q=ls"])
def test_content(caller: Caller, query: str) -> None:
    (screen, command) = caller.get(f"{ONE}/content{query}").ok().json["items"]
    assert (screen["content"], screen["highlights"], screen["type"], command["type"]) == ("$ ls", [[2, 4]], "screen", "command")
    assert screen["time"] == "2026-11-29T10:00:02.000Z"
    assert screen["replay"]["href"] == f"{ONE}/replay?channel=1&from=1.000"
    caller.get(screen["replay"]["href"]).ok()


def test_content_without_words_is_empty(caller: Caller) -> None:
    for query in ("", "?q=", "?q=%20", "?q=nowhere"):
        assert caller.get(f"{ONE}/content{query}").ok().json["items"] == []
    caller.get(f"{ONE}/content?q=user.name:jane").is_error(400, "InvalidQuery")


def test_statistics(caller: Caller) -> None:
    body = caller.body(f"{SESSIONS}/stats?field=verdict&sub_fields=user.name,client.ip&size=1&q=active:false")
    assert (body["field"], body["match_count"], body["other_count"]) == ("verdict", 8, 1)
    assert body["values"] == [{"count": 7, "sub_fields": {"user.name": [{"count": 7, "value": "jane"}]}, "value": "ACCEPT"}]
    body = caller.body(f"{SESSIONS}/histogram?field=start_time&bin-size=day")
    assert body["bins"] == [{"count": 9, "start": "2026-11-29T00:00:00+00:00"}]
    for query in (
        "stats",
        "stats?field=nix",
        "stats?field=verdict&size=0",
        "histogram?field=verdict",
        "histogram?field=start_time&bin-size=x",
    ):
        caller.get(f"{SESSIONS}/{query}").is_error(400, "InvalidQuery")


def test_a_csv_holds_no_formula(caller: Caller) -> None:
    reply = caller.get(f"{SESSIONS}?format=csv&q=verdict:TERMINATED").ok()
    assert reply.header("Content-Type") == "text/csv; charset=utf-8"
    (line,) = csv.DictReader(io.StringIO(reply.body.decode()))
    assert line["user.name"] == "'" + EVIL.gateway_user  # type: ignore[operator]
    assert (line["user.server_username"], line["server.name"], line["recording.deny_reason"]) == ("'+1", "'@evil", "'-2+3")
    assert (line["verdict"], line["duration"], line["active"]) == ("TERMINATED", "1", "false")
    reply = caller.get(f"{SESSIONS}?format=csv&fields=client.ip,user.name&sort=-start_time&limit=1").ok()
    assert reply.body == b"client.ip,user.name\r\n192.0.2.7,jane\r\n"


# Trails


def test_a_trail_is_downloaded_and_that_is_written_down(caller: Caller, server: Server) -> None:
    path, stored = f"{ONE}/audit_trail", (server.state / "trails" / f"{key_of(1)}.dwr").read_bytes()
    before = caller.get(f"{ONE}/trail_downloads").meta["match_count"]
    reply = caller.get(path, headers={"Accept": "application/octet-stream"}).ok()
    assert (reply.body, reply.header("Content-Length")) == (stored, str(len(stored)))
    assert reply.header("Content-Disposition") == f'attachment; filename="{key_of(1)}.dwr"'
    head = caller.call("HEAD", path).ok()
    assert head.header("Content-Length") == str(len(stored))
    listed = caller.get(f"{ONE}/trail_downloads").ok()
    assert listed.meta["match_count"] == before + 1
    last = listed.json["items"][-1]
    assert (last["username"], last["ip_address"], last["from_api"], last["what"]) == ("admin", "127.0.0.1", True, "audit_trail")


@pytest.mark.parametrize(
    ("asked", "begin", "end"),
    [("bytes=0-7", 0, 8), ("bytes=8-", 8, None), ("bytes=-5", -5, None), ("bytes=0-99999999", 0, None)],
)
def test_a_range_of_a_trail(caller: Caller, server: Server, asked: str, begin: int, end: int | None) -> None:
    stored = (server.state / "trails" / f"{key_of(1)}.dwr").read_bytes()
    reply = caller.get(f"{ONE}/audit_trail", headers={"Range": asked})
    assert reply.body == stored[begin:end]
    if len(reply.body) < len(stored):
        first = len(stored) + begin if begin < 0 else begin
        assert reply.status == 206
        assert reply.header("Content-Range") == f"bytes {first}-{first + len(reply.body) - 1}/{len(stored)}"
    else:
        assert reply.status == 200


@pytest.mark.parametrize("asked", ["bytes=9999999-", "bytes=5-2", "bytes=-", "bytes=0-1,3-4", "lines=1-2", "bytes=-0"])
def test_what_is_no_range_gets_all_of_it(caller: Caller, asked: str) -> None:
    assert caller.get(f"{ONE}/audit_trail", headers={"Range": asked}).ok().body.startswith(b"DWR1")


def test_a_trail_that_is_not_there(caller: Caller) -> None:
    caller.get(f"{SESSIONS}/{key_of(5)}/audit_trail").is_error(404, "NotFound")
    caller.get(f"{SESSIONS}/{key_of(2)}/audit_trail").is_error(409, "Conflict", code="session_active")
    for path in (f"{SESSIONS}/{key_of(99)}", f"{SESSIONS}/x", f"{SESSIONS}/{key_of(99)}/audit_trail", f"{ONE}/nothing"):
        caller.get(path).is_error(404, "NotFound")


def test_a_replay_begins_at_any_second(caller: Caller) -> None:
    reply = caller.get(f"{ONE}/replay?from=30").ok()
    head, *events = map(json.loads, reply.body.splitlines())
    assert (head["version"], head["width"], head["height"]) == (2, 80, 24)
    assert events[0][0] == 0
    assert "second 29" in events[0][2]
    assert events[1] == [0.5, "o", "\r\nsecond 30"]
    assert "secret typing" not in reply.body.decode()
    for query in ("from=x", "from=-1", "channel=0", "channel=x"):
        caller.get(f"{ONE}/replay?{query}").is_error(400, "InvalidQuery")


def test_a_replay_comes_in_segments_and_is_written_down_once(caller: Caller) -> None:
    before = caller.get(f"{ONE}/trail_downloads").meta["match_count"]
    index = caller.get(f"{ONE}/segments").ok().json
    assert (index["version"], index["term"], index["segments"][0]["start"]) == (1, {"cols": 80, "rows": 24}, 0)
    last = index["segments"][-1]
    whole = caller.get(last["url"]).ok().json
    assert whole["snapshot"].keys() == {"cols", "init", "rows"}
    assert whole["events"][0] == [last["start"], "o", ""]
    assert whole["events"][-1] == [index["duration"], "o", ""]
    part = caller.get(f"{ONE}/segments/30000?until=31000").ok().json
    assert "second 29" in part["snapshot"]["init"]
    assert part["events"] == [[30.0, "o", ""], [30.5, "o", "\r\nsecond 30"]]
    assert "secret typing" not in json.dumps(whole)
    assert caller.get(f"{ONE}/trail_downloads").meta["match_count"] <= before + 1
    caller.get(f"{ONE}/segments?channel=0").is_error(400, "InvalidQuery")
    caller.get(f"{ONE}/segments/0?until=x").is_error(400, "InvalidQuery")
    caller.get(f"{ONE}/segments/x").is_error(404, "NotFound")


def test_files_are_listed_and_kept_ones_given(caller: Caller) -> None:
    first, second = caller.get(f"{ONE}/files").ok().json["items"]
    assert (first["body"]["path"], first["body"]["operation"], first["body"]["size"]) == ("/tmp/../etc/pass\x1bwd", "get", 6)
    assert "download" not in second["body"]
    reply = caller.get(first["body"]["download"]["href"]).ok()
    assert reply.body == b"abcdef"
    assert reply.header("Content-Disposition") == 'attachment; filename="0001-pass_wd"'
    assert caller.body(f"{ONE}/files/2") == second["body"]
    for name in ("3", "0", "x", "2/download", "3/download"):
        caller.get(f"{ONE}/files/{name}").is_error(404, "NotFound")


@pytest.mark.parametrize("name", ["replay", "segments", "segments/0", "files", "files/1", "files/1/download", "content?q=ls"])
def test_an_encrypted_trail_says_who_can_open_it(caller: Caller, name: str) -> None:
    reply = caller.get(f"{SESSIONS}/{key_of(4)}/{name}")
    reply.is_error(409, "Conflict", code="encrypted_trail", certificates=[FINGERPRINT])
    assert caller.get(f"{SESSIONS}/{key_of(4)}/audit_trail").ok().body.startswith(b"DWR1")


def test_nothing_can_be_changed(caller: Caller) -> None:
    for path in ("/api/audit", SESSIONS, ONE, f"{ONE}/audit_trail"):
        for method in ("POST", "PUT", "DELETE"):
            caller.call(method, path).is_error(405, "MethodNotAllowed")


def test_it_is_listed(caller: Caller) -> None:
    names = [item["key"] for item in caller.get("/api").ok().json["items"]]
    assert "audit" in names
    assert "sessions" not in names
    assert [item["key"] for item in caller.get("/api/audit").ok().json["items"]] == ["sessions"]


def test_nobody_runs_without_workers(caller: Caller) -> None:
    assert caller.get("/api/sessions/live").ok().json["items"] == []
    caller.get(f"/api/sessions/live/{key_of(2)}").is_error(404, "NotFound")
    caller.get(f"/api/sessions/live/{key_of(2)}/follow").is_error(404, "NotFound")
    caller.delete(f"/api/sessions/live/{key_of(2)}").is_error(404, "NotFound")


# Streams, last: what these put into the catalogue is not counted by the others


def long_trail() -> bytes:
    """A trail whose replay is long."""
    return trail([*shell(1), *(output(2000 + at, f"line {at} of many, {at**5 % 99991}\r\n") for at in range(4000))])


def put(server: Server, number: int, data: bytes) -> str:
    catalogue = SqliteCatalogue(server.state / "sessions.db")
    tell(catalogue, row(number, trail=put_trail(server.state / "trails", key_of(number), data)))
    catalogue.close()
    return f"{SESSIONS}/{key_of(number)}"


def test_a_replay_of_a_trail_that_is_damaged_breaks_off(server: Server, caller: Caller) -> None:
    whole = long_trail()
    damaged = bytearray(whole)
    damaged[-2000] ^= 1
    path, changed = put(server, 60, whole), put(server, 61, bytes(damaged))
    assert len(caller.get(f"{path}/replay").ok().body.splitlines()) > 4000
    with pytest.raises(IncompleteRead) as broken:
        caller.get(f"{changed}/replay")
    caller.close()
    assert b"line 100 of many" in broken.value.partial
    caller.get(f"{changed}/replay?from=100000").is_error(409, "Conflict", code="damaged_trail")


def test_a_trail_that_is_none_is_told_at_once(server: Server, caller: Caller) -> None:
    path = put(server, 62, b"no trail")
    for name in ("replay", "files"):
        caller.get(f"{path}/{name}").is_error(409, "Conflict", code="damaged_trail")


def test_http_1_0_gets_a_replay_until_the_connection_ends(server: Server, caller: Caller) -> None:
    raw = Caller(server).connect()
    raw.sendall(f"GET {ONE}/replay HTTP/1.0\r\nCookie: session_id={caller.cookie}\r\n\r\n".encode())
    received = b"".join(iter(lambda: raw.recv(65536), b""))
    raw.close()
    head, _, body = received.partition(b"\r\n\r\n")
    assert b"Transfer-Encoding" not in head
    assert b"Connection: close" in head
    assert json.loads(body.splitlines()[0])["version"] == 2


def test_who_reads_nothing_and_goes_away_harms_nobody(server: Server, caller: Caller) -> None:
    path = put(server, 63, long_trail())
    for _ in range(5):
        raw = Caller(server).connect()
        raw.sendall(f"GET {path}/replay HTTP/1.1\r\nHost: x\r\nCookie: session_id={caller.cookie}\r\n\r\n".encode())
        raw.recv(100)
        raw.close()
    caller.get(SESSIONS).ok()
