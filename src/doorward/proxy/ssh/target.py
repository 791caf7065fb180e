"""The way to the target: connect, know it by its host key, log in there by the ways that control offers."""

from __future__ import annotations

import asyncio
import base64
import os
import socket
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from doorward.proxy import messages
from doorward.proxy.ssh.legs.agent import AgentChannel, NoAgentError
from doorward.proxy.ssh.legs.host_keys import RSA, ServerKey, certificate_algorithm
from doorward.proxy.ssh.legs.server_leg import LoginAttempt, ServerLeg
from doorward.proxy.ssh.ports import Control
from doorward.proxy.ssh.wire.fields import Fields
from doorward.proxy.ssh.wire.numbers import Disconnect
from doorward.sessions.rules import Relayed, SessionSettings

if TYPE_CHECKING:
    from doorward.proxy.ssh.gate import Gate

CONNECT_SECONDS = 30
AGENT_SECONDS = 120
"""How long the client's agent may take; somebody may have to touch a token."""
PASSWORD = "password"  # noqa: S105 - the name of a method
PROMPTS = "keyboard-interactive"
KEY = "publickey"

KeySign = Callable[[str, bytes], Awaitable[bytes]]
"""Signs data (RFC 4252, section 7) by an algorithm."""


class TargetError(Exception):
    """The target can't be used. The text is for the client. ``event``: what control is told."""

    def __init__(self, reason: str, event: str, code: int = Disconnect.BY_APPLICATION) -> None:
        super().__init__(reason)
        self.event = event
        self.code = code


async def _connect(target: messages.TargetAnswer) -> tuple[socket.socket, str]:
    """Connect to the first address that answers; the socket and that address."""
    loop = asyncio.get_running_loop()
    reason = "it has no address"
    for address in target.addresses:
        sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
        sock.setblocking(False)  # noqa: FBT003 - Python's own
        try:
            if target.source is not None:
                sock.bind((target.source, 0))
            async with asyncio.timeout(CONNECT_SECONDS / len(target.addresses)):
                await loop.sock_connect(sock, (address, target.port))
        except TimeoutError:
            reason = "it does not answer"
        except OSError as error:
            reason = os.strerror(error.errno).lower() if error.errno else "no connection"
        except BaseException:
            sock.close()
            raise
        else:
            return sock, address
        sock.close()
    raise TargetError(f"Can't connect to {target.name}: {reason}", "connection_failed")


class SessionTarget:
    """The target of a session. ``banner`` shows the client what the target says before the login."""

    def __init__(self, control: Control, settings: SessionSettings, banner: Callable[[str], None]) -> None:
        self._control = control
        self._settings = settings
        self._banner = banner
        self._target = messages.TargetAnswer(session="", ask=0)
        self._methods: tuple[str, ...] | None = None
        self.leg: ServerLeg | None = None
        self.address = ""
        self.method = ""
        """How the login was done, once it was."""

    @property
    def connected(self) -> ServerLeg:
        """The leg to the target, once there is one. Raises RuntimeError."""
        if self.leg is None:
            raise RuntimeError("The target is not connected.")
        return self.leg

    async def connect(self, target: messages.TargetAnswer) -> ServerLeg:
        """Connect and check the host key; nothing of the login is sent before. Raises TargetError, LegError."""
        self._target = target
        sock, self.address = await _connect(target)
        leg = self.leg = ServerLeg(
            sock,
            self._settings,
            known=[key.split(" ", 1)[0] for key in target.keys],
            certified=bool(target.authorities),
            banner=self._banner,
        )
        leg.start()
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await asyncio.shield(leg.keys.first)
        except TimeoutError:
            raise TargetError(f"{target.name} does not speak SSH", "connection_failed") from None
        if leg.server_key is None:
            raise TargetError(f"{target.name} showed no host key", "connection_failed")
        await self._judge(leg.server_key)
        await leg.ask_service()
        return leg

    async def _judge(self, key: ServerKey) -> None:
        target = self._target
        if not target.check or key.is_vouched_for(target.authorities, target.name):
            return
        # Of several addresses each may have keys of its own, and which is whose control knows.
        if len(target.addresses) == 1 and key.is_one_of(target.keys):
            return
        answer = await self._control.judge_host_key(self.address, target.port, key.shown)
        if not answer.trusted:
            reason = answer.reason or "its host key is not trusted"
            raise TargetError(f"{target.name} is not the server it should be: {reason}", "", Disconnect.HOST_KEY_NOT_VERIFIABLE)

    # --- the login ---

    async def login(self, gate: Gate) -> LoginAttempt:
        """Try the ways that are offered, in order, with what the client showed. Partial successes are gone on from."""
        leg, user = self.connected, self._target.user
        attempt = LoginAttempt(is_done=False, methods=self._methods or ())
        if self._methods is None:
            attempt = await leg.try_none(user)
        for way in self._target.offers:
            if attempt.is_done:
                break
            if not gate.suits(way):
                continue
            attempt = await self._try(way, attempt, gate)
            self._methods = attempt.methods
        if attempt.is_done and not self.method:
            self.method = "none"
        return attempt

    async def _try(self, way: Relayed, before: LoginAttempt, gate: Gate) -> LoginAttempt:
        """Try one way; ``before`` is what came of the last one."""
        match way:
            case Relayed.SAME_PASSWORD:
                result = await self._try_password(gate.password, before)
            case Relayed.KEYBOARD_INTERACTIVE:
                result = await self._try_prompts(before, gate)
            case Relayed.PASSWORD_PROMPT:
                result = await self._ask_password(before, gate)
            case Relayed.AGENT:
                result = await self._try_agent(before, gate)
            case _:
                result = await self._try_credential(way, before)
        if result.is_done or result.is_partial:
            self.method = way.value
        # A server names its methods in a failure only.
        return result if result.methods or result.is_done else LoginAttempt(is_done=False, methods=before.methods)

    async def _try_password(self, password: str | None, before: LoginAttempt) -> LoginAttempt:
        leg, user = self.connected, self._target.user
        if password is None:
            return before
        if PASSWORD in before.methods:
            return await leg.try_password(user, password)
        if PROMPTS in before.methods:
            rest = [password]

            async def answer(name: str, instruction: str, prompts: tuple[tuple[str, bool], ...]) -> tuple[str, ...] | None:
                """Answer the one hidden question that a password is; nothing else."""
                del name, instruction
                if not prompts:
                    return ()
                if len(prompts) == 1 and not prompts[0][1] and rest:
                    return (rest.pop(),)
                return None

            return await leg.try_prompts(user, answer)
        return before

    async def _try_prompts(self, before: LoginAttempt, gate: Gate) -> LoginAttempt:
        leg = self.connected
        if PROMPTS not in before.methods or not gate.dialogue.can_ask:
            return before
        return await leg.try_prompts(self._target.user, gate.dialogue.ask)

    async def _ask_password(self, before: LoginAttempt, gate: Gate) -> LoginAttempt:
        if not gate.dialogue.can_ask or not {PASSWORD, PROMPTS} & set(before.methods):
            return before
        answers = await gate.dialogue.ask("", "", ((f"{self._target.user}@{self._target.name}'s password: ", False),))
        return before if answers is None else await self._try_password(answers[0], before)

    async def _try_credential(self, way: Relayed, before: LoginAttempt) -> LoginAttempt:
        credential = await self._control.want_credential(way)
        attempt = before
        for text in credential.public_keys:
            if KEY not in attempt.methods:
                break

            async def sign(algorithm: str, data: bytes, text: str = text) -> bytes:
                return await self._control.want_signature(text, algorithm, data)

            attempt = await self._try_key(_blob(text), sign, attempt)
            if attempt.is_done or attempt.is_partial:
                return attempt
        if credential.password is not None:
            return await self._try_password(credential.password, attempt)
        return attempt

    async def _try_key(self, key: bytes, sign: KeySign, before: LoginAttempt) -> LoginAttempt:
        leg = self.connected
        algorithm = _signature_algorithm(Fields(key, 0).text(), leg.signatures)

        async def signed(data: bytes) -> bytes:
            return await sign(algorithm, data)

        attempt = await leg.try_key(self._target.user, algorithm, key, signed)
        return attempt if attempt.is_done or attempt.methods else before

    async def _try_agent(self, before: LoginAttempt, gate: Gate) -> LoginAttempt:
        if KEY not in before.methods:
            return before
        # An agent can only be reached by a client that is in: what comes from now on ends the session if it fails.
        client = gate.dialogue.admit()
        agent = AgentChannel(client.send)
        client.aside = agent.take
        attempt = before
        try:
            async with asyncio.timeout(AGENT_SECONDS):
                attempt = await self._try_keys_of(agent, before)
                await agent.close()
        except (NoAgentError, TimeoutError):
            return attempt
        finally:
            client.aside = None
        return attempt

    async def _try_keys_of(self, agent: AgentChannel, before: LoginAttempt) -> LoginAttempt:
        attempt = before
        try:
            await agent.open()
            for key in await agent.keys():

                async def sign(algorithm: str, data: bytes, key: bytes = key) -> bytes:
                    return await agent.sign(key, algorithm, data)

                attempt = await self._try_key(key, sign, attempt)
                if attempt.is_done or attempt.is_partial or KEY not in attempt.methods:
                    break
        except NoAgentError:
            pass
        return attempt


def _blob(text: str) -> bytes:
    """The bytes of an OpenSSH public key."""
    return base64.b64decode(text.split()[1])


def _signature_algorithm(key: str, supported: tuple[str, ...]) -> str:
    """What to sign with: RSA keys can do several, all others one. A server that says nothing is an old one."""
    plain = key.removesuffix("-cert-v01@openssh.com")
    if plain == RSA:
        for name in ("rsa-sha2-512", "rsa-sha2-256"):
            if name in supported:
                return certificate_algorithm(name) if key != plain else name
    return key
