"""One login at the gateway: what the client shows, judged step by step (RFC 4252), several methods in a row as sshd does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import structlog
from msgspec.structs import replace

from doorward.proxy import messages
from doorward.proxy.control import proofs
from doorward.proxy.control.backends import Backend, BackendError, Challenge
from doorward.proxy.control.failures import Failures, pause
from doorward.proxy.control.session import LoginProof, Person, Session
from doorward.sessions.admission import UnknownTargetError, Wanted, parse_login

MAX_TRIES = 6
MAX_OFFERS = 30
"""Keys that a client may ask about."""
MAX_SECRET = 1024
"""Bytes of a password or an answer."""
_BLOCKED = "Too many failed logins came from your address; try again later."
_PROMPTS = "keyboard_interactive"

log = structlog.get_logger()

Told = Callable[..., None]
"""Takes the name of an event, one line for people, and facts."""


@dataclass(slots=True)
class GatewayLogin:
    """The login of one session. ``backend`` None: nobody logs in here, and whatever is shown is good for the target or not."""

    session: Session
    backend: Backend | None
    failures: Failures
    tell: Told
    tries: int = 0
    offers: int = 0
    done: list[str] = field(default_factory=list)
    """The methods that were proven, in order."""
    shown: list[bytes] = field(default_factory=list)
    """The keys that were proven: none counts twice."""
    person: Person | None = None
    asking: bytes | None = None
    """What the answer to the last prompt goes to; None: nothing was asked."""

    # What the worker asks

    async def try_none(self, message: messages.TryNone) -> messages.Decision:
        """Tell which methods there are."""
        return self._wrong_user(message) or self._answer(message, "refused", methods=self._next())

    async def try_password(self, message: messages.TryPassword) -> messages.Decision:
        """Judge a password."""
        return self._decided(message, await self._judged(message, "password", lambda user: self._check(user, message.password)))

    async def try_prompts(self, message: messages.TryPrompts) -> messages.Decision | messages.Prompts:
        """Ask, or judge an answer."""
        if message.answers is None and self.backend is not None and self._is_allowed(_PROMPTS):
            self.asking = b""
            return self._wrong_user(message) or _prompt(message, "Password: ")
        state, self.asking = self.asking, None
        answers = message.answers or ()

        async def judge(user: str) -> Person | Challenge | None:
            if self.backend is not None and (state is None or len(answers) != 1):
                return None
            return await self._check(user, "".join(answers), state or None)

        return await self._judged(message, _PROMPTS, judge)

    async def try_key(self, message: messages.TryKey) -> messages.Decision:
        """Judge a key: whether it would do, or with a signature whether the client has it."""
        try:
            shown = proofs.read(message.algorithm, message.key)
        except proofs.UnusableKeyError as why:
            log.info("key refused", session=self.session.id, reason=str(why))
            shown = None
        method = "certificate" if shown is not None and shown.certificate is not None else "public_key"
        if message.signature is None:
            return await self._offered(message, method, shown)

        async def judge(user: str) -> Person | None:
            if shown is None or message.service != "ssh-connection" or message.key in self.shown:
                return None
            claim = proofs.claim(self.session.identifier, message.user, message.service, message.algorithm, message.key)
            holder = await self._holder(user, shown, message.key)
            is_signed = await asyncio.to_thread(proofs.is_signed, shown, claim, message.signature or b"")
            return holder if is_signed else None

        decision = self._decided(message, await self._judged(message, method, judge))
        if decision.outcome in {"accepted", "partial"}:
            self.shown.append(message.key)
        return decision

    async def _offered(self, message: messages.TryKey, method: str, shown: proofs.ShownKey | None) -> messages.Decision:
        if wrong := self._wrong_user(message):
            return wrong
        self.offers += 1
        if self.offers > MAX_OFFERS:
            return self._answer(message, "end", message="Too many keys were offered.")
        holder = None
        wanted = self._wanted(message.user)
        if shown is not None and isinstance(wanted, Wanted) and self._is_allowed(method) and message.key not in self.shown:
            try:
                holder = await self._holder(_gateway_user(wanted), shown, message.key)
            except BackendError as error:
                log.error("a login can't be judged", session=self.session.id, reason=str(error))
        return self._answer(message, "accepted" if holder is not None else "refused", methods=self._next())

    # How it is judged

    def _decided(self, message: Any, found: messages.Decision | messages.Prompts) -> messages.Decision:
        """Return a decision; a question to who may not be asked anything is a refusal."""
        return found if isinstance(found, messages.Decision) else self._answer(message, "refused", methods=self._next())

    async def _judged(
        self, message: Any, method: str, judge: Callable[[str], Awaitable[Person | Challenge | None]]
    ) -> messages.Decision | messages.Prompts:  # fmt: skip
        """Return what becomes of a try by a method."""
        began, session = time.monotonic(), self.session
        wanted = self._wanted(message.user)
        if self.backend is not None and self.failures.blocked_for(session.client[0]):
            wanted = _BLOCKED
        if (wrong := self._wrong_user(message)) or isinstance(wanted, str):
            return wrong or self._answer(message, "end", message=wanted)
        user = _gateway_user(wanted)
        if not self._is_allowed(method) or not user:
            return self._refused(message, began)
        await asyncio.sleep(self.failures.wait_for(user))
        try:
            found = await judge(user)
        except BackendError as error:
            log.error("a login can't be judged", session=session.id, reason=str(error))
            return self._answer(message, "refused", methods=self._next(), pause=pause(1, time.monotonic() - began))
        if isinstance(found, Challenge) and method == _PROMPTS:
            self.asking = found.state
            return _prompt(message, found.text, echo=found.echo)
        # Else a challenge is no success: a client that sent a password can't be asked, with keyboard-interactive it can.
        if isinstance(found, Person) and (self.person is None or self.person.name == found.name):
            return self._proven(message, method, found)
        if self.backend is not None:
            self.failures.failed(session.client[0], user)
            self.tell("gw_auth_failure", f"The login of {user} at the gateway was refused", user=user, method=method)
        return self._refused(message, began)

    def _refused(self, message: Any, began: float) -> messages.Decision:
        self.tries += 1
        wait = pause(self.tries, time.monotonic() - began)
        if self.tries >= MAX_TRIES:
            return self._answer(message, "end", pause=wait, message="Too many authentication failures.")
        return self._answer(message, "refused", methods=self._next(), pause=wait)

    def _proven(self, message: Any, method: str, person: Person) -> messages.Decision:
        before = self.person
        proofs_so_far = (*before.proofs, *person.proofs) if before is not None else person.proofs
        self.person = replace(person, proofs=tuple(dict.fromkeys(proofs_so_far)))
        self.done.append(method)
        rows = self._rows()
        if rows and all(len(row) > len(self.done) for row in rows):
            return self._answer(message, "partial", methods=self._next())
        return self._answer(message, "accepted", user=self.person.name, groups=self.person.groups)

    async def _check(self, user: str, answer: str, state: bytes | None = None) -> Person | Challenge | None:
        if self.backend is None:
            return Person()
        return await self.backend.check(user, answer, state) if 0 < len(answer.encode()) <= MAX_SECRET else None

    async def _holder(self, user: str, shown: proofs.ShownKey, blob: bytes) -> Person | None:
        """Return whose key it is; the certificate of an authority that is trusted says so itself."""
        if self.backend is None:
            return Person()
        if shown.certificate is None:
            return await self.backend.key_holder(user, blob)
        certificates = self.session.connection.policy.authentication.client.certificate
        try:
            proofs.check_user_certificate(shown, user, self.session.client[0], getattr(certificates, "authorities", ()))
        except proofs.UnusableKeyError as why:
            log.info("certificate refused", session=self.session.id, reason=str(why))
            return None
        found = await self.backend.known(user)
        authority = LoginProof("authority", proofs.authority_of(shown))
        return None if found is None else replace(found, proofs=(*found.proofs, authority))

    # What is allowed now

    def _rows(self) -> list[tuple[str, ...]]:
        """Return the rows of methods that together suffice and that fit what was proven so far; none: any method suffices."""
        rows = self.session.connection.rules.methods.require
        return [row for row in rows if row[: len(self.done)] == tuple(self.done)]

    def _is_allowed(self, method: str) -> bool:
        """Whether a method is one of those that may come next."""
        return method in self._next()

    def _next(self) -> tuple[str, ...]:
        methods = self.session.connection.rules.methods
        if methods.require:
            return tuple(dict.fromkeys(row[len(self.done)] for row in self._rows() if len(row) > len(self.done)))
        order = ("public_key", "certificate", _PROMPTS, "password")
        return tuple(name for name in order if getattr(methods, name))

    def _wanted(self, text: str) -> Wanted | str:
        try:
            return parse_login(text, inband=self.session.connection.rules.inband)
        except UnknownTargetError as why:
            return str(why)

    def _wrong_user(self, message: Any) -> messages.Decision | None:
        """Return the end of a login whose user changed; what was proven was proven for another."""
        if not self.session.user:
            self.session.user = message.user
        if message.user == self.session.user:
            return None
        return self._answer(message, "end", message="The user name changed in the middle of the login.")

    @staticmethod
    def _answer(to: Any, outcome: str, **members: Any) -> messages.Decision:
        return messages.Decision(session=to.session, ask=to.ask, outcome=outcome, **members)


def _gateway_user(wanted: Wanted) -> str:
    """Return who somebody claims to be at the gateway: who ``gu=`` names, else the user on the server."""
    return wanted.gateway or wanted.user


def _prompt(message: messages.TryPrompts, text: str, *, echo: bool = False) -> messages.Prompts:
    return messages.Prompts(session=message.session, ask=message.ask, prompts=((text, echo),))
