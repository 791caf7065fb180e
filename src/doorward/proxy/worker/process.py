"""The process of a worker: its socket, the messages of control, and when it ends."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from typing import Final, assert_never

import structlog
from msgspec import Struct, field

from doorward.areas.resident import resident_bytes
from doorward.proxy import messages
from doorward.proxy.local_sockets import StrangerError, check_peer, listen
from doorward.proxy.messages import Begin, Counts, ToWorker
from doorward.proxy.pipe import PipeError, WorkerEnd
from doorward.proxy.ssh.taps.recorder import Recorder, Room
from doorward.proxy.worker.link import Link
from doorward.proxy.worker.places import Places
from doorward.proxy.worker.sessions import Protocols, WorkerSessions

COUNT_SECONDS: Final = 5.0
LOOK_SECONDS: Final = 1.0
"""How often a worker looks whether its directory is still there."""

log = structlog.get_logger()


class WorkerSettings(Struct, frozen=True):
    """What a worker is started with. ``users``: who may speak to it, beside the user that it runs as and root."""

    places: Places
    protocols: Callable[[], Protocols]
    users: Collection[int] = ()
    room: Room = field(default_factory=Room)


class WorkerProcess:
    """One worker. Made in its event loop."""

    def __init__(self, name: str, settings: WorkerSettings) -> None:
        self._name, self._settings = name, settings
        places = settings.places
        self._path, self._trails = places.socket(name), places.trails
        self._stands = places.stand()
        self._recorder = Recorder(places.trails, name, settings.room)
        self._link = Link()
        self._sessions = WorkerSessions(settings.protocols(), places.trails, self._recorder, self._link, self._emptied)
        self._pipes: set[WorkerEnd] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._over = asyncio.Event()

    async def run(self) -> None:
        """Serve until told to stop, the directory vanishes, or nothing can be recorded any more."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop, True)  # noqa: FBT003 - at once
        loop.add_signal_handler(signal.SIGUSR1, self.stop, False)  # noqa: FBT003 - when the last session is over
        listener = listen(self._path)
        loop.add_reader(listener, self._accept, listener)
        watch = loop.create_task(self._watch())
        try:
            await self._over.wait()
        finally:
            watch.cancel()
            loop.remove_reader(listener)
            listener.close()
            with suppress(OSError):
                self._path.unlink()
        await self._sessions.end()
        await self._recorder.stop()
        for pipe in list(self._pipes):
            pipe.close()

    def stop(self, now: bool) -> None:  # noqa: FBT001 - a state
        """Take no more sessions; end when the last is over, or at once."""
        self._sessions.is_closed = True
        if now or not self._sessions:
            self._over.set()

    def _emptied(self) -> None:
        if self._sessions.is_closed:
            self._over.set()

    async def _watch(self) -> None:
        """Look after the directory, and tell control how sessions are doing."""
        passed = 0.0
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if self._settings.places.stand() != self._stands or not self._path.exists():
                log.warning("directory is gone", worker=self._name)
                self.stop(now=True)
            if self._recorder.failure is not None:
                self.stop(now=False)  # the supervisor starts another one
            passed += LOOK_SECONDS
            if passed >= COUNT_SECONDS:
                passed = 0.0
                counts = Counts(sessions=self._sessions.counts(), memory=resident_bytes(), lag=self._recorder.lag)
                self._link.pass_on(counts)
                self._recorder.tidy()

    def _accept(self, listener: socket.socket) -> None:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        try:
            check_peer(connection, {os.geteuid(), 0, *self._settings.users})
        except StrangerError as error:
            log.warning("stranger at the pipe", reason=str(error))
            connection.close()
            return
        task = asyncio.get_running_loop().create_task(self._serve(WorkerEnd(connection)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, pipe: WorkerEnd) -> None:
        """Take the messages of one connection. The newest that settles is control."""
        self._pipes.add(pipe)
        try:
            async for message, descriptor in pipe.deliveries():
                if isinstance(message, messages.Settle):
                    if not self._settle(pipe, message):
                        break
                elif self._link.pipe is pipe:
                    self._take(message, descriptor)
                else:
                    if descriptor is not None:
                        os.close(descriptor)
                    break
        finally:
            self._pipes.discard(pipe)
            pipe.close(pipe.reason or "no control")
            if self._link.pipe is pipe:
                log.info("control is away", worker=self._name, reason=pipe.reason)
                self._lose_control()

    def _settle(self, pipe: WorkerEnd, settle: messages.Settle) -> bool:
        """Take a connection for control, if it means these trails."""
        if Path(settle.trails).resolve() != self._trails.resolve():
            log.error("control has its trails elsewhere", worker=self._name)
            return False
        if self._link.pipe is not None and self._link.pipe is not pipe:
            former = self._link.pipe
            self._lose_control()
            former.close("another control has come")
        self._sessions.node, self._sessions.release = settle.node, settle.release
        self._link.pipe = pipe
        pipe.send(messages.Hello(worker=self._name, pid=os.getpid(), sessions=self._sessions.names))
        self._sessions.control_is_back()
        return True

    def _lose_control(self) -> None:
        self._link.lost()
        self._sessions.control_is_gone()

    def _take(self, message: ToWorker, descriptor: int | None) -> None:
        match message:
            case Begin() | messages.Refuse() | messages.Show():
                if descriptor is None:
                    raise PipeError("a client came without its socket")
                self._sessions.take(message, socket.socket(fileno=descriptor))
            case messages.Sealed():
                self._sessions.sealed(message)
            case messages.Terminate() | messages.Lock() | messages.Follow() | messages.Unfollow():
                self._sessions.tell(message)
            case messages.Noted():
                self._sessions.outbox.noted(message.session, message.serial)
            case messages.Stop():
                self.stop(now=message.now)
            case messages.Settle():
                pass
            case (
                messages.Decision() | messages.Prompts() | messages.TargetAnswer() | messages.Trusted()
                | messages.CredentialAnswer() | messages.Signature() | messages.Approval()
            ):  # fmt: skip
                self._link.answered(message)
            case _:
                assert_never(message)


def run(name: str, settings: WorkerSettings) -> None:
    """Run a worker in this process until it ends."""
    import uvloop

    async def main() -> None:
        await WorkerProcess(name, settings).run()

    uvloop.run(main())
