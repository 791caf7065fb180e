"""The process of a worker: its socket, the messages of control, its sessions, and when it ends."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Callable, Collection, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Protocol, assert_never

import msgspec
import structlog

from doorward.areas.resident import resident_bytes
from doorward.proxy import messages
from doorward.proxy.messages import Begin, Counts, Ended, PipeMessage, ToWorker, WantSeal
from doorward.proxy.pipe import PipeError, WorkerEnd, check_peer, listen
from doorward.proxy.ssh.ports import Control, Observer
from doorward.proxy.ssh.taps.observer import SessionObserver
from doorward.proxy.ssh.taps.recorder import Recorder, Room
from doorward.proxy.ssh.taps.trail import place_of
from doorward.proxy.ssh.taps.viewers import nothing_more
from doorward.proxy.worker.link import Link, SessionControl
from doorward.proxy.worker.outbox import Outbox
from doorward.proxy.worker.places import Places
from doorward.proxy.worker.sealing import add_seal
from doorward.recording.journal import SUFFIX
from doorward.sessions.rules import ConnectionRules

COUNT_SECONDS: Final = 5.0
LOOK_SECONDS: Final = 1.0
"""How often a worker looks whether its directory is still there."""
END_SECONDS: Final = 10.0
"""How long sessions may take to end when the worker has to."""

log = structlog.get_logger()


class WorkerSession(Protocol):
    """A session that runs here."""

    async def run(self) -> object:
        """Serve the client until the session is over and its trail whole."""

    def terminate(self, reason: str, verdict: str = "TERMINATED") -> None:
        """End it at once."""

    def lock(self, locked: bool) -> None:  # noqa: FBT001 - a state
        """Hold what the client sends, or let it go on."""


class Protocols(Protocol):
    """What a worker does with the sockets that it gets."""

    def session(self, client: socket.socket, begin: Begin, control: Control, observer: Observer) -> WorkerSession:
        """Return a session that takes over the socket."""

    def refuse(self, client: socket.socket, reason: str) -> Coroutine[Any, Any, None]:
        """Tell a client why it may not come in, and close its socket."""

    def show(self, client: socket.socket, host_keys: Sequence[bytes]) -> Coroutine[Any, Any, None]:
        """Exchange keys with who only wants to see a host key."""


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """What a worker is started with. ``users``: who may speak to it, beside the user that it runs as and root."""

    places: Places
    protocols: Callable[[], Protocols]
    users: Collection[int] = ()
    room: Room = field(default_factory=Room)


@dataclass(slots=True)
class _Running:
    session: WorkerSession
    observer: SessionObserver
    task: asyncio.Task[None]


class _Reports:
    """Where observers tell what they know (`observer.Reports`)."""

    def __init__(self, link: Link, outbox: Outbox) -> None:
        self.pass_on, self.room = link.pass_on, link.room
        self.tell, self.end_record, self.keep_end = outbox.tell, outbox.end_record, outbox.keep_end


class WorkerProcess:
    """One worker. Made in its event loop."""

    def __init__(self, name: str, settings: WorkerSettings) -> None:
        self._name, self._settings = name, settings
        self._protocols = settings.protocols()
        places = settings.places
        self._path, self._trails = places.socket(name), places.trails
        self._stands = places.stand()
        self._recorder = Recorder(places.trails, name, settings.room)
        self._link = Link()
        self._outbox = Outbox(places.trails, self._link.pass_on)
        self._reports = _Reports(self._link, self._outbox)
        self._sessions: dict[str, _Running] = {}
        self._pipes: set[WorkerEnd] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._node = self._release = ""
        self._over = asyncio.Event()
        self._is_stopping = False

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
        await self._end_sessions()
        await self._recorder.stop()
        for pipe in list(self._pipes):
            pipe.close()

    def stop(self, now: bool) -> None:  # noqa: FBT001 - a state
        """Take no more sessions; end when the last is over, or at once."""
        self._is_stopping = True
        if now or not self._sessions:
            self._over.set()

    async def _end_sessions(self) -> None:
        tasks = [running.task for running in self._sessions.values()]
        for running in list(self._sessions.values()):
            running.session.terminate("The gateway is shut down.")
        if tasks:
            _, left = await asyncio.wait(tasks, timeout=END_SECONDS)
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)

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
                self._link.pass_on(self._counts())
                self._recorder.tidy()

    def _counts(self) -> Counts:
        sessions = {
            name: (running.observer.channels, running.observer.down, running.observer.up, running.observer.active)
            for name, running in self._sessions.items()
        }
        return Counts(sessions=sessions, memory=resident_bytes(), lag=self._recorder.lag)

    def _accept(self, listener: socket.socket) -> None:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        try:
            check_peer(connection, {os.geteuid(), 0, *self._settings.users})
        except PipeError as error:
            log.warning("stranger at the pipe", reason=str(error))
            connection.close()
            return
        self._start(self._serve(WorkerEnd(connection)))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
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
        self._node, self._release = settle.node, settle.release
        self._link.pipe = pipe
        pipe.send(messages.Hello(worker=self._name, pid=os.getpid(), sessions=tuple(self._sessions)))
        self._outbox.deliver()
        for running in self._sessions.values():
            running.observer.control_is_back()
        return True

    def _lose_control(self) -> None:
        self._link.lost()
        for running in self._sessions.values():
            running.observer.control_is_gone()

    def _take(self, message: ToWorker, descriptor: int | None) -> None:  # noqa: C901 - one case for each message
        match message:
            case Begin() | messages.Refuse() | messages.Show():
                if descriptor is None:
                    raise PipeError("a client came without its socket")
                self._take_client(message, socket.socket(fileno=descriptor))
            case messages.Sealed():
                self._sealed(message)
            case messages.Terminate() | messages.Lock() | messages.Follow() | messages.Unfollow():
                running = self._sessions.get(message.session)
                if running is not None:
                    _tell(running, message)
                elif isinstance(message, messages.Follow):
                    self._link.pass_on(nothing_more(message.session, message.viewer, 0))
            case messages.Noted():
                self._outbox.noted(message.session, message.serial)
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

    def _take_client(self, message: Begin | messages.Refuse | messages.Show, client: socket.socket) -> None:
        match message:
            case Begin():
                self._begin(message, client)
            case messages.Refuse():
                self._start(self._refuse(client, message.reason))
            case messages.Show():
                self._start(self._show(client, message.host_keys))

    def _begin(self, begin: Begin, client: socket.socket) -> None:
        if self._is_stopping or not self._recorder.is_able or begin.session in self._sessions:
            reason = "No more sessions are taken here." if self._is_stopping else "Sessions can't be recorded at the moment."
            self._start(self._refuse(client, reason))
            self._outbox.tell(
                Ended(
                    session=begin.session, at=0, verdict="FAIL", reason=reason, down=0, up=0, trail_bytes=0, recorded=False
                )
            )  # fmt: skip
            return
        client.setblocking(False)  # noqa: FBT003 - the name says it
        begin = msgspec.structs.replace(begin, rules=_shared(begin.rules))
        observer = SessionObserver(begin, self._recorder, self._reports, node=self._node, release=self._release)
        control = SessionControl(begin.session, self._link, self._outbox, observer)
        session = self._protocols.session(client, begin, control, observer)
        task = asyncio.get_running_loop().create_task(self._run(begin.session, session, observer))
        self._sessions[begin.session] = _Running(session, observer, task)

    async def _run(self, name: str, session: WorkerSession, observer: SessionObserver) -> None:
        """Run a session to its end, which is recorded whatever becomes of it."""
        verdict, reason = "FAIL", "Internal error"
        try:
            await session.run()
            verdict, reason = "ACCEPT", "The session is over"
        except asyncio.CancelledError:
            verdict, reason = "TERMINATED", "The gateway is shut down."
        except Exception as error:  # noqa: BLE001 - a fault of ours, which costs this session and no other
            log.error("session failed", session=name, error=type(error).__name__, where=place_of(error))
        finally:
            await observer.end(verdict, reason)
            del self._sessions[name]
            if self._is_stopping and not self._sessions:
                self._over.set()

    async def _refuse(self, client: socket.socket, reason: str) -> None:
        with client:
            client.setblocking(False)  # noqa: FBT003 - the name says it
            with suppress(OSError, TimeoutError):
                await self._protocols.refuse(client, reason)

    async def _show(self, client: socket.socket, host_keys: tuple[messages.GatewayHostKey, ...]) -> None:
        with client:
            client.setblocking(False)  # noqa: FBT003 - the name says it
            with suppress(OSError, TimeoutError):
                await self._protocols.show(client, [key.private for key in host_keys])

    def _sealed(self, message: messages.Sealed) -> None:
        running = self._sessions.get(message.session)
        if running is not None:
            running.observer.sealed(message.note)
            return
        unsealed = self._outbox.unsealed(message.session)
        if unsealed is not None:
            self._start(self._seal_closed(message, unsealed))

    async def _seal_closed(self, message: messages.Sealed, unsealed: WantSeal) -> None:
        """Put the last seal behind a trail that was closed while control was away."""
        path = self._trails / f"{message.session}{SUFFIX}"
        try:
            await asyncio.to_thread(add_seal, path, message.note, unsealed.frame, unsealed.chain)
            await asyncio.to_thread(self._outbox.forget_unsealed, message.session)
        except OSError as error:
            log.error("seal not written", session=message.session, reason=error.strerror)


@lru_cache(maxsize=64)
def _shared(rules: ConnectionRules) -> ConnectionRules:
    """Return equal rules of an earlier session, where there were any: they take 9 kB, and most sessions have the same."""
    return rules


def _tell(running: _Running, message: PipeMessage) -> None:
    match message:
        case messages.Terminate():
            running.session.terminate(message.reason, message.verdict)
        case messages.Lock():
            running.observer.event({"event": "locked" if message.locked else "unlocked"})
            running.session.lock(message.locked)
        case messages.Follow():
            running.observer.follow(message.viewer, message.who, message.channel)
        case messages.Unfollow():
            running.observer.unfollow(message.viewer)
        case _:
            pass


def run(name: str, settings: WorkerSettings) -> None:
    """Run a worker in this process until it ends."""
    import uvloop

    async def main() -> None:
        await WorkerProcess(name, settings).run()

    uvloop.run(main())
