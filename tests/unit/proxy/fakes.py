"""Stand-ins around a worker: sessions that a test drives by lines, and a control that takes down what it is told."""

from __future__ import annotations

import asyncio
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

from doorward.proxy import messages
from doorward.proxy.messages import Begin, PipeMessage
from doorward.proxy.pipe import ControlEnd, connect
from doorward.proxy.ssh.ports import Control, ControlGoneError, NotRecordedError, Observer
from doorward.sessions.rules import (
    AlgorithmLists,
    Audit,
    ChannelRule,
    ChannelType,
    ConnectionRules,
    GatewayMethods,
    SessionSettings,
)

NONE = AlgorithmLists(kex=(), host_key=(), cipher=(), mac=(), compression=())
SHELL = ChannelRule(channel=ChannelType.SHELL, position=0, keep_files=True)
Found = TypeVar("Found", bound=PipeMessage)


def rules(audit: Audit | None = None) -> ConnectionRules:
    return ConnectionRules(
        policy="linux", policy_key="78101850949e47437dd91d", channel_policy="all", revision=7, channels=(SHELL,),
        settings=SessionSettings(client=NONE, server=NONE), methods=GatewayMethods(password=True),
        gateway_login=False, relayed=(), audit=audit or Audit(policy="default"), inband=False,
    )  # fmt: skip


RUN = count(1000, 1000)
"""Numbers of the tests on one worker: no two of them have a session of the same name."""
_run = 0


def new_run() -> None:
    global _run  # noqa: PLW0603 - one for all sessions of a test
    _run = next(RUN)


def key(number: int) -> str:
    return f"session{_run + number:015d}"


def begin(number: int, audit: Audit | None = None) -> Begin:
    return Begin(
        session=key(number), number=number, began=time.time(), client=("192.0.2.1", 40000), local=("192.0.2.2", 22),
        rules=rules(audit), host_keys=(),
    )  # fmt: skip


class LineSession:
    """A session whose client says by lines what happens in it, and is answered when that was taken.

    ``open``, ``out TEXT``, ``in TEXT``, ``close``, ``crash``, ``ask``; the end of the connection ends it.
    """

    def __init__(self, client: socket.socket, begin: Begin, control: Control, observer: Observer) -> None:
        self._client, self._control, self._observer = client, control, observer
        self._over = asyncio.get_running_loop().create_future()
        self.held = 0
        self.locked = False

    def hold(self) -> None:
        self.held += 1

    def release(self) -> None:
        self.held -= 1

    def lock(self, locked: bool) -> None:
        self.locked = locked

    def end(self, reason: str, verdict: str) -> None:
        if not self._over.done():
            self._over.set_result((verdict, reason))

    def terminate(self, reason: str, verdict: str = "TERMINATED") -> None:
        self.end(reason, verdict)

    async def run(self) -> None:
        self._observer.begin(self)
        reader, writer = await asyncio.open_connection(sock=self._client)
        try:
            await self._observer.ready()
        except NotRecordedError:
            writer.write(b"refused\n")
            await self._observer.end("FAIL", "not recorded")
            writer.close()
            return
        writer.write(b"ready\n")
        lines = asyncio.ensure_future(self._lines(reader, writer))
        await asyncio.wait((lines, self._over), return_when=asyncio.FIRST_COMPLETED)
        verdict, reason = self._over.result() if self._over.done() else ("ACCEPT", "The session is over")
        lines.cancel()
        await asyncio.gather(lines, return_exceptions=True)
        await self._observer.end(verdict, reason)
        writer.write(f"ended {reason}\n".encode())
        writer.close()

    async def _lines(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            word, _, text = line.decode().rstrip("\n").partition(" ")
            writer.write((await self._do(word, text) + "\n").encode())

    async def _do(self, word: str, text: str) -> str:  # noqa: C901, PLR0911 - a word each
        observer = self._observer
        match word:
            case "open":
                terminal = {"type": "xterm", "columns": 80, "rows": 24, "modes": {}}
                observer.opened(1, "session", "accept", SHELL, {"request": "shell", "terminal": terminal})
            case "out" | "in":
                data = text.encode().decode("unicode_escape").encode("latin-1")
                observer.data(1, word == "out", 0, memoryview(data))
            case "flood":
                observer.data(1, True, 0, memoryview(bytes(int(text))))
                return f"held {self.held}"
            case "close":
                observer.closed(1)
            case "ask":
                try:
                    return (await self._control.try_none(text)).outcome
                except ControlGoneError:
                    return "gone"
            case "tell":
                self._control.happened(text, {})
            case "modules":
                return " ".join(sys.modules)
            case "fail":
                self._over.set_exception(ZeroDivisionError())
            case "locked":
                return str(self.locked)
            case _:
                return "what"
        return "done"


class LineProtocols:
    def session(self, client: socket.socket, begin: Begin, control: Control, observer: Observer) -> LineSession:
        return LineSession(client, begin, control, observer)

    async def refuse(self, client: socket.socket, reason: str) -> None:
        await asyncio.get_running_loop().sock_sendall(client, f"refused {reason}\n".encode())

    async def show(self, client: socket.socket, host_keys: Sequence[bytes]) -> None:
        await asyncio.get_running_loop().sock_sendall(client, f"{len(host_keys)} keys\n".encode())


@dataclass
class FakeControl:
    """Control, as a worker sees it. ``answer`` answers what is asked."""

    pipe: ControlEnd
    answer: Callable[[PipeMessage], PipeMessage | None] = lambda message: None
    notes: bool = True
    taken: list[PipeMessage] = field(default_factory=list)
    task: asyncio.Task[None] | None = None

    async def read(self) -> None:
        async for message in self.pipe:
            self.taken.append(message)
            reply = self.answer(message)
            if reply is not None:
                self.pipe.send(reply)
            if self.notes and isinstance(message, messages.Ended):
                self.pipe.send(messages.Noted(session=message.session, serial=message.serial))

    def of(self, kind: type[Found]) -> list[Found]:
        """What came of one kind; sessions of tests before are none of this one's."""
        found = [message for message in self.taken if isinstance(message, kind)]
        return [message for message in found if getattr(message, "session", key(0)) >= key(0)]

    async def begin(self, number: int, audit: Audit | None = None) -> Client:
        ours, theirs = socket.socketpair()
        with theirs:
            self.pipe.send(begin(number, audit), theirs.fileno())
        client = Client(*await asyncio.open_connection(sock=ours))
        CLIENTS.append(client)
        assert await client.line() == "ready"
        return client


@dataclass
class Client:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def line(self) -> str:
        return (await self.reader.readline()).decode().rstrip("\n")

    async def say(self, text: str) -> str:
        self.writer.write(f"{text}\n".encode())
        return await self.line()

    def leave(self) -> None:
        self.writer.close()


CLIENTS: list[Client] = []


async def all_leave() -> None:
    """Close the sockets of all clients, as the warnings of Python want it."""
    while CLIENTS:
        client = CLIENTS.pop()
        client.writer.close()
        with suppress(OSError):
            await client.writer.wait_closed()


@asynccontextmanager
async def control(path: Path, trails: Path, **options: Any) -> AsyncIterator[FakeControl]:
    made = FakeControl(await connect(path), **options)
    made.pipe.send(messages.Settle(trails=str(trails), node="node-1", release="0"))
    made.task = asyncio.ensure_future(made.read())
    try:
        yield made
    finally:
        made.pipe.close()
        await asyncio.gather(made.task, return_exceptions=True)


async def arrives(condition: Callable[[], Any]) -> Any:
    """Wait for a condition in an event loop, and return its value."""
    while not (found := condition()):  # noqa: ASYNC110 - what is waited for is in another process
        await asyncio.sleep(0.005)
    return found
