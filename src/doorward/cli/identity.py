"""How the identity of a server is checked: by authorities and names, or by the digest of its public key."""

from __future__ import annotations

import base64
import binascii
import hmac
import socket
import ssl
from pathlib import Path
from urllib.parse import urlsplit

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import load_der_x509_certificate

from doorward.cli.failures import Usage
from doorward.cli.target import CommandTarget
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
        context = self.context
        assert isinstance(context, _PinnedContext)  # noqa: S101 - nothing else makes these
        shown = pin_of(self.getpeercert(binary_form=True) or b"")
        if not hmac.compare_digest(shown, context.pin):
            raise WrongKeyError(f"its key is {shown}, not the pinned one")


class _PinnedContext(ssl.SSLContext):
    sslsocket_class = _PinnedSocket
    pin = ""


def pin_of(certificate: bytes) -> str:
    """Return the digest of the public key of a certificate in DER, in the form that curl takes as well."""
    key = load_der_x509_certificate(certificate).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    digest = hashes.Hash(hashes.SHA256())
    digest.update(key)
    return _PREFIX + base64.b64encode(digest.finalize()).decode()


def _checked(pin: str, origin: str) -> str:
    try:
        raw = base64.b64decode(pin.removeprefix(_PREFIX), validate=True) if pin.startswith(_PREFIX) else b""
    except binascii.Error:
        raw = b""
    if len(raw) != hashes.SHA256.digest_size:
        raise Usage(f"{origin} must be {_PREFIX} and 32 bytes in base64, not {pin}.")
    return _PREFIX + base64.b64encode(raw).decode()


def trust(target: CommandTarget) -> ssl.SSLContext:
    """Return what the server is checked with. Raises Usage."""
    if target.pin:
        pinned = _PinnedContext(ssl.PROTOCOL_TLS_CLIENT)
        pinned.check_hostname, pinned.verify_mode, pinned.pin = False, ssl.CERT_NONE, _checked(target.pin, target.origin["pin"])
        return pinned
    return trusting(target.ca, target.node.file("tls/ca.pem") if target.node else None, target.origin.get("ca", "--ca"))


def trusting(ca: Path | None, own: Path | None, origin: str = "--ca") -> ssl.SSLContext:
    """Return what a certificate is checked with: the authorities of a file, or those of the system and of a node here."""
    try:
        context = client_context(ca)
        if ca is None and own is not None:
            context.load_verify_locations(own)
    except (OSError, ssl.SSLError) as error:
        said = f"{origin}: " if ca else ""
        raise Usage(f"{said}{ca or own} holds no certificates: {error.strerror or error}.") from None
    return context


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
