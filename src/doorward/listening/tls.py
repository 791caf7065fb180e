"""TLS of listeners: which context a connection gets. It is looked up anew for each one, so that certificates change in place."""

from __future__ import annotations

import hashlib
import hmac
import socket
import ssl
from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import Protocol

from msgspec import Struct

from doorward.host.errors import HostError
from doorward.host.resources import Listener, ServerCertificate
from doorward.host.tls import modern, show

SecretText = Callable[[str], str | None]

_MAX_CERTIFICATES = 8
"""Of listeners whose contexts are kept; a node shows one, and two while that changes."""


class ServerIdentity(Struct, frozen=True):
    """The TLS context of a server, and the SHA-256, in hex, of the certificate that it shows."""

    context: ssl.SSLContext
    fingerprint: str


class ServerIdentities(Protocol):
    """Knows who a server says it is. Blocks; in any thread. Raises HostError."""

    def load(self, listener: Listener) -> ServerIdentity:
        """Return what connections of a listener get to see, made anew."""

    def at(self, listener: Listener) -> ServerIdentity | None:
        """Return the same if it is at hand. Does not block."""


class FixedTls:
    """The same for every listener."""

    def __init__(self, identity: ServerIdentity) -> None:
        self._identity = identity

    def load(self, _listener: Listener) -> ServerIdentity:
        """Return it."""
        return self._identity

    def at(self, _listener: Listener) -> ServerIdentity:
        """Return it."""
        return self._identity


class ConfiguredTls:
    """The certificate that the configuration has for a listener. ``secret`` gives the text of a private key by its name."""

    def __init__(self, secret: SecretText) -> None:
        self._secret = secret
        self._made: OrderedDict[ServerCertificate, ServerIdentity] = OrderedDict()
        self._lock = Lock()

    def load(self, listener: Listener) -> ServerIdentity:
        """Make and keep a context. Raises HostError where certificate or key are not here, or OpenSSL does not take them."""
        shown = listener.shows
        if shown is None:
            raise HostError(f"there is no certificate for {listener.name}")
        key = self._secret(shown.private_key)
        if key is None:
            raise HostError("the private key of the server's certificate is not here")
        try:
            made = ServerIdentity(context(shown.certificates, key), shown.fingerprint)
        except (OSError, ssl.SSLError) as error:
            raise HostError("the certificate of the server can't be used") from error
        with self._lock:
            self._made[shown] = made
            self._made.move_to_end(shown)
            while len(self._made) > _MAX_CERTIFICATES:
                self._made.popitem(last=False)
        return made

    def at(self, listener: Listener) -> ServerIdentity | None:
        """Return a context that was made."""
        return None if listener.shows is None else self._made.get(listener.shows)


def context(certificates: str, private_key: str) -> ssl.SSLContext:
    """Return a server context for a chain and its key, in PEM. Raises ssl.SSLError where they are none."""
    found = modern(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
    show(found, certificates + private_key)
    found.set_alpn_protocols(["http/1.1"])
    return found


def check_shown(source: socket.socket, listener: Listener, fingerprint: str) -> None:
    """Finish a handshake as a client and compare what is shown. Raises HostError, or OSError."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname, made.verify_mode = False, ssl.CERT_NONE  # the certificate is compared as a whole
    with made.wrap_socket(source) as connection:
        shown = hashlib.sha256(connection.getpeercert(binary_form=True) or b"").hexdigest()
    if not hmac.compare_digest(shown, fingerprint):
        raise HostError(f"{listener.name} shows another certificate than the configured one")
