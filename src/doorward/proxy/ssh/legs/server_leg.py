"""The leg to the target: we are its client. Each way to log in is one call; `target` decides their order."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Awaitable, Callable, Iterable

from asyncssh import SSHKey
from msgspec import Struct

from doorward.proxy.ssh.legs.client_leg import replace_host_keys
from doorward.proxy.ssh.legs.host_keys import ServerKey, certificate_algorithm, key_algorithm
from doorward.proxy.ssh.legs.leg import Leg
from doorward.proxy.ssh.legs.negotiation import EXTENSIONS, STRICT_CLIENT
from doorward.proxy.ssh.wire.errors import ExchangeError, LegTimeoutError, ProtocolViolationError
from doorward.proxy.ssh.wire.fields import Fields, boolean, string, uint32
from doorward.proxy.ssh.wire.numbers import Message
from doorward.sessions.rules import AlgorithmLists, SessionSettings

SERVICE = "ssh-connection"
MAX_PROMPTS = 64
ANSWER_SECONDS = 120
"""How long a server may think about a step of the login; some wait on purpose."""
MAX_BANNERS = 32
MAX_BANNER = 16 * 1024
"""How many banners a server may show, and how long they may be together."""

Answer = Callable[[str, str, tuple[tuple[str, bool], ...]], Awaitable[tuple[str, ...] | None]]
"""Answers prompts: name, instruction, prompts with whether the answer may be shown. None: there is no answer."""
Sign = Callable[[bytes], Awaitable[bytes]]
"""Signs what RFC 4252, section 7 says; empty: there is no signature."""


class LoginAttempt(Struct, frozen=True):
    """What came of a try to log in. ``methods``: those that can go on."""

    is_done: bool
    methods: tuple[str, ...] = ()
    is_partial: bool = False


class ServerLeg(Leg):
    """The leg to the target. ``banner`` takes the texts that the target shows before a login."""

    is_client = True
    what = "server"

    def __init__(
        self,
        sock: socket.socket,
        settings: SessionSettings,
        *,
        known: Iterable[str] = (),
        certified: bool = False,
        banner: Callable[[str], None],
    ) -> None:
        super().__init__(sock, settings.server, rekey_bytes=settings.rekey_bytes, rekey_seconds=settings.rekey_seconds)
        self._host_keys = _order_host_keys(settings.server.host_key, set(known), certified=certified)
        self._banner = banner
        self._banners = 0
        self._banner_bytes = 0
        self._asked = False
        self.server_key: ServerKey | None = None
        self.signatures: tuple[str, ...] = ()
        """What the server takes signatures with, if it said so (RFC 8308, section 3.1)."""

    def extras(self) -> tuple[str, ...]:
        """See `key_exchange.Party`."""
        return (EXTENSIONS, STRICT_CLIENT)

    def offered(self) -> AlgorithmLists:
        """See `key_exchange.Party`."""
        return replace_host_keys(self._algorithms, self._host_keys)

    def judge_host_key(self, data: bytes) -> SSHKey:
        """See `key_exchange.Party`."""
        agreement = self.keys.agreement
        if agreement is None:
            raise ExchangeError("A host key came without a key exchange")
        key = ServerKey(data, agreement.host_key)
        if self.server_key is not None and self.server_key.data != data:
            raise ExchangeError("The server changed its host key within a connection")
        self.server_key = key
        return key

    def _take_extensions(self, fields: Fields) -> None:
        for _ in range(min(fields.uint32(), 64)):
            name, value = fields.text(), fields.text()
            if name == "server-sig-algs":
                self.signatures = tuple(map(sys.intern, value.split(",")))

    def _take_authentication(self, number: int, payload: bytes) -> None:
        if number == Message.USERAUTH_BANNER and not self._is_open:
            text = Fields(payload).text()
            self._banners += 1
            self._banner_bytes += len(payload)
            if self._banners > MAX_BANNERS or self._banner_bytes > MAX_BANNER:
                raise ProtocolViolationError("The server shows banners without end")
            self._banner(text)
            return
        if not self._asked:
            raise ProtocolViolationError(f"Message {number} answers nothing")
        self._asked = False
        if number == Message.USERAUTH_SUCCESS:
            # Channels may be spoken of in the very next message.
            self.opened()
        self._inbox.keep(payload)

    # --- the login ---

    async def ask_service(self) -> None:
        """Ask for the authentication service. Raises ProtocolViolationError."""
        self.send(bytes([Message.SERVICE_REQUEST]) + string("ssh-userauth"))
        payload = await self._answer()
        if payload[0] != Message.SERVICE_ACCEPT:
            raise ProtocolViolationError("The server answers the first request by something else")

    def _request(self, user: str, method: str, fields: bytes) -> bytes:
        return b"".join((bytes([Message.USERAUTH_REQUEST]), string(user), string(SERVICE), string(method), fields))

    async def _try(self, request: bytes) -> bytes:
        self._asked = True
        self.send(request)
        return await self._answer()

    async def _answer(self) -> bytes:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await self.receive()
        except TimeoutError:
            raise LegTimeoutError("The server does not answer the login") from None

    @staticmethod
    def _read_end(payload: bytes) -> LoginAttempt:
        if payload[0] == Message.USERAUTH_SUCCESS:
            return LoginAttempt(is_done=True)
        if payload[0] == Message.USERAUTH_FAILURE:
            fields = Fields(payload)
            return LoginAttempt(is_done=False, methods=fields.names(), is_partial=fields.boolean())
        raise ProtocolViolationError(f"Message {payload[0]} is no answer to a login")

    async def try_none(self, user: str) -> LoginAttempt:
        """Ask which ways there are."""
        return self._read_end(await self._try(self._request(user, "none", b"")))

    async def try_password(self, user: str, password: str) -> LoginAttempt:
        """Try a password. A server that wants it changed refuses it."""
        payload = await self._try(self._request(user, "password", boolean(False) + string(password)))  # noqa: FBT003 - no change
        if payload[0] == Message.USERAUTH_PASSWD_CHANGEREQ:
            return LoginAttempt(is_done=False)
        return self._read_end(payload)

    async def try_prompts(self, user: str, answer: Answer) -> LoginAttempt:
        """Log in by keyboard-interactive (RFC 4256). Raises ProtocolViolationError."""
        payload = await self._try(self._request(user, "keyboard-interactive", string("") + string("")))
        while payload[0] == Message.USERAUTH_INFO_REQUEST:
            fields = Fields(payload)
            name, instruction = fields.text(), fields.text()
            fields.string()
            count = fields.uint32()
            if count > MAX_PROMPTS:
                raise ProtocolViolationError("The server asks too much at once")
            prompts = tuple((fields.text(), fields.boolean()) for _ in range(count))
            answers = await answer(name, instruction, prompts)
            if answers is None or len(answers) != count:
                return LoginAttempt(is_done=False)
            payload = await self._try(
                b"".join((bytes([Message.USERAUTH_INFO_RESPONSE]), uint32(count), *(string(given) for given in answers)))
            )
        return self._read_end(payload)

    async def try_key(self, user: str, algorithm: str, key: bytes, sign: Sign) -> LoginAttempt:
        """Log in by a public key or certificate; asked first whether it would do."""
        named = string(algorithm) + string(key)
        payload = await self._try(self._request(user, "publickey", boolean(False) + named))  # noqa: FBT003 - no signature yet
        if payload[0] != Message.USERAUTH_PK_OK:
            return self._read_end(payload)
        request = self._request(user, "publickey", boolean(True) + named)  # noqa: FBT003 - with a signature
        signature = await sign(string(self.keys.session_id) + request)
        if not signature:
            return LoginAttempt(is_done=False)
        return self._read_end(await self._try(request + string(signature)))


def _order_host_keys(wanted: tuple[str, ...], known: set[str], *, certified: bool) -> tuple[str, ...]:
    """What we ask a server for: certificates first where an authority is trusted, then types whose key is known."""
    certificates = tuple(certificate_algorithm(name) for name in wanted) if certified else ()
    first = tuple(name for name in wanted if key_algorithm(name) in known)
    return (*certificates, *first, *(name for name in wanted if name not in first))
