"""Real workers, and a control in this process that only does what a test needs: it takes clients and answers questions."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any, Self, TypeVar

import msgspec

from doorward.proxy import messages
from doorward.proxy.messages import PipeMessage
from doorward.proxy.pipe import ControlEnd, connect
from doorward.proxy.supervisor.ending import stop
from doorward.proxy.worker.places import Places
from doorward.recording.reader import TrailReader
from tests.support.gateway import HOST_KEY, FakeControl
from tests.support.server import until
from tests.support.waiting import PATIENCE

Found = TypeVar("Found", bound=PipeMessage)
Result = TypeVar("Result")


class WorkerGateway:
    """Workers of a state directory, and clients that come to ``port``. ``make_control`` answers for one session."""

    def __init__(self, state: Path, make_control: Callable[[], FakeControl], *, trails: Path | None = None) -> None:
        self.places = Places(state / "workers", trails or state / "trails")
        self._make_control = make_control
        self.supervisor: subprocess.Popen[bytes] | None = None
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.controls: dict[str, FakeControl] = {}
        self.taken: list[PipeMessage] = []
        self.pipe: ControlEnd | None = None
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._tasks: set[asyncio.Task[None]] = set()
        self._number = 0

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "doorward.proxy.supervisor", "--workers", "1"]
        self.supervisor = subprocess.Popen([*command, "--sockets", str(self.places.sockets), "--trails", str(self.places.trails)])
        self._thread.start()
        self._listener.setblocking(False)
        self.run(self._listen())
        self.connect()
        return self

    def __exit__(self, *_: object) -> None:
        self.disconnect()
        self.loop.call_soon_threadsafe(self.loop.remove_reader, self._listener)
        stop(self.places)
        assert self.supervisor is not None
        self.supervisor.wait(PATIENCE)
        self.run(self._cancel())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()
        self._listener.close()

    async def _cancel(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(PATIENCE)

    async def _listen(self) -> None:
        self.loop.add_reader(self._listener, self._accept)

    def connect(self) -> None:
        """Be control, of whichever worker there is."""
        self.run(self._connect())

    async def _connect(self) -> None:
        self.pipe = None
        while True:
            with suppress(OSError):
                for path in self.places.workers().values():
                    self.pipe = await connect(path)
            if self.pipe is not None and not self.pipe.closed:
                break
            await asyncio.sleep(0.01)
        self.pipe.send(messages.Settle(trails=str(self.places.trails), node="node-1", release="0"))
        self._start(self._read(self.pipe))

    def disconnect(self) -> None:
        """Be away."""
        if self.pipe is not None:
            self.loop.call_soon_threadsafe(self.pipe.close)
            until(lambda: self.pipe is None or self.pipe.closed)

    def send(self, message: PipeMessage, descriptor: int | None = None) -> None:
        """Say something to the worker. The descriptor is closed then."""
        assert self.pipe is not None
        self.loop.call_soon_threadsafe(self.pipe.send, message, descriptor)
        if descriptor is not None:
            self.loop.call_soon_threadsafe(os.close, descriptor)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _accept(self) -> None:
        with suppress(BlockingIOError):
            client, address = self._listener.accept()
            with client:
                if self.pipe is None or self.pipe.closed:
                    return
                self._number += 1
                control = self._make_control()
                name = f"s{self._number:021d}"
                self.controls[name] = control
                begin = messages.Begin(
                    session=name, number=self._number, began=time.time(), client=address, local=client.getsockname(),
                    rules=control.rules, host_keys=(messages.GatewayHostKey(private=HOST_KEY.export_private_key()),),
                )  # fmt: skip
                self.pipe.send(begin, client.fileno())

    async def _read(self, pipe: ControlEnd) -> None:
        async for message in pipe:
            self.taken.append(message)
            if isinstance(message, messages.Ended):
                pipe.send(messages.Noted(session=message.session, serial=message.serial))
            elif isinstance(message, messages.Identified):
                self.controls[message.session].identified(message.identifier, message.client_version, message.algorithms)
            elif hasattr(message, "ask"):
                self._start(self._answer(pipe, message))

    async def _answer(self, pipe: ControlEnd, message: Any) -> None:
        control = self.controls[message.session]
        answer: Any
        match message:
            case messages.TryNone():
                answer = await control.try_none(message.user)
            case messages.TryPassword():
                answer = await control.try_password(message.user, message.password)
            case messages.TryKey():
                answer = await control.try_key(message.user, message.algorithm, message.key, message.signature)
            case messages.TryPrompts():
                answer = await control.try_prompts(message.user, message.answers)
            case messages.FindTarget():
                answer = await control.find_target(message.user, message.method, message.text)
            case messages.JudgeHostKey():
                answer = await control.judge_host_key(message.address, message.port, message.key)
            case messages.WantCredential():
                answer = await control.want_credential(message.way)
            case messages.WantSignature():
                signature = await control.want_signature(message.public_key, message.algorithm, message.data)
                answer = messages.Signature(session="", ask=0, signature=signature)
            case _:
                raise AssertionError(message)
        pipe.send(msgspec.structs.replace(answer, session=message.session, ask=message.ask))

    def of(self, kind: type[Found], session: str | None = None) -> list[Found]:
        """What workers said of one kind."""
        found = [message for message in list(self.taken) if isinstance(message, kind)]
        return [message for message in found if session is None or getattr(message, "session", "") == session]

    @property
    def last(self) -> str:
        """The session of the client that came last."""
        return next(reversed(self.controls))

    def ended(self, session: str | None = None) -> messages.Ended:
        """The end of a session, once it is told."""
        name = session or self.last
        until(lambda: self.of(messages.Ended, name), 60, "end of the session")
        return self.of(messages.Ended, name)[0]

    def trail(self, session: str | None = None) -> TrailReader:
        """The trail of a session."""
        return TrailReader((self.places.trails / f"{session or self.last}.dwr").read_bytes())
