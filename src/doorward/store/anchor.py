"""The signed head of a history: made where the history is, kept elsewhere, held against it later.

The chain of hashes shows every change inside a history, but not that its end is missing. An anchor, a line that says which
revision had which hash, shows that as well: what it names has to be there still.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

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
from msgspec.structs import asdict

from doorward.host.files import DiskFiles, FileEntry
from doorward.host.ownership import read_own
from doorward.tree.jsontext import encode

NAME: Final = "history-key.pem"
"""Where the private key lies in the state directory."""
MAX_TEXT: Final = 64 << 20
"""Bytes of a text that anchors are looked for in."""
_PURPOSE = b"doorward history 1\n"
"""Ahead of what is signed, so that no signature of ours means two things."""


class HistoryKeyError(Exception):
    """The file holds no key to sign the history with, or can't be read. The text says what is wrong."""


class Anchor(Struct, frozen=True):
    """One revision as its node signed it. ``public_key`` and ``signature`` (Ed25519) are base64 of their raw bytes."""

    number: int
    hash: str
    time: str
    public_key: str
    signature: str

    def as_json(self) -> dict[str, Any]:
        """Return the anchor as it is shown, logged and put into manifests."""
        return asdict(self)

    @property
    def is_genuine(self) -> bool:
        """Whether the signature is that of the enclosed key."""
        return is_signed(self.public_key, self.number, self.hash, self.time, self.signature)


def _signed(number: int, digest: str, time: str) -> bytes:
    return _PURPOSE + encode({"hash": digest, "number": number, "time": time})


def is_signed(public_key: str, number: int, digest: str, time: str, signature: str) -> bool:
    """Whether a key signed a revision; keys and signatures in base64."""
    try:
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key, validate=True))
        key.verify(base64.b64decode(signature, validate=True), _signed(number, digest, time))
    except (ValueError, binascii.Error, InvalidSignature):
        return False
    return True


class HistoryKey:
    """The key that a node signs its revisions with. Safe in any thread."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public = base64.b64encode(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()

    @classmethod
    def at(cls, state: Path) -> HistoryKey:
        """Return the key of a state directory; make it where there is none. Raises HistoryKeyError or HostError."""
        key = cls.read(state)
        if key is None:
            made = Ed25519PrivateKey.generate()
            pem = made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            DiskFiles(state).write(f"/{NAME}", FileEntry(pem, 0o600))
            key = cls(made)
        return key

    @classmethod
    def read(cls, state: Path) -> HistoryKey | None:
        """Return the key of a state directory, None where there is none. Raises HistoryKeyError."""
        path = state / NAME
        try:
            key = load_pem_private_key(read_own(path), None)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise HistoryKeyError(f"The key of the history in {path} can't be read: {error.strerror}.") from error
        except (TypeError, ValueError, UnsupportedAlgorithm):
            key = None
        if not isinstance(key, Ed25519PrivateKey):
            raise HistoryKeyError(f"The file {path} holds no private key. Remove it: the next start makes one and signs anew.")
        return cls(key)

    def derived(self, purpose: bytes) -> bytes:
        """Return a secret of 32 bytes for one purpose, which tells nothing about the key."""
        return hmac.digest(self._key.private_bytes_raw(), purpose, "sha256")

    def sign(self, number: int, digest: str, time: str) -> str:
        """Return the signature of a revision, in base64."""
        return base64.b64encode(self._key.sign(_signed(number, digest, time))).decode()


def anchors_in(text: str) -> Iterator[Anchor]:
    """Yield every anchor in a text, such as an answer of the API, the manifest of a backup, or the log of a syslog receiver."""
    decoder, at = json.JSONDecoder(), text.find("{")
    while at >= 0:
        try:
            value, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            end = at + 1
        else:
            yield from _inside(value)
        at = text.find("{", end)


def _inside(value: Any) -> Iterator[Anchor]:
    if isinstance(value, list):
        for element in value:
            yield from _inside(element)
    elif isinstance(value, dict):
        if (found := _anchor(value)) is not None:
            yield found
        for member in value.values():
            yield from _inside(member)


def _anchor(value: dict[str, Any]) -> Anchor | None:
    texts = [value.get(name) for name in ("hash", "time", "public_key", "signature")]
    number = value.get("number")
    if type(number) is not int or not all(isinstance(text, str) for text in texts):
        return None
    digest, time, public_key, signature = map(str, texts)
    return Anchor(number, digest, time, public_key, signature)
