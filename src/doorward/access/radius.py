"""Asking RADIUS servers who somebody is (RFC 2865), with their challenges.

Every request carries a Message-Authenticator, and answers without a right one are passed over (RFC 3579, section 3.2; against
CVE-2024-3596). Passwords go by PAP, hidden by the shared secret alone, so the network between has to be trusted.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING

from msgspec import Struct

from doorward.tree.plaintext import plain

if TYPE_CHECKING:
    from pyrad.dictionary import Dictionary
    from pyrad.packet import AuthPacket, Packet

MAX_USER = 253
MAX_PASSWORD = 128
"""Bytes of what is asked with (RFC 2865, sections 5.1 and 5.2)."""
MAX_MESSAGE = 1024
_TRIES = 2
"""How often one server is asked, within its time."""
_VIRTUAL = 5
"""NAS-Port-Type of what has no port."""
_NO_ECHO = 0
"""Prompt (RFC 2869, section 5.10): the answer is not shown."""

_DICTIONARY = """
ATTRIBUTE User-Name 1 string
ATTRIBUTE User-Password 2 octets
ATTRIBUTE Reply-Message 18 octets
ATTRIBUTE State 24 octets
ATTRIBUTE Calling-Station-Id 31 string
ATTRIBUTE NAS-Identifier 32 string
ATTRIBUTE NAS-Port-Type 61 integer
ATTRIBUTE Prompt 76 integer
ATTRIBUTE Message-Authenticator 80 octets
"""


class RadiusError(Exception):
    """No server gave an answer that counts. The message says what was wrong with each."""


class RadiusEndpoint(Struct, frozen=True):
    """A server. ``secret`` returns what is shared with it; it may block."""

    host: str
    port: int
    secret: Callable[[], str | None]


class Reply(Struct, frozen=True):
    """What a server says. ``state`` not None: it asks ``message`` and wants the answer with it."""

    accepted: bool
    message: str = ""
    state: bytes | None = None
    echo: bool = False


class Radius:
    """Servers that are asked in order until one answers, each for ``timeout`` seconds at most.

    ``node``: what the gateway calls itself; ``client``: the address of who logs in.
    """

    def __init__(self, servers: Sequence[RadiusEndpoint], timeout: float, node: str, client: str) -> None:
        self._servers, self._timeout, self._node, self._client = servers, timeout, node, client

    def ask(self, user: str, password: str, state: bytes | None = None) -> Reply:
        """Try a password, or the answer to a challenge. Blocks. Raises RadiusError."""
        from pyrad.client import Timeout
        from pyrad.packet import PacketError

        if len(user.encode()) > MAX_USER or len(password.encode()) > MAX_PASSWORD:
            return Reply(accepted=False)
        failures = []
        # What a server calls State is for itself alone; which of them it was goes along in front of it.
        servers = enumerate(self._servers) if state is None else [(state[0], self._servers[state[0]])]
        for index, server in servers:
            try:
                return self._asked(server, index, user, password, None if state is None else state[1:])
            except Timeout:
                failures.append(f"{server.host}:{server.port} gave no answer that is signed with the shared secret")
            except OSError as error:
                failures.append(f"{server.host}:{server.port}: {error.strerror or error}")
            except (PacketError, ValueError) as error:
                failures.append(f"{server.host}:{server.port}: {error}")
        raise RadiusError("; ".join(failures) or "there is no server")

    def _asked(self, server: RadiusEndpoint, index: int, user: str, password: str, state: bytes | None) -> Reply:
        from pyrad.client import Client

        secret = server.secret()
        if not secret:
            raise ValueError("its secret is not here")
        client = Client(
            server.host, authport=server.port, secret=secret.encode(), dict=_dictionary(), retries=_TRIES,
            timeout=self._timeout / _TRIES, enforce_ma=True,
        )  # fmt: skip
        request: AuthPacket = client.CreateAuthPacket()
        request["User-Name"] = user
        request["User-Password"] = request.PwCrypt(password)
        request["NAS-Identifier"] = self._node
        request["NAS-Port-Type"] = _VIRTUAL
        request["Calling-Station-Id"] = self._client
        if state:
            request["State"] = state
        try:
            return _read(client.SendPacket(request), index)
        finally:
            client._CloseSocket()  # noqa: SLF001 - it has no public way to let go of its socket


def _read(reply: Packet, index: int) -> Reply:
    from pyrad.packet import AccessAccept, AccessChallenge, AccessReject

    message = plain(b" ".join(reply.get("Reply-Message", [])).decode("utf-8", "replace"), MAX_MESSAGE)
    match reply.code:
        case code if code == AccessAccept:
            return Reply(accepted=True, message=message)
        case code if code == AccessReject:
            return Reply(accepted=False, message=message)
        case code if code == AccessChallenge:
            state = bytes([index]) + b"".join(reply.get("State", []))
            return Reply(accepted=False, message=message, state=state, echo=reply.get("Prompt", [_NO_ECHO])[0] != _NO_ECHO)
        case code:
            raise ValueError(f"it answered with the code {code}")


@cache
def _dictionary() -> Dictionary:
    from pyrad.dictionary import Dictionary

    return Dictionary(io.StringIO(_DICTIONARY))
