"""A commit while it waits for its turn."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING, Any

import pytest

from doorward.access.logins import LoginSession
from doorward.api.commit_records import OneCommit
from doorward.api.errors import ApiError
from doorward.api.previews import Preview
from doorward.api.request import Request
from doorward.api.transaction import Transaction
from doorward.transaction import queue as module
from doorward.transaction.commits import CommitService
from doorward.transaction.queue import CommitQueue, QueueTimeoutError
from tests.support.accounts import login_of, logins
from tests.support.server import until
from tests.support.waiting import PATIENCE
from tests.unit.transaction.rig import SERVERS, Rig, ip

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

KEY = (b"idempotency-key", b"mine")


@pytest.fixture
def service(rig: Rig) -> Iterator[CommitService]:
    with contextlib.closing(CommitQueue()) as queue:
        yield CommitService(rig.pipeline, queue, rig.confirmations)


@pytest.fixture
def login(rig: Rig) -> LoginSession:
    login = login_of()
    login.candidate = rig.candidate()
    rig.put(login.candidate, SERVERS, [ip("192.0.2.1")])
    return login


def request(login: LoginSession, body: bytes = b"") -> Request:
    async def receive() -> Any:
        return {"type": "http.request", "body": body}

    return Request("PUT", ("api", "transaction"), {"headers": [KEY], "query_string": b""}, receive, "1", login)


def behind_another(
    service: CommitService, then: Callable[[asyncio.Task[Any], threading.Event], Awaitable[None]], login: LoginSession
) -> None:
    """Send a commit while another one takes its time, until ``let_go`` is set."""

    async def scenario() -> None:
        let_go = threading.Event()
        other = asyncio.create_task(service.queue.run(lambda: let_go.wait(PATIENCE)))
        await asyncio.sleep(0)  # it comes first
        commit = asyncio.create_task(
            Transaction(service, Preview(service.pipeline, logins())).put(request(login, b'{"status":"commit"}'))
        )
        try:
            await then(commit, let_go)
        finally:
            let_go.set()
            await other

    asyncio.run(scenario())


async def state(service: CommitService, login: LoginSession) -> str:
    answer = await OneCommit(service, "mine").get(request(login))
    assert isinstance(answer.content, dict)
    return str(answer.content["body"]["state"])


def test_its_record_says_so_and_ends_as_that_of_the_commit(service: CommitService, login: LoginSession) -> None:
    async def then(commit: asyncio.Task[Any], let_go: threading.Event) -> None:
        [queued] = await asyncio.to_thread(until, lambda: tuple(service.pipeline.now_doing))
        assert await state(service, login) == "queued"
        let_go.set()
        answer = await commit
        assert answer.meta["commit"] == f"/api/commits/{queued}"
        assert await state(service, login) == "done"

    behind_another(service, then, login)
    assert service.pipeline.now_doing == {}


def test_without_its_turn_nothing_is_left_of_it(
    service: CommitService, login: LoginSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WAIT_SECONDS", 0.05)

    async def then(commit: asyncio.Task[Any], _let_go: threading.Event) -> None:
        with pytest.raises(QueueTimeoutError):
            await commit
        with pytest.raises(ApiError, match="404"):
            await state(service, login)

    behind_another(service, then, login)
    assert service.pipeline.now_doing == {}
    assert login.candidate is not None
