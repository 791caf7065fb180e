"""A client that is gone: its transport is closed some time before the connection is told to be lost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

from doorward.listening.http.framed import FramedConnection
from tests.unit.listening.http.test_buffers import exchange


class GoneTransport:
    """As uvloop's: closed, and using it is an error."""

    def is_closing(self) -> bool:
        return True

    def write(self, data: bytes) -> None:
        raise RuntimeError(f"the handler is closed: {data!r}")

    def get_extra_info(self, name: str) -> object:
        raise ValueError(f"negative file descriptor: {name}")


def test_it_gets_no_answer_and_that_is_no_fault() -> None:
    async def app(_scope: object, _receive: object, send: Callable[[object], Awaitable[None]]) -> None:
        await send({"status": 200, "headers": [(b"content-length", b"2")]})
        await send({"body": b"{}"})

    async def answer() -> None:
        await exchange(transport=GoneTransport()).run_asgi(app)  # it has no logger that could be told of a fault

    asyncio.run(answer())


def test_a_wider_window_is_of_no_use_to_it() -> None:
    connection: Any = SimpleNamespace(transport=GoneTransport())
    FramedConnection.expect_much(connection)
