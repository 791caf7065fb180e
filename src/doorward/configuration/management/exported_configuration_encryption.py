"""The OpenPGP key of backups and exports: ``/api/configuration/management/exported_configuration_encryption``.

Switched on, every later backup and every export with ``gpg`` is encrypted to this certificate, whole and before it touches a
disk. The appliance has the public half only and can't open them again: keep the private key elsewhere, and try it. Earlier files
stay as they are. Nothing on the host changes.
"""

from __future__ import annotations

import base64
import binascii
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from doorward.host.drivers import gpg
from doorward.host.drivers.openpgp import OpenPgpCertificate
from doorward.host.errors import HostError
from doorward.tree.models import Body, Derived, Off, Switched
from doorward.tree.nodes import Singleton
from doorward.tree.places import Place
from doorward.tree.plaintext import plain
from doorward.tree.problems import InvalidBody, Problem, SemanticError
from doorward.tree.snapshot import Snapshot

PATH = "/api/configuration/management/exported_configuration_encryption"
SYSTEM_BACKUP = "/api/configuration/management/system_backup"
_KEY, _TEXT = "/encryption/gpg_public_key", "/encryption/gpg_public_key/public_key"
_MIN_BITS, _BY_BITS = 2048, {1, 2, 3, 16, 20}  # RSA and ElGamal, by the numbers of RFC 4880
_HEADER = re.compile(r"[^\s:]+:(\s|$)")
_SOON_DAYS, _DAY = 30, 86_400


class PublicKey(Body):
    """An OpenPGP certificate."""

    public_key: Annotated[str, StringConstraints(max_length=65_536)] = Field(
        description="One certificate, ASCII-armoured or base64 of the binary form; shown armoured, without others' signatures."
    )
    fingerprint: Annotated[str, Derived("")] = Field("", description="Fingerprint of the primary key, 40 hex digits.")
    uids: Annotated[list[str], Derived([])] = Field(default_factory=list, description="User ids, without revoked ones.")


class Encrypted(Body):
    """Backups and exports are encrypted."""

    enabled: Literal[True] = Field(description="Backups and exports are encrypted.")
    gpg_public_key: PublicKey | None = Field(None, description="The key; required at the commit.")


Encryption = Annotated[Encrypted | Off, Switched()]


class ExportedConfigurationEncryption(Body):
    """Whether, and to whom, backups and exports are encrypted."""

    encryption: Encryption = Field(Off(enabled=False), description="Encryption to an OpenPGP key.")


def make(
    model: ExportedConfigurationEncryption,
) -> tuple[ExportedConfigurationEncryption, list[Problem]]:
    """Look at the key with gpg; return the body with its canonical form, and warnings. Raises InvalidBody or SemanticError."""
    on = model.encryption
    if not isinstance(on, Encrypted):
        return model, []
    if not gpg.installed():
        raise SemanticError([Problem("gpg_absent", "gpg is not installed on the appliance.", "/encryption/enabled")])
    if on.gpg_public_key is None:
        return model, []
    data = _data(on.gpg_public_key.public_key)
    found = gpg.certificates(data)
    if not found:
        raise InvalidBody([Problem("format", "Must be an OpenPGP public key.", _TEXT)])
    if problems := list(_judged(found)):
        raise SemanticError(problems)
    text = _canonical(data)
    [certificate] = gpg.certificates(text.encode())
    if problems := list(_judged([certificate])):  # what came beside it, such as its revocation, is in it by now
        raise SemanticError(problems)
    _try(text)
    key = PublicKey(public_key=text, fingerprint=certificate.primary.fingerprint, uids=[plain(uid) for uid in certificate.uids])
    made = ExportedConfigurationEncryption(encryption=Encrypted(enabled=True, gpg_public_key=key))
    return made, list(_running_out(certificate))


def _data(text: str) -> bytes:
    """Return what gpg reads: the armoured text with the blank line that some tools leave out, or the binary form."""
    text = text.lstrip("\ufeff")
    if "-----BEGIN PGP " not in text:
        try:
            return base64.b64decode("".join(text.split()), validate=True)
        except (binascii.Error, ValueError):
            return b""
    whole: list[str] = []
    in_headers = False
    for line in (line.strip() for line in re.split(r"\r\n|\r|\n", text)):
        if in_headers and _HEADER.match(line):
            continue  # they say nothing about the key, and gpg stumbles over some, such as an empty one
        if in_headers and line:
            whole.append("")
        whole.append(line)
        in_headers = line.startswith("-----BEGIN PGP ")
    return "\n".join(whole).encode("utf-8", "replace") + b"\n"


def _judged(found: list[OpenPgpCertificate]) -> Iterator[Problem]:
    """Yield why gpg can't, or must not, encrypt to what was sent."""
    if any(certificate.secret for certificate in found):
        yield Problem("secret_key", "This is a private key; it was not kept. Send the public key only.", _TEXT)
        return
    if len(found) > 1:
        yield Problem("contradiction", f"Must be one certificate, not {len(found)}.", _TEXT)
        return
    [certificate] = found
    recipient = certificate.recipient
    if (obstacle := certificate.obstacle) is not None:
        yield Problem(*obstacle, _TEXT)
    elif recipient is not None and recipient.algorithm in _BY_BITS and recipient.bits < _MIN_BITS:
        message = f"The part that encrypts has {recipient.bits} bits; at least {_MIN_BITS} are required."
        yield Problem("weak_key", message, _TEXT)


def _canonical(data: bytes) -> str:
    """Return the text of the certificate that gpg holds after the import."""
    try:
        return gpg.canonical(data)
    except HostError as failure:
        raise _not_taken(failure) from failure


def _try(text: str) -> None:
    """Encrypt to a certificate once."""
    try:
        gpg.try_encryption(text)
    except HostError as failure:
        raise _not_taken(failure) from failure


def _not_taken(failure: HostError) -> SemanticError:
    return SemanticError([Problem("cannot_encrypt", f"{failure.reason}.".capitalize(), _TEXT)])


def expiry(snapshot: Snapshot) -> datetime | None:
    """Return when backups can't be encrypted any more; None: never, or they are in clear, or there is no gpg to ask."""
    encryption = snapshot.read(NODE).encryption
    if not isinstance(encryption, Encrypted) or encryption.gpg_public_key is None or not gpg.installed():
        return None
    end = _end(encryption.gpg_public_key.public_key)
    return None if end is None else datetime.fromtimestamp(end, UTC)


@lru_cache(maxsize=4)
def _end(text: str) -> int | None:
    found = gpg.certificates(text.encode())
    return found[0].end if found else None


def _running_out(certificate: OpenPgpCertificate) -> Iterator[Problem]:
    end = certificate.end
    if end is not None and end - time.time() < _SOON_DAYS * _DAY:
        day = time.strftime("%Y-%m-%d", time.gmtime(end))
        yield Problem("expires_soon", f"The key expires on {day}; backups fail from then on.", _KEY)


def key_is_set(snapshot: Snapshot, _place: Place) -> Iterator[Problem]:
    """Refuse encryption to nobody."""
    encryption = snapshot.read(NODE).encryption
    if isinstance(encryption, Encrypted) and encryption.gpg_public_key is None:
        yield Problem("required_with", "Required with enabled.", _KEY)


def is_encrypted(snapshot: Snapshot) -> bool:
    """Whether backups are encrypted."""
    return snapshot.read(NODE).encryption.enabled


def backup_in_clear(snapshot: Snapshot, _place: Place) -> Iterator[Problem]:
    """Warn of backups that anybody with the file can read."""
    if snapshot.value(SYSTEM_BACKUP)["backup_policy"] is not None and not is_encrypted(snapshot):
        yield Problem("backup_in_clear", "Backups hold passwords and keys in clear text; switch encryption on.", "/encryption")


NODE: Singleton[ExportedConfigurationEncryption] = Singleton(
    title="Encryption of backups and exports",
    model=ExportedConfigurationEncryption,
    default={"encryption": {"enabled": False}},
    make=make,
    rules=(key_is_set,),
    advice=(backup_in_clear,),
    also_at="/api/management/exported_configuration_encryption",
)
