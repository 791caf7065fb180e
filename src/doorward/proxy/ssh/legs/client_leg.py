"""The leg to the client: we are its server. The steps of its login are one call each; `gate` decides their order."""

from __future__ import annotations

import socket
from collections.abc import Iterable

from doorward.proxy.ssh.legs.exchange import SigningHostKey
from doorward.proxy.ssh.legs.host_keys import bind_host_keys
from doorward.proxy.ssh.legs.leg import Leg
from doorward.proxy.ssh.legs.negotiation import EXTENSIONS, STRICT_SERVER, Offer
from doorward.proxy.ssh.wire.errors import ExchangeError, ProtocolViolationError
from doorward.proxy.ssh.wire.fields import Fields, boolean, names, string, uint32
from doorward.proxy.ssh.wire.numbers import Message
from doorward.sessions.rules import AlgorithmLists, SessionSettings

SIGNATURES = (
    "ssh-ed25519",
    "sk-ssh-ed25519@openssh.com",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "rsa-sha2-512",
    "rsa-sha2-256",
)
"""What clients may sign with (RFC 8308, section 3.1)."""


class ClientLeg(Leg):
    """The leg to the client."""

    is_client = False
    what = "client"

    def __init__(self, sock: socket.socket, settings: SessionSettings, host_keys: Iterable[bytes]) -> None:
        super().__init__(sock, settings.client, rekey_bytes=settings.rekey_bytes, rekey_seconds=settings.rekey_seconds)
        self._host_keys = bind_host_keys(host_keys, settings.client.host_key)
        self._wants_extensions = False

    def extras(self) -> tuple[str, ...]:
        """See `key_exchange.Party`."""
        return (STRICT_SERVER,)

    def offered(self) -> AlgorithmLists:
        """See `key_exchange.Party`."""
        return replace_host_keys(self._algorithms, tuple(self._host_keys))

    def host_key(self, algorithm: str) -> SigningHostKey:
        """See `key_exchange.Party`."""
        try:
            return self._host_keys[algorithm]
        except KeyError:
            raise ExchangeError("There is no host key of that type") from None

    def note_offer(self, offer: Offer) -> None:
        """See `key_exchange.Party`."""
        self._wants_extensions = EXTENSIONS in offer.kex

    def greet(self) -> None:
        """See `key_exchange.Party`."""
        if self._wants_extensions:
            self.wire.send(bytes([Message.EXT_INFO]) + uint32(1) + string("server-sig-algs") + names(SIGNATURES))

    def _take_authentication(self, number: int, payload: bytes) -> None:
        if number not in {Message.USERAUTH_REQUEST, Message.USERAUTH_INFO_RESPONSE}:
            raise ProtocolViolationError(f"Message {number} is none of a client's login")
        if self._is_open:
            # Sent ahead of our answer; RFC 4252, section 5.1: silently ignored.
            return
        self._inbox.keep(payload)

    # --- the login ---

    async def accept_service(self) -> None:
        """Wait until the client asks for the authentication service."""
        self.answer_service(await self.receive())

    def answer_service(self, payload: bytes) -> None:
        """Answer a request for the authentication service; there is no other. Raises ProtocolViolationError."""
        if payload[0] != Message.SERVICE_REQUEST or Fields(payload).string() != b"ssh-userauth":
            raise ProtocolViolationError("The client asked for another service than its login")
        self.send(bytes([Message.SERVICE_ACCEPT]) + string("ssh-userauth"))

    def ignore(self) -> None:
        """Send what means nothing, so that a client that waits sees that we live."""
        self.send(bytes([Message.IGNORE]) + string(b""))

    def banner(self, text: str) -> None:
        """Show a text; only before `succeed`."""
        self.send(bytes([Message.USERAUTH_BANNER]) + string(text) + string(""))

    def fail(self, methods: Iterable[str], *, partial: bool = False) -> None:
        """Answer that the login is not done; ``methods`` can go on."""
        self.send(bytes([Message.USERAUTH_FAILURE]) + names(methods) + boolean(partial))

    def accept_key(self, algorithm: str, key: bytes) -> None:
        """Answer that a signature by this key would do."""
        self.send(bytes([Message.USERAUTH_PK_OK]) + string(algorithm) + string(key))

    def ask(self, name: str, instruction: str, prompts: Iterable[tuple[str, bool]]) -> None:
        """Ask the client; each prompt with whether the answer may be shown."""
        fields = [string(prompt) + boolean(shown) for prompt, shown in prompts]
        self.send(
            b"".join(
                (
                    bytes([Message.USERAUTH_INFO_REQUEST]),
                    string(name),
                    string(instruction),
                    string(""),
                    uint32(len(fields)),
                    *fields,
                )
            )
        )

    def succeed(self) -> None:
        """Let the client in."""
        self.send(bytes([Message.USERAUTH_SUCCESS]))
        self.opened()


def replace_host_keys(algorithms: AlgorithmLists, host_keys: tuple[str, ...]) -> AlgorithmLists:
    """The same algorithms with other types of host keys."""
    return AlgorithmLists(
        kex=algorithms.kex,
        host_key=host_keys,
        cipher=algorithms.cipher,
        mac=algorithms.mac,
        compression=algorithms.compression,
    )
