"""The short way of plain reads (``api/fast_response.py``) answers as the long way does, for every node in every state."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import doorward.configuration
from doorward.tree.nodes import WriteOnce
from doorward.tree.registry import discover
from tests.contract.wire import logged_in
from tests.support.server import Client, Server, running

PATHS = [e.path for e in discover(doorward.configuration) if not isinstance(e.node, WriteOnce)]
CHANGING = {"date", "x-request-id"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("short") / "state") as found:
        yield found


def both(client: Client, path: str) -> tuple[object, object]:
    """Status, header fields and body by the short way, and by the long one, which a second cookie forces."""
    cookie = client.http.cookies["session_id"]
    client.http.cookies.clear()
    found = []
    for header in (f"session_id={cookie}", f"other=1; session_id={cookie}"):
        answer = client.get(path, headers={"Cookie": header})
        client.http.cookies.clear()
        fields = {name: value for name, value in answer.headers.items() if name not in CHANGING}
        fields["set-cookie"] = fields.get("set-cookie", "").partition("expires=")[0]
        found.append((answer.status_code, fields, answer.content))
    client.http.cookies.set("session_id", cookie)
    return found[0], found[1]


def counted(client: Client) -> float:
    line = next(line for line in client.get("/api/metrics").text.splitlines() if 'method="GET",status="200"' in line)
    return float(line.rpartition(" ")[2])


def test_every_node(server: Server) -> None:
    client = server.login()
    for path in PATHS:
        short, long = both(client, path)
        assert short == long, path


def test_the_candidate_is_seen_by_its_own_login_only(server: Server) -> None:
    mine, other = server.login(), server.login()
    path = "/api/configuration/datetime/ntp_servers"
    mine.post(path, {"selection": "ip", "value": "127.0.0.7"})
    assert both(mine, path)[0] == both(mine, path)[1]
    assert mine.body(path) != other.body(path)
    mine.delete("/api/transaction")
    assert mine.body(path) == other.body(path)


def test_without_right_and_without_login_it_is_refused(server: Server) -> None:
    admin = server.login()
    key = admin.post("/api/configuration/passwords", {"plain": "correct horse battery"}).json()["key"]
    user = admin.post("/api/configuration/aaa/local_database/users", {"name": "watcher", "password": key}).json()["key"]
    groups = "/api/configuration/aaa/local_database/groups/-1001"
    admin.put(groups, {"name": "basic-view", "members": [user]})
    assert admin.commit().status_code == 200
    watcher = server.login("watcher", "correct horse battery")
    for path in PATHS:
        short, long = both(watcher, path)
        assert short == long, path
    assert watcher.get("/api/configuration/aaa/settings").status_code == 403
    assert watcher.get("/api/configuration/datetime/timezone").status_code == 200
    assert server.client().get("/api/configuration/datetime/timezone").status_code == 401


def test_short_answers_are_counted(server: Server) -> None:
    client = server.login()
    before = counted(client)
    for _ in range(7):
        client.get("/api/configuration/datetime/timezone")
    assert counted(client) == before + 8


def test_what_is_not_plain_takes_the_long_way(server: Server) -> None:
    """Each of these fields changes the answer, or how much of the connection belongs to the request."""
    caller = logged_in(server)
    path = "/api/configuration/datetime/timezone"
    etag = caller.get(path).ok().header("ETag")
    caller.get(path, headers={"Expect": "a miracle"}).is_error(417, "ExpectationFailed")
    caller.get(path, headers={"Expect": "100-continue"}).ok()
    assert caller.get(path, headers={"If-None-Match": etag}).status == 304
    before = caller.connections
    caller.get(path, content=b'"GET /api HTTP/1.1"').ok()
    assert caller.get(path).ok().json["key"] == "timezone"
    assert caller.connections == before
    caller.close()
