"""The conversation with each worker: what it says is checked against what it may say, and goes to where it is dealt with.

A worker may be in somebody else's hands. One that speaks of a session which is not its own, or out of order, is believed nothing
more: its pipe is closed, and told of. Its sessions go on there without us, their secrets withheld.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import structlog

from doorward.proxy import messages
from doorward.proxy.control import rows
from doorward.proxy.control.adoption import WAIT_SECONDS, Adoption
from doorward.proxy.control.answers import Answers, Question, refusal
from doorward.proxy.control.belonging import Belonging
from doorward.proxy.control.live import Live, terminate
from doorward.proxy.control.ports import WorkerLink
from doorward.proxy.control.reports import Reports, bounded
from doorward.proxy.control.sealing import TrailSealer
from doorward.proxy.control.session import MisbehaviourError, Phase, Session, WorkerProxy
from doorward.proxy.control.sessions import Sessions
from doorward.proxy.control.workers import WorkerProxies
from doorward.proxy.messages import PipeMessage
from doorward.sessions.catalogue.port import Catalogue, CatalogueUnavailableError

HELLO_SECONDS = 10.0
NOTE_SECONDS = 0.5
"""How often workers are told what is on the disk."""
MAX_NAME = 64
_INTERNAL = "Internal error"
_RESTARTED = "The gateway was restarted before the login was done."

log = structlog.get_logger()


@dataclass
class Dispatch:
    """Talks to workers. ``settle``: the first message to each; ``misbehaved``: told of workers that are not ours."""

    sessions: Sessions
    workers: WorkerProxies
    answers: Answers
    reports: Reports
    live: Live
    adoption: Adoption
    belonging: Belonging
    sealer: TrailSealer
    catalogue: Catalogue
    settle: Callable[[], messages.Settle]
    misbehaved: Callable[[str, str], None]
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def attend(self, link: WorkerLink) -> None:
        """Talk to a worker until its pipe is closed."""
        stream = aiter(link)
        link.send(self.settle())
        try:
            async with asyncio.timeout(HELLO_SECONDS):
                hello = await anext(stream, None)
        except TimeoutError:
            hello = None
        if not isinstance(hello, messages.Hello) or not self._is_new(hello):
            link.close("it is no worker of ours")
            return
        worker = WorkerProxy(hello.worker, hello.pid, link)
        noting = asyncio.create_task(self._note(worker))
        try:
            await self._meet(worker, hello.sessions)
            async for message in stream:
                await self._take(worker, message)
        except MisbehaviourError as why:
            self._ban(worker, str(why))
        except CatalogueUnavailableError as error:
            log.error("a worker can't be listened to: the catalogue takes nothing", worker=worker.name, reason=str(error))
        finally:
            noting.cancel()
            link.close("control is done with it")
            self._lost(worker)

    def _is_new(self, hello: messages.Hello) -> bool:
        is_name = hello.worker.isascii() and hello.worker.isalnum() and len(hello.worker) <= MAX_NAME
        return is_name and hello.worker not in self.workers.banned and self.workers.find(hello.worker) is None

    async def _meet(self, worker: WorkerProxy, keys: tuple[str, ...]) -> None:
        """Take over what a worker has. Only then it gets more."""
        for key in dict.fromkeys(keys):
            session = self.sessions.find(key)
            if session is None:
                session = await self.adoption.adopt(key, worker.name)
            elif session.worker is not None or session.host != worker.name:
                raise MisbehaviourError("has a session of another worker")
            if session is None:
                worker.strangers.add(key)
                worker.send(messages.Terminate(session=key, reason=_RESTARTED, verdict="FAIL"))
                continue
            session.worker, session.host = worker, worker.name
            worker.sessions.add(session)
            if session.is_locked:
                worker.send(messages.Lock(session=key, locked=True))
            if session.ending:
                terminate(session, session.ending)
        self.workers.add(worker)
        log.info("worker connected", worker=worker.name, pid=worker.pid, sessions=len(worker.sessions))

    def _lost(self, worker: WorkerProxy) -> None:
        self.workers.remove(worker)
        lost = list(worker.sessions)
        for session in lost:
            session.worker, session.is_busy = None, False
            self.live.over(session)
            if not session.is_kept:
                self.sessions.end(session)
        log.info("worker disconnected", worker=worker.name, sessions=len(lost))
        if lost:
            self._later(self._close_rows())

    async def _close_rows(self) -> None:
        await asyncio.sleep(WAIT_SECONDS)
        while await self.adoption.close_rows():  # noqa: ASYNC110 - nobody tells when a worker lets go of its journal
            await asyncio.sleep(WAIT_SECONDS)

    def _ban(self, worker: WorkerProxy, why: str) -> None:
        self.workers.banned.add(worker.name)
        self.misbehaved(worker.name, why)

    def _expel(self, worker: WorkerProxy, why: MisbehaviourError) -> None:
        """Part with a worker from outside of the conversation with it."""
        self._ban(worker, str(why))
        worker.link.close("it asked for what it may not have")

    # What it says

    async def _take(self, worker: WorkerProxy, message: PipeMessage) -> None:
        match message:
            case messages.Counts():
                await self._count(worker, message)
            case messages.Shown():
                self.live.shown(worker, message)
            case messages.Identified():
                self._identified(self._own(worker, message.session), message)
            case (
                messages.Connected() | messages.ChannelOpened() | messages.ChannelClosed() | messages.Happened() | messages.Text()
                | messages.Ended()
            ):  # fmt: skip
                await self.belonging.report(worker, message)
            case messages.WantSeal():
                await worker.sealing.acquire()
                self._later(self._sealed(worker, message))
            case (
                messages.TryNone() | messages.TryPassword() | messages.TryPrompts() | messages.TryKey() | messages.FindTarget()
                | messages.JudgeHostKey() | messages.WantCredential() | messages.WantSignature() | messages.WantApproval()
            ):  # fmt: skip
                if message.session not in worker.strangers:
                    self._asked(worker, self._own(worker, message.session), message)
            case _:
                raise MisbehaviourError(f"said {type(message).__name__} where none belongs")

    def _own(self, worker: WorkerProxy, key: str) -> Session:
        session = self.sessions.find(key)
        if session is None or session.worker is not worker:
            raise MisbehaviourError("spoke of a session that is not its own")
        return session

    def _identified(self, session: Session, message: messages.Identified) -> None:
        if session.phase != Phase.PLACED or not 16 <= len(message.identifier) <= 64:  # noqa: PLR2004 - lengths of hashes
            raise MisbehaviourError("told another session identifier")
        session.identifier, session.client_version = message.identifier, message.client_version
        session.algorithms, session.phase = dict(list(message.algorithms.items())[:16]), Phase.LOGIN

    def _asked(self, worker: WorkerProxy, session: Session, question: Question) -> None:
        self.answers.check(session, question)
        if not isinstance(question, messages.WantApproval):
            session.is_busy = True
        self._later(self._answer(worker, session, question))

    async def _answer(self, worker: WorkerProxy, session: Session, question: Question) -> None:
        try:
            answer = await self.answers.answer(session, question)
        except MisbehaviourError as why:
            self._expel(worker, why)
            return
        except Exception:
            # A client may have led to it: that costs its own login, not the others of the worker.
            log.exception("a question of a worker could not be answered", session=session.id, question=type(question).__name__)
            answer = refusal(question, _INTERNAL)
        finally:
            if not isinstance(question, messages.WantApproval):
                session.is_busy = False
        if session.worker is worker:
            worker.send(answer)

    async def _note(self, worker: WorkerProxy) -> None:
        """Tell a worker, now and then, what it need not keep any longer."""
        while True:
            await asyncio.sleep(NOTE_SECONDS)
            noted, worker.noted = worker.noted, {}
            if not noted:
                continue
            try:
                await self.catalogue.synced()
            except CatalogueUnavailableError:
                worker.noted = {**noted, **worker.noted}
                continue
            for key, serial in noted.items():
                worker.send(messages.Noted(session=key, serial=serial))

    async def _count(self, worker: WorkerProxy, counts: messages.Counts) -> None:
        worker.memory, worker.lag = max(0, counts.memory), max(0, counts.lag)
        for key, (channels, down, up, activity) in counts.sessions.items():
            session = self._own(worker, key) if key not in worker.strangers and self.sessions.find(key) else None
            if session is not None:
                session.channels, session.down, session.up = max(0, channels), bounded(down), bounded(up)
                session.activity = int(session.began * 1000) + rows.moment(activity)
                await self.reports.count(session)

    async def _sealed(self, worker: WorkerProxy, message: messages.WantSeal) -> None:
        try:
            sealing = await self.belonging.sealing(worker, message)
            note = await self.sealer.sealed(sealing, message) if sealing is not None else None
            if note is not None:
                worker.send(messages.Sealed(session=message.session, note=note))
        except MisbehaviourError as why:
            self._expel(worker, why)
        except CatalogueUnavailableError as error:
            log.error("a trail gets no seal: that can't be kept", session=message.session, reason=str(error))
        finally:
            worker.sealing.release()

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def stop(self) -> None:
        """End what is being worked out. Workers and their sessions go on."""
        for task in list(self.tasks):
            task.cancel()
        for worker in self.workers:
            worker.link.close("control stops")
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*self.tasks, return_exceptions=True)
