"""Users who type numbered lines all the time into a program that echoes them, and remember when they saw which."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Self, TypeVar

import asyncssh

from tests.support.server import until

PAUSE = 0.05
"""Seconds between two lines of a user, where nothing else is said."""

_T = TypeVar("_T")


class Typist:
    """One session. ``name`` begins each of its lines; ``seen``: when each line came back, by its number.

    ``port``: that of the client's end of its connection, 0 before there is one.
    """

    def __init__(self, name: str, pause: float) -> None:
        self.name, self._pause = name, pause
        self.port = 0
        self.seen: list[float] = []
        self.is_over = False
        self.failure = ""
        self.task: asyncio.Task[None] | None = None

    async def work(self, port: int, user: str, password: str) -> None:
        """Log in and type until the connection ends."""
        options = {"known_hosts": None, "client_keys": None, "config": None, "agent_path": None}
        try:
            async with (
                asyncssh.connect("127.0.0.1", port, username=user, password=password, **options) as connection,
                connection.create_process("cat", encoding=None) as process,
            ):
                self.port = connection.get_extra_info("sockname")[1]
                typing = asyncio.create_task(self._type(process))
                try:
                    async for _ in process.stdout:
                        self.seen.append(time.monotonic())
                finally:
                    typing.cancel()
        except (asyncssh.Error, OSError) as error:
            self.failure = str(error)
        finally:
            self.is_over = True

    async def _type(self, process: Any) -> None:
        number = 0
        with suppress(asyncssh.Error, OSError):
            while True:
                process.stdin.write(f"{self.name} {number}\n".encode())
                number += 1
                await asyncio.sleep(self._pause)


class Room:
    """Typists on a thread of their own."""

    def __init__(self, port: int, user: str, password: str, pause: float = PAUSE) -> None:
        self.port, self._pause = port, pause
        self._login = port, user, password
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._count = 0
        self.typists: list[Typist] = []
        self.late = 0.0
        """The longest that the thread ever ran late, in seconds: what this machine does to everybody on it."""

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._watch(), self._loop)
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._leave())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _watch(self) -> None:
        while True:
            due = time.monotonic() + PAUSE
            await asyncio.sleep(PAUSE)
            self.late = max(self.late, time.monotonic() - due)

    async def _leave(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _begin(self, typist: Typist) -> None:
        typist.task = asyncio.get_running_loop().create_task(typist.work(*self._login))

    def fill(self, count: int) -> None:
        """Let so many type; return when each has seen a line of its own. Who is refused meanwhile tries again."""
        while len(self.typists) < count:
            self._count += 1
            typist = Typist(f"typist-{self._count}", self._pause)
            self.typists.append(typist)
            self._run(self._begin(typist))
        until(lambda: all(typist.seen or typist.is_over for typist in self.typists), what="lines of all typists")
        if self.take_those_that_are_over():
            self.fill(count)

    def take_those_that_are_over(self) -> list[Typist]:
        """Remove and return those whose session has ended."""
        over = [typist for typist in self.typists if typist.is_over]
        self.typists = [typist for typist in self.typists if not typist.is_over]
        return over
