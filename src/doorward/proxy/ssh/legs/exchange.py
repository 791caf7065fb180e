"""Key exchange by asyncssh's handlers. The only module that uses names that asyncssh does not publish.

asyncssh's handlers of key exchanges (`asyncssh.kex.Kex`) know their connection by a few methods: `Side` has just these, so
nothing else of asyncssh's connection takes part. Which names are meant is kept by ``tests/unit/proxy/ssh/legs/test_exchange.py``.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from typing import Any, Protocol

from asyncssh import DisconnectError, SSHKey
from asyncssh.kex import get_kex
from asyncssh.packet import SSHPacket
from cryptography.utils import CryptographyDeprecationWarning

from doorward.proxy.ssh.wire.errors import ExchangeError
from doorward.proxy.ssh.wire.fields import string


class SigningHostKey(Protocol):
    """A host key of ours, bound to an algorithm of signatures."""

    public_data: bytes

    def sign(self, data: bytes) -> bytes:
        """A signature as it goes over the wire."""


class Side:
    """What asyncssh's handlers are given for a connection.

    ``prefix``: the identifications and KEXINITs of both, client first; ``send``: sends a message; ``finish``: takes the shared
    secret and the hash. ``host_key``: ours, as the server; ``judge``: looks at the server's, as the client.
    """

    logger = None

    def __init__(
        self,
        prefix: tuple[bytes, bytes, bytes, bytes],
        send: Callable[[bytes], None],
        finish: Callable[[bytes, bytes], None],
        *,
        host_key: SigningHostKey | None = None,
        judge: Callable[[bytes], SSHKey] | None = None,
    ) -> None:
        self._prefix = b"".join(string(part) for part in prefix)
        self._send = send
        self._finish = finish
        self._host_key = host_key
        self._judge = judge

    def is_client(self) -> bool:
        """Whether we began the connection."""
        return self._judge is not None

    def is_server(self) -> bool:
        """Whether the peer began the connection."""
        return self._judge is None

    def get_hash_prefix(self) -> bytes:
        """What both sides said before."""
        return self._prefix

    def send_packet(self, pkttype: int, *args: bytes, handler: object = None) -> None:
        """Send a message of the exchange."""
        del handler
        self._send(bytes([pkttype]) + b"".join(args))

    def send_newkeys(self, k: bytes, h: bytes) -> None:
        """Take the result. asyncssh calls this only after the signature of the server was made or found right."""
        self._finish(k, h)

    def get_server_host_key(self) -> SigningHostKey | None:
        """The key to sign with."""
        return self._host_key

    def validate_server_host_key(self, key_data: bytes) -> SSHKey:
        """The key to check the signature with. Raises ExchangeError."""
        if self._judge is None:
            raise ExchangeError("A client has no host key")
        return self._judge(key_data)


class KexComputation:
    """One key exchange."""

    def __init__(self, name: str, side: Side) -> None:
        self._guarded(self._make, name, side)

    def _make(self, name: str, side: Side) -> None:
        self._kex: Any = get_kex(side, name.encode())  # type: ignore[arg-type] # a `Side` is all that a handler uses

    @staticmethod
    def _guarded(act: Callable[..., None], *args: object) -> None:
        """Run a step on what the peer sent; whatever goes wrong is a key exchange that failed."""
        try:
            with warnings.catch_warnings():
                # Classic groups will leave `cryptography` one day; until then devices need them.
                warnings.simplefilter("ignore", CryptographyDeprecationWarning)
                act(*args)
        except ExchangeError:
            raise
        except DisconnectError as error:
            raise ExchangeError(f"The key exchange failed: {error.reason}") from None
        except Exception as error:
            raise ExchangeError("The key exchange failed") from error

    def start(self) -> None:
        """Send the first message, as the client."""
        self._guarded(self._start)

    def _start(self) -> None:
        # A coroutine that waits for nothing.
        started = self._kex.start()
        try:
            started.send(None)
        except StopIteration:
            return
        started.close()
        raise ExchangeError("The key exchange wants to wait")

    def take(self, payload: bytes) -> None:
        """Take a message of the peer."""
        self._guarded(self._take, payload)

    def _take(self, payload: bytes) -> None:
        result = self._kex.process_packet(payload[0], 0, SSHPacket(payload[1:]))
        if inspect.isawaitable(result):
            raise ExchangeError("The key exchange wants to wait")
        if not result:
            raise ExchangeError(f"Message {payload[0]} has no place in this key exchange")

    def derive(self, k: bytes, h: bytes, session: bytes) -> Callable[[bytes, int], bytes]:
        """What makes keys from the result (RFC 4253, section 7.2): by letter and length."""
        kex = self._kex

        def make(letter: bytes, length: int) -> bytes:
            return bytes(kex.compute_key(k, h, letter, session, length))

        return make
