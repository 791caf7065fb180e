"""The client for programs, blocking and asynchronous, with a real server that is also killed."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from doorward.client import (
    ApiRefusedError,
    AsyncClient,
    Client,
    ConflictError,
    LoginRefusedError,
    UnreachableError,
    UntrustedError,
    pinned,
    shown_pin,
    verified,
)
from tests.support.server import PASSWORD, Server

WEB = "management/webinterface"
USERS = "aaa/local_database/users"
LONG = "An0ther-long-passphrase"


@contextmanager
def logged_in(server: Server, context: ssl.SSLContext | None = None) -> Iterator[Client]:
    with Client(server.url, context or verified(server.certificate)) as client:
        client.login("admin", PASSWORD)
        yield client


def twice(client: Client, *values: dict[str, Any]) -> None:
    with client.transaction() as staged:
        for value in values:
            staged[WEB] = value


def collide(slow: Client, fast: Client) -> None:
    with slow.transaction() as staged:
        staged[WEB] = {"timeout": 41}
        twice(fast, {"timeout": 42})


def test_a_block_is_a_transaction(server: Server) -> None:
    with logged_in(server) as client:
        with client.transaction("A colleague") as staged:
            password = staged.add("passwords", {"plain": LONG})
            key = staged.add(USERS, {"name": "jane", "password": password})
            staged[WEB] = {"timeout": 31}
            assert staged[WEB]["timeout"] == 31
            assert any(change["path"].endswith("webinterface#timeout") for change in staged.changes())
            assert staged.plan()["problems"] == []
        assert staged.committed is not None
        assert client.body(f"/api/revisions/{staged.committed.revision}")["commit_message"] == "A colleague"
        with client.transaction() as staged:
            del staged[f"{USERS}/{key}"]
        with client.transaction() as staged:
            staged[WEB] = {"timeout": 31}
        assert staged.committed is None  # nothing changed: no revision


def test_what_raises_in_a_block_leaves_nothing(server: Server) -> None:
    with logged_in(server) as client:
        before = client.body(WEB)
        with pytest.raises(ApiRefusedError) as failure:
            twice(client, {"timeout": 33}, {"timeout": "long"})
        assert failure.value.pointers == ["/timeout"]
        assert client.body(WEB) == before
        assert client.body("/api/transaction")["status"] == "closed"


def test_somebody_who_was_faster_is_a_conflict_and_the_block_can_be_run_again(server: Server) -> None:
    with logged_in(server) as mine, logged_in(server) as theirs:
        with pytest.raises(ConflictError):
            collide(mine, theirs)
        with mine.transaction() as again:
            again[WEB] = {"timeout": 43}
        assert again.committed is not None


def test_changes_in_one_request_tell_what_they_made(server: Server) -> None:
    with logged_in(server) as client:
        done = client.commit_changes([{"method": "PUT", "path": f"/api/configuration/{WEB}", "body": {"timeout": 44}}], "At once")
        assert [result["status"] for result in done.results] == [200]
        assert client.body(WEB)["timeout"] == 44


def test_a_trial_is_confirmed_over_a_new_connection(server: Server) -> None:
    with logged_in(server) as client, client.transaction(confirm_seconds=300) as staged:
        staged[WEB] = {"timeout": 45}
    with logged_in(server) as client:
        client.confirm()
        assert client.body(WEB)["timeout"] == 45


def test_a_server_that_is_killed_amid_a_commit_tells_the_truth_afterwards(fresh: Server) -> None:
    with logged_in(fresh) as client, ThreadPoolExecutor(1) as aside:
        client.patience = 600
        client.open()
        client.write("PUT", WEB, {"timeout": 46})
        fresh.options = ("--listen", f"127.0.0.1:{fresh.port}")
        fresh.kill()
        again = aside.submit(fresh.start)
        with pytest.raises(UnreachableError, match="nothing was committed"):
            client.commit("never read")
        again.result()
        with client.transaction() as staged:
            staged[WEB] = {"timeout": 47}
        assert staged.committed is not None


def test_identities(server: Server) -> None:
    pin = shown_pin(server.url)
    assert pin is not None
    with logged_in(server, pinned(pin)) as client:
        assert client.get("/api/info").meta["href"] == "/api/info"
    wrong = pinned("sha256//" + "A" * 43 + "=")
    with pytest.raises(UntrustedError, match="not the pinned one"), logged_in(server, wrong):
        pass
    with pytest.raises(UntrustedError, match="certificate is not trusted"), logged_in(server, verified()):
        pass
    with pytest.raises(LoginRefusedError), Client(server.url, verified(server.certificate)) as client:
        client.login("admin", "wrong")


def test_the_same_in_an_event_loop(server: Server) -> None:
    asyncio.run(in_an_event_loop(server))


async def refused_in_a_loop(client: AsyncClient) -> None:
    async with client.transaction() as staged:
        await staged.put(WEB, {"timeout": []})


async def in_an_event_loop(server: Server) -> None:
    async with AsyncClient(server.url, verified(server.certificate)) as client:
        await client.login("admin", PASSWORD)
        async with client.transaction("In a loop") as staged:
            await staged.put(WEB, {"timeout": 51})
            assert len(await staged.changes()) == 1
        assert staged.committed is not None
        assert (await client.body(WEB))["timeout"] == 51
        with pytest.raises(ApiRefusedError) as failure:
            await refused_in_a_loop(client)
        assert failure.value.pointers == ["/timeout"]
        async for name, _data in client.events("/api/live", {}):
            assert name
            break
    pin = shown_pin(server.url)
    assert pin is not None
    async with AsyncClient(server.url, pinned(pin)) as client:
        await client.login("admin", PASSWORD)
    async with AsyncClient(server.url, pinned("sha256//" + "A" * 43 + "=")) as client:
        with pytest.raises(UntrustedError, match="not the pinned one"):
            await client.login("admin", PASSWORD)
