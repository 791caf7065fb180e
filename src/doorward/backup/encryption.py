"""Encryption of archives: to the configured certificate and to nobody else, or under a password (section 4)."""

from __future__ import annotations

from pathlib import Path
from typing import IO, Any

from doorward.backup.failure import BackupError
from doorward.configuration.management import exported_configuration_encryption as settings
from doorward.host.drivers import gpg
from doorward.host.drivers.openpgp import OpenPgpCertificate
from doorward.host.errors import HostError
from doorward.tree.snapshot import Snapshot

_CODES = {"revoked": "key_revoked", "expired": "key_expired"}
"""Why nothing can be encrypted to a key, as a code of runs; ``encryption_check`` for what is not among them."""


def configured_key(snapshot: Snapshot) -> settings.PublicKey | None:
    """Return the key of ``management/exported_configuration_encryption``; None where encryption is off."""
    encryption = snapshot.read(settings.NODE).encryption
    return encryption.gpg_public_key if isinstance(encryption, settings.Encrypted) else None


def configured(snapshot: Snapshot) -> str | None:
    """Return the certificate of the key, as gpg takes it; None where encryption is off."""
    key = configured_key(snapshot)
    return key.public_key if key is not None else None


def to_certificate(plain: IO[bytes], certificate: str, into: IO[bytes]) -> None:
    """Encrypt to the newest usable subkey. Raises BackupError."""
    found = _certificate(certificate)
    if (obstacle := found.obstacle) is not None:
        code, words = obstacle
        raise BackupError(_CODES.get(code, "encryption_check"), f"{found.primary.fingerprint}: {words}")
    _run(lambda: gpg.encrypt(plain, certificate, into))


def to_password(plain: IO[bytes], password: str, into: IO[bytes]) -> None:
    """Encrypt under a password. Raises BackupError."""
    if not gpg.installed():
        raise BackupError("gpg_absent", "gpg is not installed.")
    _run(lambda: gpg.encrypt_with_password(plain, password, into))


def check(path: Path, certificate: str) -> list[str]:
    """Look at the packets of an encrypted file: one recipient, a key of the certificate. Returns the certificate's fingerprint.

    Raises BackupError ``encryption_check``, and removes the file.
    """
    found = _certificate(certificate)
    try:
        check_recipient(path, found)
    except BackupError:
        path.unlink(missing_ok=True)
        raise
    return [found.primary.fingerprint]


def check_recipient(path: Path, certificate: OpenPgpCertificate) -> None:
    """Raise BackupError ``encryption_check`` unless a file is encrypted to one key of a certificate and to nobody else."""
    packets = gpg.packets(path)
    keys = {key.id for key in (certificate.primary, *certificate.subkeys)}
    if packets.other or packets.passwords or len(packets.key_ids) != 1 or not keys.issuperset(packets.key_ids):
        raise BackupError("encryption_check", "The archive is not encrypted to the configured key, or not to it alone.")


def certificates(text: str) -> list[OpenPgpCertificate]:
    """Return the certificates of a text."""
    return gpg.certificates(text.encode())


def _certificate(text: str) -> OpenPgpCertificate:
    if not gpg.installed():
        raise BackupError("gpg_absent", "gpg is not installed any more.")
    found = certificates(text)
    if len(found) != 1:
        raise BackupError("encryption_check", "gpg can't read the configured key.")
    return found[0]


def _run(encrypt: Any) -> None:
    try:
        encrypt()
    except HostError as failure:
        code = "no_local_space" if isinstance(failure, gpg.DiskFull) else "encryption_check"
        raise BackupError(code, failure.reason) from failure
