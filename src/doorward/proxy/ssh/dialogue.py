"""The dialogue of one client's login: whose turn it is, how long the client may take, and what it is asked."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple, TypeVar

from doorward.proxy.ssh.legs.client_leg import ClientLeg
from doorward.proxy.ssh.legs.negotiation import Agreement
from doorward.proxy.ssh.wire.errors import LegError, LegTimeoutError, ProtocolViolationError
from doorward.proxy.ssh.wire.fields import Fields
from doorward.proxy.ssh.wire.numbers import Disconnect, Message
from doorward.sessions.rules import SessionSettings

MAX_SECRET = 4096
MAX_ANSWERS = 64
IGNORE_SECONDS = 15
"""A client that waits for us hears something as often."""
PROMPTS = "keyboard-interactive"

_Result = TypeVar("_Result")


class RefusedError(LegError):
    """The client does not come in."""

    code = Disconnect.NO_MORE_AUTH_METHODS


class LoginRequest(NamedTuple):
    """What a client asks for. ``fields`` go on with what belongs to the method."""

    user: str
    service: str
    method: str
    fields: Fields


def login_request(payload: bytes) -> LoginRequest:
    """Return the request that a message is. Raises ProtocolViolationError for any other message."""
    if payload[0] != Message.USERAUTH_REQUEST:
        raise ProtocolViolationError("An answer came to no question")
    fields = Fields(payload)
    return LoginRequest(fields.text(), fields.text(), fields.text(), fields)


class LoginDialogue:
    """One client's. Its time runs while it has to say something, and stands still while we work."""

    def __init__(self, leg: ClientLeg, settings: SessionSettings) -> None:
        self.leg = leg
        self._settings = settings
        self._seconds = float(settings.login_seconds)
        self._tries = 0
        self._request: bytes | None = None
        """One that came in place of an answer, and is looked at next."""
        self.user = ""
        """The user name as the client gave it."""
        self.is_prompting = False
        """Whether the request that is being answered is keyboard-interactive."""
        self.is_admitted = False

    async def begin(self, known: Callable[[Agreement], None]) -> None:
        """Wait for the first keys, and for the client to ask for the service; greet it. ``known`` is told of the keys.

        Raises LegError.
        """
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            async with asyncio.timeout(self._seconds):
                agreement = await asyncio.shield(self.leg.keys.first)
                known(agreement)
                await self.leg.accept_service()
        except TimeoutError:
            raise LegTimeoutError("The time for the login is over") from None
        self._seconds -= loop.time() - began
        if self._settings.greeting:
            self.say(self._settings.greeting)

    def say(self, text: str) -> None:
        """Show the client a text, as terminals want it: whole lines."""
        self.leg.banner(text if text.endswith("\n") else text + "\r\n")

    async def receive(self) -> bytes:
        """Return the next message of the client, which has the time for its login to send it."""
        if self._request is not None:
            request, self._request = self._request, None
            return request
        while True:
            payload = await self._receive_any()
            if payload[0] != Message.SERVICE_REQUEST:
                return payload
            # Some clients ask for the service again before each try.
            self.leg.answer_service(payload)

    async def _receive_any(self) -> bytes:
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            async with asyncio.timeout(max(self._seconds, 0.0)):
                return await self.leg.receive()
        except TimeoutError:
            raise LegTimeoutError("The time for the login is over") from None
        finally:
            self._seconds -= loop.time() - began

    async def work(self, work: Awaitable[_Result]) -> _Result:
        """Wait for something of ours; the client's time stands still, and it hears from us."""
        task = asyncio.ensure_future(work)
        try:
            while True:
                done, _ = await asyncio.wait((task,), timeout=IGNORE_SECONDS)
                if done:
                    return task.result()
                if not self.is_admitted:
                    self.leg.ignore()
        finally:
            task.cancel()

    def keep_user(self, user: str) -> None:
        """Take the name of a request, which is the same in all of them. Raises ProtocolViolationError."""
        if self.user and user != self.user:
            raise ProtocolViolationError("The user name changed in the middle of the login")
        self.user = user

    def count_try(self) -> None:
        """Count a login that failed. Raises RefusedError when there were too many."""
        self._tries += 1
        if self._tries >= self._settings.login_tries:
            raise RefusedError("Too many authentication failures")

    @property
    def can_ask(self) -> bool:
        """Whether the client can still be asked."""
        return not self.is_admitted

    async def ask(self, name: str, instruction: str, prompts: tuple[tuple[str, bool], ...]) -> tuple[str, ...] | None:
        """Ask the client. One that logs in otherwise is told that this was a part, and that questions follow. None: no answer."""
        while not self.is_prompting:
            self.leg.fail((PROMPTS,), partial=True)
            request = login_request(await self.receive())
            self.keep_user(request.user)
            self.is_prompting = request.method == PROMPTS
            if not self.is_prompting:
                self.count_try()
        self.leg.ask(name, instruction, prompts)
        answer = await self.receive()
        if answer[0] != Message.USERAUTH_INFO_RESPONSE:
            # The client begins anew.
            self._request = answer
            return None
        fields = Fields(answer)
        count = fields.uint32()
        if count > MAX_ANSWERS:
            raise ProtocolViolationError("Too many answers came")
        answers = tuple(fields.text() for _ in range(count))
        if count != len(prompts) or any(len(given) > MAX_SECRET for given in answers):
            return None
        return answers

    def admit(self) -> ClientLeg:
        """Tell the client that it is in."""
        if not self.is_admitted:
            self.is_admitted = True
            self.leg.succeed()
        return self.leg
