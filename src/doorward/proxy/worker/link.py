"""The way to control: one pipe, or none while control is away; questions and their answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from doorward.proxy import messages
from doorward.proxy.messages import PipeMessage
from doorward.proxy.pipe import WorkerEnd
from doorward.proxy.ssh.ports import ControlGoneError
from doorward.proxy.ssh.taps.kinds import plain
from doorward.proxy.ssh.taps.observer import SessionObserver
from doorward.proxy.worker.outbox import Outbox
from doorward.sessions.rules import Relayed

ANSWER_SECONDS: Final = 120.0
"""How long an answer may take; name resolution and slow directories are among what control does for it."""
APPROVAL_SECONDS: Final = 960.0
"""How long a second person may take, and control a little more."""
Answer = (
    messages.Decision | messages.Prompts | messages.TargetAnswer | messages.Trusted | messages.CredentialAnswer
    | messages.Signature | messages.Approval
)  # fmt: skip
"""What control answers with."""

Expected = TypeVar("Expected")


class Link:
    """The pipe to control, as all sessions of a worker use it."""

    def __init__(self) -> None:
        self.pipe: WorkerEnd | None = None
        self._asked: dict[int, tuple[str, asyncio.Future[Answer]]] = {}
        self._number = 0

    def pass_on(self, message: PipeMessage) -> bool:
        """Send something that need not arrive; whether it went."""
        return self.pipe is not None and self.pipe.send(message)

    async def room(self) -> bool:
        """Wait until there is room; whether control is there."""
        pipe = self.pipe
        if pipe is None:
            return False
        await pipe.drained()
        return not pipe.closed

    async def ask(self, question: Callable[..., PipeMessage], session: str, seconds: float, **fields: Any) -> Answer:
        """Ask control something and return the answer. Raises ControlGoneError."""
        self._number += 1
        number = self._number
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._asked[number] = (session, future)
        try:
            if not self.pass_on(question(session=session, ask=number, **fields)):
                raise ControlGoneError
            return await asyncio.wait_for(future, seconds)
        except TimeoutError:
            raise ControlGoneError from None
        finally:
            self._asked.pop(number, None)

    def answered(self, answer: Answer) -> None:
        """Take an answer. To what nobody asks any more it comes too late."""
        found = self._asked.get(answer.ask)
        if found is not None and found[0] == answer.session and not found[1].done():
            found[1].set_result(answer)

    def lost(self) -> None:
        """Take that control is away: whoever waits for an answer gets none."""
        self.pipe = None
        for _, future in list(self._asked.values()):
            if not future.done():
                future.set_exception(ControlGoneError())


class SessionControl:
    """Control, as one session asks it (`ports.Control`)."""

    def __init__(self, session: str, link: Link, outbox: Outbox, observer: SessionObserver) -> None:
        self._session, self._link, self._outbox, self._observer = session, link, outbox, observer

    async def _ask(
        self, question: Callable[..., PipeMessage], expected: type[Expected], seconds: float = ANSWER_SECONDS, **fields: Any
    ) -> Expected:
        """Ask, and take no other kind of answer."""
        answer = await self._link.ask(question, self._session, seconds, **fields)
        if not isinstance(answer, expected):
            raise ControlGoneError
        return answer

    def identified(self, identifier: bytes, client_version: str, algorithms: Mapping[str, str]) -> None:
        """Tell the session identifier. Raises ControlGoneError."""
        told = messages.Identified(
            session=self._session, identifier=identifier, client_version=client_version, algorithms=dict(algorithms)
        )
        if not self._link.pass_on(told):
            raise ControlGoneError

    async def try_none(self, user: str) -> messages.Decision:
        """Ask which methods there are."""
        return await self._ask(messages.TryNone, messages.Decision, user=user)

    async def try_password(self, user: str, password: str) -> messages.Decision:
        """Try a password."""
        return await self._ask(messages.TryPassword, messages.Decision, user=user, password=password)

    async def try_key(self, user: str, algorithm: str, key: bytes, signature: bytes | None) -> messages.Decision:
        """Try a public key or certificate."""
        return await self._ask(messages.TryKey, messages.Decision, user=user, algorithm=algorithm, key=key, signature=signature)

    async def try_prompts(self, user: str, answers: tuple[str, ...] | None) -> messages.Decision | messages.Prompts:
        """Begin keyboard-interactive, or answer. Raises ControlGoneError."""
        answer = await self._link.ask(messages.TryPrompts, self._session, ANSWER_SECONDS, user=user, answers=answers)
        if not isinstance(answer, messages.Decision | messages.Prompts):
            raise ControlGoneError
        return answer

    async def find_target(self, user: str, method: str, text: str) -> messages.TargetAnswer:
        """Ask where to connect to."""
        return await self._ask(messages.FindTarget, messages.TargetAnswer, user=user, method=method, text=text)

    async def judge_host_key(self, address: str, port: int, key: str) -> messages.Trusted:
        """Ask about a host key."""
        return await self._ask(messages.JudgeHostKey, messages.Trusted, address=address, port=port, key=key)

    async def want_credential(self, way: Relayed) -> messages.CredentialAnswer:
        """Ask for what one way to log in takes."""
        return await self._ask(messages.WantCredential, messages.CredentialAnswer, way=way)

    async def want_signature(self, public_key: str, algorithm: str, data: bytes) -> bytes:
        """Have data signed."""
        answer = await self._ask(
            messages.WantSignature, messages.Signature, public_key=public_key, algorithm=algorithm, data=data
        )
        return answer.signature

    async def want_approval(self, channel: int, kind: str, detail: str) -> messages.Approval:
        """Ask a second person; what they say is recorded."""
        answer = await self._ask(
            messages.WantApproval, messages.Approval, APPROVAL_SECONDS,
            channel=channel, type=kind, detail=plain({"detail": detail})["detail"],
        )  # fmt: skip
        event = "approved" if answer.approved else "rejected"
        self._observer.event({"event": event, "reason": answer.reason}, channel)
        return answer

    def connected(  # noqa: PLR0913, PLR0917 - the facts of a connection, as the port has them
        self, address: str, port: int, local: tuple[str, int], user: str, method: str, server_version: str, host_key: str
    ) -> None:
        """Tell that the session is logged in at its target."""
        self._outbox.tell(
            messages.Connected(
                session=self._session, address=address, port=port, local=local, user=user, method=method,
                server_version=server_version, host_key=host_key,
            )
        )  # fmt: skip

    def happened(self, event: str, facts: Mapping[str, Any]) -> None:
        """Tell of an event."""
        told = messages.Happened(session=self._session, at=self._observer.now(), event=event, facts=plain(facts))
        self._outbox.tell(told)
