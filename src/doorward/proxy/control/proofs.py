"""What proves who a user is by a key: signatures over the session (RFC 4252, section 7), and OpenSSH user certificates."""

from __future__ import annotations

import contextlib
import ipaddress
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from asyncssh import SSHKey
    from asyncssh.public_key import SSHOpenSSHCertificate

MAX_KEY = 16_384
"""Bytes of a public key or certificate that are looked at."""
MAX_SIGNATURE = 8_192
MIN_RSA_BITS = 2048

_USERAUTH_REQUEST = 50
_CERTIFICATE = "-cert-v01@openssh.com"
_ALGORITHMS = {
    "ssh-ed25519": ("ssh-ed25519",),
    "ssh-ed448": ("ssh-ed448",),
    "ecdsa-sha2-nistp256": ("ecdsa-sha2-nistp256",),
    "ecdsa-sha2-nistp384": ("ecdsa-sha2-nistp384",),
    "ecdsa-sha2-nistp521": ("ecdsa-sha2-nistp521",),
    "sk-ssh-ed25519@openssh.com": ("sk-ssh-ed25519@openssh.com",),
    "sk-ecdsa-sha2-nistp256@openssh.com": ("sk-ecdsa-sha2-nistp256@openssh.com", "webauthn-sk-ecdsa-sha2-nistp256@openssh.com"),
    "ssh-rsa": ("rsa-sha2-256", "rsa-sha2-512"),
}
"""What may sign for a type of key: never SHA-1, never DSA."""

_BROKEN = (ValueError, TypeError, OverflowError)
"""What asyncssh says of keys that are none."""


class UnusableKeyError(Exception):
    """A key or certificate proves nothing. The message says why, for the log."""


class ShownKey(Struct, frozen=True):
    """A key that a client or server shows, read. ``certificate`` None: it is a plain key."""

    algorithm: str
    key: SSHKey
    line: str
    """The plain key as ``type base64``."""
    certificate: SSHOpenSSHCertificate | None = None


def read(algorithm: str, blob: bytes) -> ShownKey:
    """Return the key of a blob (RFC 4253, section 6.6). ``algorithm``: what it is shown for. Raises UnusableKeyError."""
    from asyncssh.public_key import SSHOpenSSHCertificate, decode_ssh_certificate, decode_ssh_public_key

    if len(blob) > MAX_KEY:
        raise UnusableKeyError("it is too large")
    plain = algorithm.removesuffix(_CERTIFICATE)
    certificate = None
    try:
        if plain != algorithm:
            found = decode_ssh_certificate(blob)
            if not isinstance(found, SSHOpenSSHCertificate):
                raise UnusableKeyError("it is no certificate of OpenSSH")
            certificate, key = found, found.key
        else:
            key = decode_ssh_public_key(blob)
        line = " ".join(key.export_public_key().decode("ascii").split()[:2])
    except _BROKEN as error:
        raise UnusableKeyError(f"it can't be read: {error}") from None
    kind = key.get_algorithm()
    if plain != kind and plain not in _ALGORITHMS.get(kind, ()):
        raise UnusableKeyError(f"it is not for {plain}")
    if not is_strong(key):
        raise UnusableKeyError("it is too weak")
    return ShownKey(algorithm, key, line, certificate)


def is_strong(key: SSHKey) -> bool:
    """Whether a key is of a type, and of a length, that proves anything."""
    if key.get_algorithm() not in _ALGORITHMS:
        return False
    size = getattr(key.pyca_key, "key_size", MIN_RSA_BITS) if key.get_algorithm() == "ssh-rsa" else MIN_RSA_BITS
    return size >= MIN_RSA_BITS


def claim(identifier: bytes, user: str, service: str, algorithm: str, blob: bytes) -> bytes:
    """Return what a client signs with its key (RFC 4252, section 7)."""
    from asyncssh.packet import Boolean, Byte, String

    return b"".join((
        String(identifier), Byte(_USERAUTH_REQUEST), String(user), String(service), String("publickey"), Boolean(True),  # noqa: FBT003 - SSH's boolean
        String(algorithm), String(blob),
    ))  # fmt: skip


def is_signed(shown: ShownKey, data: bytes, signature: bytes) -> bool:
    """Whether a signature over data is of a key, by an algorithm that fits what it was shown for."""
    from asyncssh.packet import SSHPacket

    if len(signature) > MAX_SIGNATURE:
        return False
    wanted = shown.algorithm.removesuffix(_CERTIFICATE)
    kind = shown.key.get_algorithm()
    try:
        used = SSHPacket(signature).get_string().decode("ascii")
        # RSA keys sign by an algorithm that is named apart from the type; all others by the one that is named as it.
        fits = used in _ALGORITHMS[kind] and (used == wanted or wanted in {kind, ""} or kind != "ssh-rsa")
        shown.key.set_touch_required(True)
        return fits and shown.key.verify(data, signature)
    except (*_BROKEN, KeyError, UnicodeDecodeError):
        return False


@lru_cache(maxsize=4096)
def blob_of(line: str) -> bytes | None:
    """Return the blob of a public key as it stands in a file, or None where it is none. What follows the key does not count."""
    import asyncssh

    with contextlib.suppress(*_BROKEN):
        return asyncssh.import_public_key(line).public_data
    return None


def check_user_certificate(shown: ShownKey, user: str, client: str, authorities: Iterable[str]) -> None:
    """Raise UnusableKeyError unless a certificate lets a user in who comes from an address.

    As sshd with TrustedUserCAKeys: its principals must hold the user, one without principals is for nobody; what a critical
    option asks for and is not honoured here refuses it.
    """
    from asyncssh.misc import ip_address
    from asyncssh.public_key import CERT_TYPE_USER

    certificate = _signed_by(shown, authorities)
    if user not in certificate.principals:
        raise UnusableKeyError("it is for other users")
    try:
        certificate.validate(CERT_TYPE_USER, user)
    except ValueError as error:
        raise UnusableKeyError(str(error)) from None
    options = certificate.options
    if "force-command" in options:
        raise UnusableKeyError("it allows one command only, which the gateway does not enforce")
    networks = options.get("source-address")
    if isinstance(networks, (list, tuple)) and not any(ip_address(client) in network for network in networks):
        raise UnusableKeyError("it is not for this address")


def _signed_by(shown: ShownKey, authorities: Iterable[str]) -> SSHOpenSSHCertificate:
    if shown.certificate is None:
        raise UnusableKeyError("it is no certificate")
    signer = shown.certificate.signing_key
    if not is_strong(signer) or signer.public_data not in [blob_of(line) for line in authorities]:
        raise UnusableKeyError("its authority is not trusted")
    if signer.get_algorithm() == "ssh-rsa" and not _by_sha2(shown.certificate, signer):
        raise UnusableKeyError("its authority signed by SHA-1")
    return shown.certificate


def _by_sha2(certificate: SSHOpenSSHCertificate, signer: SSHKey) -> bool:
    """Whether the signature of an authority with an RSA key, the end of a certificate, is by SHA-2."""
    from asyncssh.packet import String

    size = len(String(b"")) + getattr(signer.pyca_key, "key_size", 0) // 8
    tails = (String(name) for name in _ALGORITHMS["ssh-rsa"])
    end = len(certificate.public_data) - size
    return any(certificate.public_data[end - len(tail) : end] == tail for tail in tails)


def authority_of(shown: ShownKey) -> str:
    """Return the public key that signed a certificate, as ``type base64``; "" for a plain key."""
    if shown.certificate is None:
        return ""
    return " ".join(shown.certificate.signing_key.export_public_key().decode("ascii").split()[:2])


def plain_address(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return an address, that of IPv4 where it is one in IPv6's clothes; None for what is none."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return mapped or found
