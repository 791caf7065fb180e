"""A write whose login session ends before the body is there is refused, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

import pytest

from doorward.access.logins import LoginSession
from doorward.api.configuration import Configuration, NodeResource
from doorward.api.errors import ApiError
from doorward.api.request import Request
from tests.contract.test_cluster import ASK, JOIN, PROMOTE, enable
from tests.contract.wire import LOGIN, NTP, PASSWORDS, USERS, ZONE, Caller, logged_in
from tests.support.accounts import ADMIN
from tests.support.accounts import logins as login_sessions
from tests.support.server import Server, running
from tests.unit.transaction.rig import ROOT, TREE, Rig
from tests.unit.transaction.rig import USERS as RIG_USERS

WRITES: list[tuple[str, str, Any]] = [
    ("PUT", ZONE, "Europe/Budapest"),
    ("POST", NTP, {"selection": "ip", "value": "192.0.2.123"}),
    ("POST", USERS, {"name": "late"}),
    ("POST", PASSWORDS, {"plain": "a password for nobody"}),
    ("POST", "/api/configuration/private_keys", {"generate": {"selection": "ed25519"}}),
    ("POST", JOIN, ASK),
    ("POST", PROMOTE, {}),
    ("POST", "/api/revisions/1/restore", {}),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("ended") / "state", options=("--cluster-port", "7447")) as server:
        admin = logged_in(server)
        enable(admin)
        admin.close()
        yield server


@pytest.mark.parametrize(("verb", "path", "value"), WRITES, ids=lambda value: value if isinstance(value, str) else "")
def test_a_write_of_a_login_session_that_ended_meanwhile_is_refused(server: Server, verb: str, path: str, value: Any) -> None:
    """The server says that it waits for the body: the request was let through by then, and the session is logged out."""
    writer, other = logged_in(server), Caller(server)
    other.cookie = writer.cookie
    content = json.dumps(value).encode()
    head = (
        f"{verb} {path} HTTP/1.1\r\nHost: localhost\r\nCookie: session_id={writer.cookie}\r\n"
        f"Expect: 100-continue\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    connection = writer.connect()
    connection.sendall(head.encode())
    assert connection.recv(1024) == b"HTTP/1.1 100 Continue\r\n\r\n"
    other.delete(LOGIN).ok()
    connection.sendall(content)
    with HTTPResponse(connection, method=verb) as response:
        response.begin()
        assert (response.status, json.loads(response.read())["error"]["type"]) == (401, "Unauthenticated")
    writer.close()
    other.close()


def test_a_removal_that_waits_for_its_turn_while_the_login_session_ends_is_refused(tmp_path: Path) -> None:
    """A DELETE has no body to wait for; it waits for the write before it of the same login session."""
    rig = Rig(tmp_path)
    candidate = rig.candidate()
    key = rig.post(candidate, RIG_USERS, {"name": "jane"})
    rig.commit(candidate)
    logins = login_sessions()
    shared = Configuration(rig.pipeline, logins, rig.prober, lambda: None)
    resource = NodeResource(shared, TREE[ROOT + RIG_USERS], key)

    async def scenario() -> LoginSession:
        login, _ = logins.open(ADMIN)
        async with login.writing:
            request = Request("DELETE", tuple(f"{USERS}/{key}"[1:].split("/")), {"headers": [], "query_string": b""}, _never, "1")
            request.login = login
            removal = asyncio.create_task(resource.delete(request))
            await asyncio.sleep(0)  # it waits by now
            logins.close(login)
        with pytest.raises(ApiError) as refused:
            await removal
        assert (refused.value.status, refused.value.type) == (401, "Unauthenticated")
        return login

    assert asyncio.run(scenario()).candidate is None
    rig.close()


async def _never() -> dict[str, Any]:
    raise AssertionError
