"""How the identity of a server is checked: by authorities and names, or by the digest of its public key."""

from __future__ import annotations

import base64
import binascii
import hmac
import ipaddress
import socket
import ssl
from pathlib import Path
from urllib.parse import urlsplit

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import load_der_x509_certificate

from doorward.client.errors import UnsendableError
from doorward.host.tls import client_context

_PREFIX = "sha256//"
_SECONDS = 5.0


class WrongKeyError(ssl.SSLCertVerificationError):
    """The server has another public key than the pinned one."""


class _PinnedSocket(ssl.SSLSocket):
    """Says nothing to a server with another key: the handshake fails."""

    def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002 - of the class above
        """Shake hands, then compare."""
        super().do_handshake(block)
        if isinstance(self.context, _PinnedContext):
            self.context.compare(self.getpeercert(binary_form=True) or b"")


class _PinnedObject(ssl.SSLObject):
    """The same for connections of an event loop."""

    def do_handshake(self) -> None:
        """Shake hands, then compare."""
        super().do_handshake()
        if isinstance(self.context, _PinnedContext):
            self.context.compare(self.getpeercert(binary_form=True) or b"")


class _PinnedContext(ssl.SSLContext):
    sslsocket_class = _PinnedSocket
    sslobject_class = _PinnedObject
    pin = ""

    def compare(self, certificate: bytes) -> None:
        """Raise WrongKeyError where a certificate, in DER, has not the pinned key."""
        shown = pin_of(certificate)
        if not hmac.compare_digest(shown, self.pin):
            raise WrongKeyError(f"its key is {shown}, not the pinned one")


def pin_of(certificate: bytes) -> str:
    """Return the digest of the public key of a certificate in DER, in the form that curl takes as well."""
    key = load_der_x509_certificate(certificate).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    digest = hashes.Hash(hashes.SHA256())
    digest.update(key)
    return _PREFIX + base64.b64encode(digest.finalize()).decode()


def _checked(pin: str) -> str:
    try:
        raw = base64.b64decode(pin.removeprefix(_PREFIX), validate=True) if pin.startswith(_PREFIX) else b""
    except binascii.Error:
        raw = b""
    if len(raw) != hashes.SHA256.digest_size:
        raise UnsendableError(f"must be {_PREFIX} and 32 bytes in base64, not {pin}")
    return _PREFIX + base64.b64encode(raw).decode()


def pinned(pin: str) -> ssl.SSLContext:
    """Return a context that trusts one public key, ``sha256//BASE64``, and no name or authority. Raises UnsendableError."""
    made = _PinnedContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname, made.verify_mode, made.pin = False, ssl.CERT_NONE, _checked(pin)
    return made


def verified(ca: Path | None = None) -> ssl.SSLContext:
    """Return a context that trusts the authorities of a file in PEM, or those of the system. Raises OSError, ssl.SSLError."""
    return client_context(ca)


def shown_pin(url: str) -> str | None:
    """Return the pin of whatever answers at an address, for people to compare; nothing is sent to it."""
    parts = urlsplit(url)
    context = client_context(checked=False)
    try:
        with (
            socket.create_connection((parts.hostname or "", parts.port or 443), _SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=parts.hostname) as secured,
        ):
            return pin_of(secured.getpeercert(binary_form=True) or b"")
    except (OSError, ValueError):
        return None


def checked_url(url: str) -> str:
    """Return the address of a server without a path. Raises UnsendableError."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme == "https" and parts.hostname and not parts.username and (parts.port or 443)
        if usable and not (parts.path.strip("/") or parts.query or parts.fragment):
            return f"https://{parts.netloc}"
    except ValueError:
        pass  # brackets or a port that are none
    raise UnsendableError(f"must be https://HOST:PORT, not {url}")


def on_this_machine(url: str) -> bool:
    """Whether an address is that of the machine itself."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
