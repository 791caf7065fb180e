"""Sessions of three real nodes, searched, shown and replayed on Central Management."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from doorward.sessions.catalogue.rows import SessionRow
from doorward.sessions.catalogue.sqlite import SqliteCatalogue
from tests.support.members import NODES, Member, members
from tests.support.recorded import key_of, put_trail, row, shell, tell, trail
from tests.support.server import until
from tests.system.command_line import CommandLine

SESSIONS = "/api/audit/sessions"
KEPT = trail(shell(3))


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Member]]:
    with members(tmp_path_factory.mktemp("cluster"), 3) as found:
        central, one, other = found
        for node in (one, other):
            node.join(central)
            central.ok("PUT", f"{NODES}/{node.id}", {"address": node.address, "roles": ["search-minion"]})
        central.write(f"{NODES}/{central.id}", {"address": central.address, "roles": ["central-management", "search-master"]})
        until(lambda: all(node.body("/api/info")["roles"] == ["search-minion"] for node in (one, other)), what="the roles")
        seed(central, row(1), row(4))
        seed(one, row(2, trail=put_trail(one.state / "trails", key_of(2), KEPT)), row(5), lines=("a needle",))
        seed(other, row(3, policy="oracle\x1b[31m"), end=None)
        yield found


def seed(member: Member, *rows: SessionRow, **more: Any) -> None:
    catalogue = SqliteCatalogue(member.state / "sessions.db")
    tell(catalogue, *rows, **more)
    catalogue.close()


@pytest.fixture
def central(three: list[Member]) -> Member:
    return three[0]


def keys(found: Any) -> list[int]:
    return [int(item["key"][1:]) for item in found["items"]]


def paged(central: Member, href: str | None) -> list[int]:
    found: list[int] = []
    while href is not None:
        shown = central.shown(href)
        found += keys(shown)
        href = shown["meta"]["next"]
    return found


def test_sessions_of_all_nodes_are_one_list(central: Member, three: list[Member]) -> None:
    found = central.shown(f"{SESSIONS}?sort=-start_time&fields=node_id,recording.connection_policy")
    assert keys(found) == [5, 4, 3, 2, 1]
    assert found["meta"]["match_count"] == 5
    assert "warnings" not in found["meta"]
    holders = [item["body"]["node_id"] for item in found["items"]]
    one, other = three[1].id, three[2].id
    assert (holders[0], holders[2], holders[3]) == (one, other, one)
    assert found["items"][2]["body"]["recording"]["connection_policy"] == "oracle\\x1b[31m"
    assert paged(central, f"{SESSIONS}?sort=start_time&limit=2") == [1, 2, 3, 4, 5]
    assert keys(central.shown(f"{SESSIONS}?sort=-user.name,start_time")) == [1, 2, 3, 4, 5]
    assert keys(central.shown(f"{SESSIONS}?content=needle")) == [2, 5]
    assert keys(central.shown(f"{SESSIONS}?q=active:true")) == [3]


def test_counts_are_those_of_all_nodes(central: Member) -> None:
    assert central.shown(f"{SESSIONS}/_count")["count"] == 5
    assert central.shown(f"{SESSIONS}/_count?q=active:false")["count"] == 4
    stats = central.body(f"{SESSIONS}/stats?field=user.name")
    assert (stats["values"], stats["match_count"]) == ([{"count": 5, "value": "jane"}], 5)
    assert sum(one["count"] for one in central.body(f"{SESSIONS}/histogram?field=start_time")["bins"]) == 5


def test_a_snapshot_stays_as_it_was_on_every_node(central: Member, three: list[Member]) -> None:
    name = central.body(f"{SESSIONS}/_snapshot")["snapshot"]
    path = f"{SESSIONS}?snapshot={name}&sort=-start_time&limit=2"
    assert keys(central.shown(path)) == [5, 4]
    fresh = central.body(f"{SESSIONS}/_snapshot")["snapshot"]
    try:
        seed(three[1], row(6))
        assert paged(central, path) == [5, 4, 3, 2, 1]
        assert paged(central, f"{SESSIONS}?snapshot={fresh}&sort=-start_time") == [5, 4, 3, 2, 1]
        assert central.shown(f"{SESSIONS}/_count")["count"] == 6
    finally:
        catalogue = SqliteCatalogue(three[1].state / "sessions.db")
        catalogue.delete([3]).result()
        catalogue.close()


def test_what_another_node_has_of_a_session_is_shown(central: Member, three: list[Member]) -> None:
    path = f"{SESSIONS}/{key_of(2)}"
    assert central.body(path)["node_id"] == three[1].id
    assert [item["body"]["type"] for item in central.shown(f"{path}/channels")["items"]] == ["session shell"]
    assert central.body(f"{path}/channels/1")["verdict"] == "accept"
    assert central.send("GET", f"{path}/channels/9").status_code == 404
    assert [item["content"] for item in central.shown(f"{path}/events")["items"]] == ["ls", "local-forwards"]
    (hit,) = central.shown(f"{path}/content?q=needle")["items"]
    assert (hit["content"], hit["highlights"]) == ("a needle", [[2, 8]])
    assert central.shown(f"{path}/alerts")["items"] == []


def test_a_trail_of_another_node_is_replayed_and_downloaded(central: Member, three: list[Member]) -> None:
    path = f"{SESSIONS}/{key_of(2)}"
    replayed = central.send("GET", f"{path}/replay").text.splitlines()
    assert json.loads(replayed[0])["version"] == 2
    assert "second 2" in replayed[-1]
    whole = central.send("GET", f"{path}/audit_trail")
    assert (whole.status_code, whole.headers["content-length"], whole.content) == (200, str(len(KEPT)), KEPT)
    part = central.client.get(f"{path}/audit_trail", headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, KEPT[10:20])
    assert central.shown(f"{path}/segments")["duration"] > 2
    (got, _) = central.shown(f"{path}/files")["items"]
    assert central.send("GET", got["body"]["download"]["href"]).content == b"abcdef"
    # Whoever had it is written down where the trail is.
    noted = [(item["username"], item["what"]) for item in three[1].shown(f"{path}/trail_downloads")["items"]]
    assert {("admin", what) for what in ("audit_trail", "file", "replay")} == set(noted)
    assert [item["what"] for item in central.shown(f"{path}/trail_downloads")["items"]] == [what for _, what in noted]


def test_a_running_session_is_watched_where_it_runs(central: Member, three: list[Member]) -> None:
    for method, below in (("GET", ""), ("DELETE", "?reason=x"), ("GET", "/follow")):
        answer = central.send(method, f"/api/sessions/live/{key_of(3)}{below}")
        details = answer.json()["error"]["details"]
        assert (answer.status_code, details["code"], details["address"]) == (409, "on_another_node", three[2].address)


def test_a_node_answers_central_management_alone(three: list[Member]) -> None:
    central, one, _ = three
    assert keys(one.shown(f"{SESSIONS}?sort=start_time")) == [2, 5]
    central.write(f"{NODES}/{one.id}", {"address": one.address, "roles": ["search-local"]})
    until(lambda: one.body("/api/info")["roles"] == ["search-local"], what="the other role")
    assert keys(central.shown(f"{SESSIONS}?sort=start_time")) == [1, 3, 4]
    assert central.send("GET", f"{SESSIONS}/{key_of(2)}").status_code == 404
    central.write(f"{NODES}/{one.id}", {"address": one.address, "roles": ["search-minion"]})
    until(lambda: one.body("/api/info")["roles"] == ["search-minion"], what="the role")
    until(lambda: keys(central.shown(f"{SESSIONS}?sort=start_time")) == [1, 2, 3, 4, 5], what="all of them")


def test_the_command_line_shows_the_nodes(three: list[Member], tmp_path: Path) -> None:
    cli = CommandLine(three[0].server, tmp_path)
    head, *lines = cli.ok("sessions", "list").splitlines()
    assert "NODE" in head.split()
    assert len([line for line in lines if three[1].id[:8] in line]) == 2


def test_a_node_that_is_away_is_named_and_holds_up_nobody(three: list[Member], tmp_path: Path) -> None:
    """The last one: it kills a node."""
    central, one, other = three
    other.server.kill()
    found = central.shown(f"{SESSIONS}?sort=start_time")
    assert keys(found) == [1, 2, 4, 5]
    (warning,) = found["meta"]["warnings"]
    assert (warning["code"], warning["path"]) == ("node_away", f"/api/cluster/status/{other.id}")
    assert [w["code"] for w in central.shown(f"{SESSIONS}/_count")["meta"]["warnings"]] == ["node_away"]
    table = central.send("GET", f"{SESSIONS}?format=csv&fields=node_id")
    assert len(list(csv.reader(io.StringIO(table.text)))) == 5
    assert table.headers["x-missing-nodes"] == other.id
    assert central.send("GET", f"{SESSIONS}/{key_of(3)}").status_code == 503
    assert central.body(f"{SESSIONS}/{key_of(2)}")["node_id"] == one.id
    shown = CommandLine(central.server, tmp_path)("sessions", "list")
    assert shown.code == 0
    assert "does not answer: its sessions are missing here." in shown.out + shown.err
