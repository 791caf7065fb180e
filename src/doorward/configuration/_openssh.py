"""Public keys as OpenSSH writes them, as members of bodies. No endpoint; shared by policies of SSH."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Set as AbstractSet
from typing import Annotated

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_ssh_public_key
from pydantic import AfterValidator, StringConstraints

from doorward.configuration._keys import is_weak
from doorward.tree.fields import bad_format

KEY_TYPES = frozenset({
    "ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa",
})  # fmt: skip
"""Types of keys that servers, authorities and users have."""

_TOKEN_TYPES = {"sk-ssh-ed25519@openssh.com": "ssh-ed25519", "sk-ecdsa-sha2-nistp256@openssh.com": "ecdsa-sha2-nistp256"}
"""Types of keys that live in a FIDO token (PROTOCOL.u2f of OpenSSH), and what the key in them is."""
_TOKEN_FIELDS = 3
_MAX = 16_384


def public_key(value: str, types: AbstractSet[str] = KEY_TYPES) -> str:
    """Return an OpenSSH public key as ``type base64``, without its comment."""
    kind, _, rest = value.lstrip("\ufeff").strip().partition(" ")
    encoded = rest.strip().partition(" ")[0]
    try:
        blob = base64.b64decode(encoded, validate=True)
        if kind not in types:
            raise ValueError
        _loaded(kind, blob)
    except (ValueError, binascii.Error, UnsupportedAlgorithm):
        raise bad_format("Must be an OpenSSH public key, such as 'ssh-ed25519 AAAA...'.") from None
    return f"{kind} {base64.b64encode(blob).decode()}"


def _strong(value: str) -> str:
    kind, encoded = value.split()
    if is_weak(_loaded(kind, base64.b64decode(encoded))):
        raise bad_format("An RSA key must have 2048 bits at least.")
    return value


def user_key(value: str) -> str:
    """Return a public key that a user logs in with; it may live in a FIDO token."""
    return _strong(public_key(value, KEY_TYPES | _TOKEN_TYPES.keys()))


def authority_key(value: str) -> str:
    """Return a public key that others trust: of a server, or of an authority."""
    return _strong(public_key(value))


def _loaded(kind: str, blob: bytes) -> object:
    """Return the key of a blob (RFC 4253, section 6.6). Raises ValueError."""
    if kind in _TOKEN_TYPES:  # the key, and the application that it is for
        fields = _fields(blob)
        if len(fields) < _TOKEN_FIELDS or fields[0] != kind.encode():
            raise ValueError
        kind = _TOKEN_TYPES[kind]
        blob = b"".join(len(field).to_bytes(4, "big") + field for field in (kind.encode(), *fields[1:-1]))
    return load_ssh_public_key(f"{kind} {base64.b64encode(blob).decode()}".encode())


def _fields(blob: bytes) -> list[bytes]:
    found: list[bytes] = []
    at = 0
    while at < len(blob):
        size = int.from_bytes(blob[at : at + 4], "big")
        at += 4 + size
        if at > len(blob):
            raise ValueError
        found.append(blob[at - size : at])
    return found


AuthorityKey = Annotated[str, StringConstraints(max_length=_MAX), AfterValidator(authority_key)]
"""A public key of an authority."""

UserKey = Annotated[str, StringConstraints(max_length=_MAX), AfterValidator(user_key)]
"""A public key of a user."""
