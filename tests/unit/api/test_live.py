"""What wakes those who listen to ``/api/live``."""

from __future__ import annotations

import asyncio

import pytest

from doorward.api import live
from doorward.api.live import News, Topics


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
