"""Encryption at rest: AES-256-GCM under a data key that lies in a file of its own, readable by its owner only."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from doorward.host.files import sync_directory
from doorward.host.ownership import read_own

KEY_BYTES = 32
_NONCE_BYTES = 12


class VaultError(Exception):
    """The data key is missing or wrong, or something sealed was altered."""


class Vault:
    """Seals and opens texts. Every sealed text is bound to the name it was sealed under."""

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise VaultError(f"The data key has {len(key)} bytes instead of {KEY_BYTES}.")
        self._aead = AESGCM(key)
        self._mac_key = hmac.digest(key, b"doorward history seal", "sha256")

    @classmethod
    def at(cls, path: Path, *, create: bool) -> Vault:
        """Open the vault whose data key lies at ``path``; make a new key only with ``create``. Raises VaultError."""
        try:
            if create:
                _write_new(path, secrets.token_bytes(KEY_BYTES))
            return cls(read_own(path))
        except FileNotFoundError:
            raise VaultError(f"The data key {path} is missing; without it the secrets can't be opened.") from None
        except OSError as error:
            raise VaultError(f"The data key {path} can't be {'made' if create else 'read'}: {error.strerror}.") from error

    def seal(self, name: str, text: str) -> bytes:
        """Encrypt a text under a name."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._aead.encrypt(nonce, text.encode(), name.encode())

    def open(self, name: str, sealed: bytes) -> str:
        """Decrypt what was sealed under the name. Raises VaultError when either was altered."""
        try:
            return self._aead.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], name.encode()).decode()
        except (InvalidTag, ValueError):
            raise VaultError(f"The secret {name} was altered, or the data key is not the one it was sealed with.") from None

    def derived(self, purpose: bytes) -> bytes:
        """Return a key of 32 bytes for one purpose, which tells nothing about others."""
        return hmac.digest(self._mac_key, purpose, "sha256")

    def mark(self, digest: str) -> str:
        """Return a keyed mark of a digest, in hex: only who holds the data key can make it."""
        return hmac.digest(self._mac_key, hashlib.sha256(digest.encode()).digest(), "sha256").hex()


def _write_new(path: Path, data: bytes) -> None:
    """Write a file that must survive a crash whole: under another name, synced, then linked into place unless it exists."""
    if path.exists():
        return
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    part.rename(path)
    sync_directory(path.parent)
