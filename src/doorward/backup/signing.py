"""The key that a node signs its backups with, and the keys of others whose backups it takes (section 3).

The private key lies in a file of its own and is in no backup; what is known of public keys is kept in records.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from msgspec import Struct

from doorward.host.files import DiskFiles, FileEntry, make_directory
from doorward.store.port import Store, StoredRecord
from doorward.store.records import Records
from doorward.tree.jsontext import prepared
from doorward.tree.times import now

NAME = "backup/signing-key.pem"
"""Where the private key lies below the state directory."""
KIND = "backup_signing_key"
"""Under which the store keeps public keys, by fingerprint."""

Role = Literal["current", "former", "trusted"]
_RAW_BYTES = 32


class SigningKeyError(Exception):
    """The file holds no key to sign with, or can't be read. The text says what is wrong."""


class WrongSignatureError(Exception):
    """A signature does not fit what it was made for, or is none."""


class KnownKey(Struct, frozen=True):
    """A public key whose signatures count: ``public_key`` is base64 of its raw bytes, ``added`` a UTC text."""

    fingerprint: str
    public_key: str
    role: Role
    added: str


@prepared
class _Key(Struct, frozen=True):
    """A public key as it is kept, by its fingerprint."""

    id: str
    public_key: str
    role: Literal["own", "trusted"]
    added: str


def fingerprint(raw: bytes) -> str:
    """Return the fingerprint that people compare."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(raw).digest()).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    """Return the bytes of base64 as we write it. ValueError for other spellings of them: a changed bit must not go unnoticed."""
    found = base64.b64decode(text, validate=True)
    if base64.b64encode(found).decode() != text:
        raise ValueError(text)
    return found


def verify(data: bytes, signature: object) -> str:
    """Return the fingerprint of the key that signed the data. Raises WrongSignatureError."""
    try:
        if not isinstance(signature, Mapping) or signature["algorithm"] != "ed25519":
            raise WrongSignatureError("There is no signature of a known kind.")
        raw = _bytes(signature["public_key"])
        name = fingerprint(raw)
        if not hmac.compare_digest(name.encode(), str(signature["key"]).encode()):
            raise WrongSignatureError("The enclosed key is not the one that is named.")
        Ed25519PublicKey.from_public_bytes(raw).verify(_bytes(signature["signature"]), data)
    except (KeyError, TypeError, ValueError, binascii.Error, InvalidSignature):
        raise WrongSignatureError("The signature does not fit.") from None
    return name


class NodeSigningKeys:
    """The keys of a node. ``state`` is the state directory. Safe in any thread. Raises SigningKeyError or HostError."""

    def __init__(self, state: Path, store: Store) -> None:
        self._keys = Records(store, KIND, _Key)
        self._key = _private_key(state)
        self._raw = self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.fingerprint = fingerprint(self._raw)
        if self._role(self.fingerprint) != "former":
            self._keys.put(_kept(self._raw, "own"))

    def sign(self, data: bytes) -> dict[str, str]:
        """Return the signature of the data."""
        return {
            "algorithm": "ed25519",
            "key": self.fingerprint,
            "public_key": base64.b64encode(self._raw).decode(),
            "signature": base64.b64encode(self._key.sign(data)).decode(),
        }

    def role(self, name: str) -> Role | None:
        """Return what a key is to this node; None: unknown."""
        return "current" if name == self.fingerprint else self._role(name)

    def is_own(self, name: str) -> bool:
        """Whether a key is this node's, now or formerly."""
        return self.role(name) in {"current", "former"}

    def all(self) -> list[KnownKey]:
        """Return the known keys, those added last first."""
        return [self._known(key) for key in self._keys.find()]

    def get(self, name: str) -> KnownKey | None:
        """Return one known key."""
        key = self._keys.get(name)
        return self._known(key) if key else None

    def trust(self, public_key: str) -> KnownKey:
        """Take a key of another node, base64 of its raw bytes. A key that is known stays what it is. Raises ValueError."""
        raw = base64.b64decode(public_key, validate=True)
        if len(raw) != _RAW_BYTES:
            raise ValueError("An Ed25519 public key has 32 bytes.")
        name = fingerprint(raw)
        if (found := self.get(name)) is not None:
            return found
        key = _kept(raw, "trusted")
        self._keys.put(key)
        return self._known(key)

    def distrust(self, name: str) -> None:
        """Forget a trusted key."""
        if self._role(name) == "trusted":
            self._keys.remove(name)

    def _known(self, key: _Key) -> KnownKey:
        return KnownKey(key.id, key.public_key, self.role(key.id) or "trusted", key.added)

    def _role(self, name: str) -> Role | None:
        key = self._keys.get(name)
        return None if key is None else "former" if key.role == "own" else "trusted"


def read_key(state: Path) -> Ed25519PrivateKey | None:
    """Return the key of a state directory, None where there is none yet. Raises SigningKeyError."""
    path = state / NAME
    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SigningKeyError(f"The key of the backups in {path} can't be read: {error.strerror}.") from error
    except (TypeError, ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise SigningKeyError(
            f"The file {path} holds no private key. Remove it for a new one: what the old one signed stays good."
        )
    return key


def _private_key(state: Path) -> Ed25519PrivateKey:
    """Return the key of the node; make it where there is none."""
    key = read_key(state)
    if key is None:
        key = Ed25519PrivateKey.generate()
        make_directory((state / NAME).parent)
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        DiskFiles(state).write(f"/{NAME}", FileEntry(pem, 0o600))
    return key


def own_key(store: Store, raw: bytes) -> StoredRecord:
    """Return the record of a key of this node, present or former."""
    return Records(store, KIND, _Key).record(_kept(raw, "own"))


def _kept(raw: bytes, role: Literal["own", "trusted"]) -> _Key:
    return _Key(fingerprint(raw), base64.b64encode(raw).decode(), role, now())
