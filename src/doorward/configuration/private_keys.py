"""Private keys, written once and never shown: ``/api/configuration/private_keys``.

A key is posted, or made here and then never leaves the appliance. It is used by one place, which refers to it; when that place
lets go, the key vanishes at that commit. GET shows the public half, ready for an ``authorized_keys`` file. Nothing on the host
changes.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from pydantic import Field, StringConstraints
from pydantic_core import InitErrorDetails

from doorward.configuration._keys import PrivateKey, read_private_key, type_of
from doorward.tree.fields import Confidential
from doorward.tree.models import Body, Interrelated, Public, wrong
from doorward.tree.nodes import WriteOnce
from doorward.tree.times import now

PATH = "/api/configuration/private_keys"
_COMMENT = "doorward"


class Generate(Body):
    """A key that is made here."""

    selection: Literal["ed25519", "ecdsa-p256", "rsa-4096"] = Field(description="Type of the key.")


class NewPrivateKey(Interrelated):
    """A private key as it is posted: the key itself, or what kind of key to make."""

    private_key: Annotated[str, StringConstraints(max_length=16_384), Confidential] | None = Field(
        None, description="A private key without encryption, in PEM (PKCS#1, PKCS#8, SEC1) or OpenSSH's form."
    )
    generate: Generate | None = Field(
        None, description='Makes a new key instead: an object whose selection is "ed25519", "ecdsa-p256" or "rsa-4096".'
    )

    @classmethod
    def conflicts(cls, sent: dict[str, Any]) -> Iterator[InitErrorDetails]:
        """Want exactly one of the two."""
        key, order = sent.get("private_key"), sent.get("generate")
        if key is None and order is None:
            yield wrong("missing", "Required.", "private_key")
        if isinstance(key, str) and isinstance(order, dict):
            yield wrong("contradiction", "A key is either posted or generated.", "generate")


class PublicHalf(Public):
    """A key as it is kept: ``public_key`` is ready for an ``authorized_keys`` file."""

    created: str
    fingerprint: str
    public_key: str
    type: str


def make(model: NewPrivateKey) -> tuple[dict[str, Any], str]:
    """Return the public body and the private key in OpenSSH's form. Raises InvalidBody or SemanticError."""
    if model.generate is not None:
        key = generated(model.generate.selection)
    else:
        key = read_private_key(model.private_key or "", "/private_key", openssh=True)
    return described(key)


def described(key: PrivateKey) -> tuple[dict[str, Any], str]:
    """Return the public body of a key, and the private key in OpenSSH's form."""
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    digest = hashlib.sha256(base64.b64decode(public.split()[1])).digest()
    body = {
        "created": now(),
        "fingerprint": "SHA256:" + base64.b64encode(digest).decode().rstrip("="),
        "public_key": f"{public} {_COMMENT}",
        "type": type_of(key),
    }
    return body, key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()


def generated(kind: Literal["ed25519", "ecdsa-p256", "rsa-4096"]) -> PrivateKey:
    """Make a key. RSA takes a good part of a second."""
    match kind:
        case "ed25519":
            return ed25519.Ed25519PrivateKey.generate()
        case "ecdsa-p256":
            return ec.generate_private_key(ec.SECP256R1())
        case "rsa-4096":
            return rsa.generate_private_key(public_exponent=65537, key_size=4096)


def show(body: dict[str, Any], owners: list[str], _form: str | None) -> dict[str, Any]:
    """Add who owns the key."""
    return {**body, "owner": owners[0] if owners else None}


NODE: WriteOnce[PublicHalf] = WriteOnce(
    title="Private keys", scope="owner", model=NewPrivateKey, public=PublicHalf, make=make, show=show
)
