"""TLS of the web listeners, with the identity of the configuration."""

from __future__ import annotations

import ssl
from collections.abc import Callable

from doorward.api.server import Identity
from doorward.host.errors import HostError
from doorward.host.resources import Listener
from doorward.host.tls import modern, show

SecretText = Callable[[str], str | None]


def context(certificates: str, private_key: str) -> ssl.SSLContext:
    """Return a server context for a chain and its key, in PEM. Raises ssl.SSLError where they are none."""
    found = modern(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
    show(found, certificates + private_key)
    found.set_alpn_protocols(["http/1.1"])
    return found


def web_identity(secret: SecretText) -> Callable[[Listener], Identity | None]:
    """Return who a web listener says it is. ``secret`` gives the text of a private key by its name."""

    def identity(listener: Listener) -> Identity | None:
        shown = listener.shows
        if shown is None:
            raise HostError(f"there is no certificate for {listener.name}")
        key = secret(shown.private_key)
        if key is None:
            raise HostError("the private key of the server's certificate is not here")
        try:
            return Identity(context(shown.certificates, key), shown.fingerprint)
        except (OSError, ssl.SSLError) as error:
            raise HostError("the certificate of the server can't be used") from error

    return identity


def no_identity(_listener: Listener) -> Identity | None:
    """Return that there is no TLS: for redirects, and for measurements."""
    return None
