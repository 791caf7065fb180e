"""The sessions of a worker: each begins with the socket of a client, is told what control says, and ends recorded."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec
import structlog

from doorward.proxy import messages
from doorward.proxy.messages import Begin, Ended, WantSeal
from doorward.proxy.ssh.ports import Control, Observer
from doorward.proxy.ssh.taps.observer import SessionObserver
from doorward.proxy.ssh.taps.recorder import Recorder
from doorward.proxy.ssh.taps.viewers import nothing_more
from doorward.proxy.ssh.wire.failures import place_of
from doorward.proxy.worker.link import Link, SessionControl
from doorward.proxy.worker.outbox import Outbox
from doorward.proxy.worker.sealing import add_seal
from doorward.recording.journal import SUFFIX
from doorward.sessions.rules import ConnectionRules

END_SECONDS: Final = 10.0
"""How long sessions may take to end when the worker has to."""

log = structlog.get_logger()

Order = messages.Terminate | messages.Lock | messages.Follow | messages.Unfollow
"""What control says to one session."""


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


@dataclass(slots=True)
class _Running:
    session: WorkerSession
    observer: SessionObserver
    task: asyncio.Task[None]

    def tell(self, order: Order) -> None:
        match order:
            case messages.Terminate():
                self.session.terminate(order.reason, order.verdict)
            case messages.Lock():
                self.observer.event({"event": "locked" if order.locked else "unlocked"})
                self.session.lock(order.locked)
            case messages.Follow():
                self.observer.follow(order.viewer, order.who, order.channel)
            case messages.Unfollow():
                self.observer.unfollow(order.viewer)


class _Reports:
    """Where observers tell what they know (`observer.Reports`)."""

    def __init__(self, link: Link, outbox: Outbox) -> None:
        self.pass_on, self.room = link.pass_on, link.room
        self.tell, self.end_record, self.keep_end = outbox.tell, outbox.end_record, outbox.keep_end


class WorkerSessions:
    """All sessions of a worker. ``emptied`` is called when the last one that there was is over."""

    def __init__(
        self, protocols: Protocols, trails: Path, recorder: Recorder, link: Link, emptied: Callable[[], None]
    ) -> None:  # fmt: skip
        self._protocols, self._trails, self._recorder, self._link = protocols, trails, recorder, link
        self._emptied = emptied
        self._running: dict[str, _Running] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.outbox = Outbox(trails, link.pass_on)
        self._reports = _Reports(link, self.outbox)
        self.node = self.release = ""
        """Of control: they stand in the heads of trails."""
        self.is_closed = False
        """Whether no more are taken."""

    def __len__(self) -> int:
        return len(self._running)

    @property
    def names(self) -> tuple[str, ...]:
        """Of those that run."""
        return tuple(self._running)

    def counts(self) -> dict[str, tuple[int, int, int, int]]:
        """Return how each is doing: open channels, bytes down and up, and when something passed last."""
        return {
            name: (running.observer.channels, running.observer.down, running.observer.up, running.observer.active)
            for name, running in self._running.items()
        }

    def take(self, message: Begin | messages.Refuse | messages.Show, client: socket.socket) -> None:
        """Take a client."""
        client.setblocking(False)  # noqa: FBT003 - the name says it
        match message:
            case Begin():
                self._begin(message, client)
            case messages.Refuse():
                self._start(self._refuse(client, message.reason))
            case messages.Show():
                self._start(self._show(client, message.host_keys))

    def tell(self, order: Order) -> None:
        """Tell a session what control says to it."""
        running = self._running.get(order.session)
        if running is not None:
            running.tell(order)
        elif isinstance(order, messages.Follow):
            self._link.pass_on(nothing_more(order.session, order.viewer, 0))

    def control_is_back(self) -> None:
        """Let what waited for control catch up."""
        self.outbox.deliver()
        for running in self._running.values():
            running.observer.control_is_back()

    def control_is_gone(self) -> None:
        """Take that nobody is there to decide, or to show anything to."""
        for running in self._running.values():
            running.observer.control_is_gone()

    async def end(self) -> None:
        """End all of them."""
        tasks = [running.task for running in self._running.values()]
        for running in list(self._running.values()):
            running.session.terminate("The gateway is shut down.")
        if tasks:
            _, left = await asyncio.wait(tasks, timeout=END_SECONDS)
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)

    def _begin(self, begin: Begin, client: socket.socket) -> None:
        if self.is_closed or not self._recorder.is_able or begin.session in self._running:
            reason = "No more sessions are taken here." if self.is_closed else "Sessions can't be recorded at the moment."
            self._start(self._refuse(client, reason))
            self.outbox.tell(
                Ended(
                    session=begin.session, at=0, verdict="FAIL", reason=reason, down=0, up=0, trail_bytes=0, recorded=False
                )
            )  # fmt: skip
            return
        begin = msgspec.structs.replace(begin, rules=_shared(begin.rules))
        observer = SessionObserver(begin, self._recorder, self._reports, node=self.node, release=self.release)
        control = SessionControl(begin.session, self._link, self.outbox, observer)
        session = self._protocols.session(client, begin, control, observer)
        task = asyncio.get_running_loop().create_task(self._run(begin.session, session, observer))
        self._running[begin.session] = _Running(session, observer, task)

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
            del self._running[name]
            if not self._running:
                self._emptied()

    async def _refuse(self, client: socket.socket, reason: str) -> None:
        with client, suppress(OSError, TimeoutError):
            await self._protocols.refuse(client, reason)

    async def _show(self, client: socket.socket, host_keys: tuple[messages.GatewayHostKey, ...]) -> None:
        with client, suppress(OSError, TimeoutError):
            await self._protocols.show(client, [key.private for key in host_keys])

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def sealed(self, message: messages.Sealed) -> None:
        """Take a seal, also for a trail that was closed while control was away."""
        running = self._running.get(message.session)
        if running is not None:
            running.observer.sealed(message.note)
            return
        unsealed = self.outbox.unsealed(message.session)
        if unsealed is not None:
            self._start(self._seal_closed(message, unsealed))

    async def _seal_closed(self, message: messages.Sealed, unsealed: WantSeal) -> None:
        path = self._trails / f"{message.session}{SUFFIX}"
        try:
            await asyncio.to_thread(add_seal, path, message.note, unsealed.frame, unsealed.chain)
            await asyncio.to_thread(self.outbox.forget_unsealed, message.session)
        except OSError as error:
            log.error("seal not written", session=message.session, reason=error.strerror)


@lru_cache(maxsize=64)
def _shared(rules: ConnectionRules) -> ConnectionRules:
    """Return equal rules of an earlier session, where there were any: they take 9 kB, and most sessions have the same."""
    return rules
