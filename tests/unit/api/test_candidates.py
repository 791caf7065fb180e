"""Writes into the candidate of a login session: whole, or not at all."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import TYPE_CHECKING, Any

import pytest

from doorward.api import errors
from doorward.api.candidates import written_in_turn
from doorward.api.request import Request
from doorward.transaction.candidate import Candidate, Running
from doorward.tree.snapshot import Snapshot
from tests.support.accounts import login_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from doorward.access.logins import LoginSession

RUNNING = Running(1, "", Snapshot())


def write(
    login: LoginSession, work: Callable[[Candidate], object], *, copied: bool = True, check: Callable[[], None] | None = None
) -> None:
    async def receive() -> Any:
        raise AssertionError("nothing is read")

    request = Request("PUT", (), {"headers": [], "query_string": b""}, receive, "id", login)

    async def scenario() -> None:
        async with written_in_turn(request, lambda: RUNNING, copied=copied) as draft:
            work(draft.candidate)
            if check is not None:
                request.check_again = check

    asyncio.run(scenario())


def keep(candidate: Candidate) -> None:
    candidate.secrets["key"] = "text"


def fail(candidate: Candidate) -> None:
    keep(candidate)
    raise LookupError


def refuse() -> None:
    raise errors.unauthenticated("/api/thing")


def test_what_was_written_is_the_candidate() -> None:
    login = login_of()
    write(login, keep)
    assert login.candidate == dataclasses.replace(Candidate.on(RUNNING), secrets={"key": "text"})


@pytest.mark.parametrize("opened", [None, Candidate.on(RUNNING)])
def test_a_write_that_fails_leaves_the_one_before(opened: Candidate | None) -> None:
    login = login_of()
    login.candidate = opened
    with pytest.raises(LookupError):
        write(login, fail)
    assert login.candidate is opened
    assert opened is None or opened.secrets == {}


@pytest.mark.parametrize("opened", [None, Candidate.on(RUNNING)])
def test_so_does_one_whose_author_lost_the_right_meanwhile(opened: Candidate | None) -> None:
    login = login_of()
    login.candidate = opened
    with pytest.raises(errors.ApiError, match="401"):
        write(login, keep, check=refuse)
    assert login.candidate is opened
    assert opened is None or opened.secrets == {}


def test_small_writes_need_no_copy() -> None:
    login = login_of()
    login.candidate = opened = Candidate.on(RUNNING)
    write(login, keep, copied=False)
    assert login.candidate is opened
    assert opened.secrets == {"key": "text"}
