"""What ends streams, and what they cost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from doorward.api import streaming
from doorward.api.request import Request, StreamedBody
from doorward.api.streaming import Stopping, send_pieces


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


class _Client:
    """Gets a stream, and goes after so many pieces."""

    def __init__(self, stays: int) -> None:
        self.got: list[bytes] = []
        self.is_broken_off = False
        self._stays, self._gone = stays, asyncio.Event()

    async def receive(self) -> Any:
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        self.got.append(message["body"])
        if len(self.got) >= self._stays:
            self._gone.set()

    def break_off(self) -> None:
        self.is_broken_off = True

    async def follow(self, pieces: AsyncGenerator[bytes | None, None]) -> bool:
        request = Request("GET", (), {"break_off": self.break_off}, self.receive, "0" * 32)
        return await send_pieces(request, StreamedBody(pieces), self.send, Stopping(lambda: "serving"))


async def _gone() -> None:
    closed = []

    async def endless() -> AsyncGenerator[bytes | None, None]:
        try:
            while True:
                yield b"piece"
        finally:
            closed.append(True)

    client = _Client(stays=3)
    assert not await client.follow(endless())
    assert client.is_broken_off
    assert 3 <= len(client.got) < 10, "it is noticed although nothing is ever waited for"
    assert closed == [True]


def test_a_stream_that_never_waits_ends_when_its_client_goes() -> None:
    asyncio.run(_gone())


async def _tasks_for(count: int) -> int:
    made = 0

    def counted(loop: asyncio.AbstractEventLoop, work: Any, **options: Any) -> asyncio.Task[Any]:
        nonlocal made
        made += 1
        return asyncio.Task(work, loop=loop, **options)

    async def pieces() -> AsyncGenerator[bytes | None, None]:
        for _ in range(count):
            await asyncio.sleep(0)
            yield b"piece"

    client = _Client(stays=count + 1)
    asyncio.get_running_loop().set_task_factory(counted)
    assert await client.follow(pieces())
    assert len(client.got) == count
    return made


def test_a_stream_makes_no_task_for_each_piece() -> None:
    assert asyncio.run(_tasks_for(100)) == asyncio.run(_tasks_for(1))
