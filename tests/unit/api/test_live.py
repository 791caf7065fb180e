"""What wakes those who listen to ``/api/live``."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from doorward.api import errors, live
from doorward.api.live import LiveNews, News, Topics
from doorward.api.request import Request


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "LOOK_SECONDS", 0.001)
    monkeypatch.setattr(live, "LOGIN_SECONDS", 0.0)


async def _woken() -> None:
    state, looks = [1], 0

    def look() -> int:
        nonlocal looks
        looks += 1
        return state[0]

    news = News(look)
    due: list[str] = []
    one, other = news.join(lambda: "one" in due), news.join(lambda: "other" in due)
    while looks < 3:  # noqa: ASYNC110 - nothing tells of a look that found nothing
        await asyncio.sleep(0)
    assert not one.is_set()
    assert not other.is_set()
    state[0] = 2
    await asyncio.gather(one.wait(), other.wait())
    one.clear()
    other.clear()
    due.append("one")
    await one.wait()
    assert not other.is_set(), "only the first had something to do"
    assert news.count == 1
    due.clear()
    news.leave(one)
    one.clear()
    other.clear()
    state[0] = 3
    await other.wait()
    assert not one.is_set()
    news.leave(other)
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}, "nobody listens, so nobody looks"


def test_everybody_who_listens_is_woken() -> None:
    asyncio.run(_woken())


def test_a_topic_counts_its_own_changes() -> None:
    state = {"one": 1, "other": "a"}
    topics = Topics({name: lambda name=name: state[name] for name in state})  # type: ignore[misc]
    assert topics.look() == topics.look() == (0, 0)
    state["one"] = 2
    assert topics.look() == (1, 0)
    state.update(one=1, other="b")
    assert topics.look() == (2, 1)
    assert topics.counts == {"one": 2, "other": 1}


class _Console:
    """Listens to a server where nothing happens but what a test does to the login session."""

    def __init__(self, **login: Any) -> None:
        self.login: Any = SimpleNamespace(**{"used": 0.0, "ended": False, "grant": None} | login)
        self.left, self.looks, self.checks = 600, 0, 0
        self._request = Request("GET", (), {}, None, "0" * 32)  # type: ignore[arg-type]
        self._request.login = self.login  # type: ignore[assignment]
        self._request.check_again = self._check
        nobody: Any = SimpleNamespace(pending=None)
        logins: Any = SimpleNamespace(remaining=lambda _: self.left)
        self._live = LiveNews(self._revision, nobody, logins, {})

    def _revision(self) -> int:
        self.looks += 1
        return 1

    def _check(self) -> None:
        self.checks += 1
        grant = self.login.grant
        if self.login.ended or not self.left or (grant is not None and not grant.is_live):
            raise errors.unauthenticated("/api/live")

    async def heard(self, looks: int) -> bytes:
        """Return what it is told second, within so many looks."""
        response = await self._live.get(self._request)
        pieces: Any = response.content.pieces  # type: ignore[union-attr]
        await anext(pieces)
        following = asyncio.ensure_future(anext(pieces))
        while self.looks < looks and not following.done():  # noqa: ASYNC110 - nothing tells of a look that found nothing
            await asyncio.sleep(0)
        assert following.done()
        await pieces.aclose()
        return bytes(following.result())

    async def told(self, change: str, value: Any) -> None:
        """Expect to be told nothing, at no cost, while nothing happens; then the end, by what changes of the login session."""
        response = await self._live.get(self._request)
        pieces: Any = response.content.pieces  # type: ignore[union-attr]
        await anext(pieces)
        ending = asyncio.ensure_future(anext(pieces))
        until = self.looks + 20
        while self.looks < until:  # noqa: ASYNC110 - nothing tells of a look that found nothing
            await asyncio.sleep(0)
        assert not ending.done()
        assert self.checks == 0, "rights are looked at when there is a reason"
        place: Any = self
        *names, last = change.split(".")
        for name in names:
            place = getattr(place, name)
        setattr(place, last, value)
        assert (await ending).startswith(b"event: over")
        await pieces.aclose()


@pytest.mark.parametrize(("change", "value"), [("login.ended", True), ("login.grant.is_live", False)])
def test_a_console_hears_of_the_end_of_its_login_session(change: str, value: Any) -> None:
    async def told() -> None:
        await _Console(grant=SimpleNamespace(is_live=True)).told(change, value)

    asyncio.run(told())


async def _timed_out() -> None:
    console = _Console()
    console.left = 0
    assert (await console.heard(20)).startswith(b"event: over")


def test_a_console_hears_of_the_end_of_its_time_when_it_comes() -> None:
    asyncio.run(_timed_out())
