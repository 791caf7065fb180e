"""What ends the streams of a server that stops."""

from __future__ import annotations

import asyncio

import pytest

from doorward.api import streaming
from doorward.api.streaming import Stopping


async def _told() -> None:
    state = ["serving"]
    stopping = Stopping(lambda: state[0])
    one, other = stopping.join(), stopping.join()
    await asyncio.sleep(0)
    assert (one.is_set(), other.is_set()) == (False, False)
    stopping.leave(one)
    state[0] = "stopping"
    await other.wait()
    assert not one.is_set()
    # Who comes later is told as well.
    late = stopping.join()
    await late.wait()
    stopping.leave(other)
    stopping.leave(late)
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}, "no stream is left, so nobody looks"


def test_all_streams_are_told_that_the_server_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "LOOK_SECONDS", 0.001)
    asyncio.run(_told())
