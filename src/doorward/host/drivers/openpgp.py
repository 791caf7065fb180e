"""OpenPGP certificates as gpg lists them: what they can be used for, and why not. Pure."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from msgspec import Struct

_ESCAPE: Final = re.compile(rb"\\x([0-9a-fA-F]{2})")
_VOID: Final = frozenset({"r", "i", "d", "n"})
"""Validities of keys that will never be of use."""


class Key(Struct, frozen=True):
    """A primary key or a subkey. ``validity`` as gpg tells it: r revoked, e expired, i invalid; times are Unix times."""

    id: str
    fingerprint: str
    validity: str
    algorithm: int
    bits: int
    created: int
    expires: int | None
    capabilities: str

    @property
    def encrypts(self) -> bool:
        """Whether it was made for encryption."""
        return "e" in self.capabilities

    @property
    def is_from_the_future(self) -> bool:
        """Whether it was made after the present moment of this machine's clock: gpg takes no such key."""
        return self.created > time.time()

    @property
    def usable(self) -> bool:
        """Whether it encrypts now."""
        return self.encrypts and not self.is_from_the_future and self.validity not in {"e", *_VOID}


@dataclass(slots=True)
class OpenPgpCertificate:
    """An OpenPGP certificate; ``secret`` when it came with secret key material."""

    primary: Key
    secret: bool
    subkeys: list[Key] = field(default_factory=list)
    uids: list[str] = field(default_factory=list)
    """User ids in the key's order, without revoked ones."""

    @property
    def recipient(self) -> Key | None:
        """The key that gpg encrypts to: the newest usable encryption subkey, else the primary key if it encrypts."""
        usable = [key for key in self.subkeys if key.usable]
        if usable:
            return max(usable, key=lambda key: key.created)
        return self.primary if self.primary.usable else None

    @property
    def obstacle(self) -> tuple[str, str] | None:
        """Why nothing can be encrypted to it now: a code and words for people, None where something can.

        Codes: ``not_yet_valid``, ``revoked``, ``disabled``, ``expired``, ``cannot_encrypt``.
        """
        validity, keys = self.primary.validity, [key for key in (self.primary, *self.subkeys) if key.encrypts]
        future = self.primary if self.primary.is_from_the_future else next((key for key in keys if key.is_from_the_future), None)
        made, now = (time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(at)) for at in (future.created if future else 0, time.time()))
        missing = self.recipient is None
        reasons = (
            (validity == "r", "revoked", "The key is revoked."),
            (validity == "d" or "D" in self.primary.capabilities, "disabled", "The key is disabled."),
            (
                missing and future is not None, "not_yet_valid",
                f"The key was made at {made} UTC, but the clock here says {now}: it is not yet valid. Look at the clock.",
            ),
            (validity == "e", "expired", "The key is expired."),
            (not self.uids, "cannot_encrypt", "The key has no user id that is valid; gpg takes none without."),
            (missing and any(key.validity == "e" for key in keys), "expired", "No part of the key that encrypts is still valid."),
            (missing and any(key.validity == "r" for key in keys), "revoked", "Every part of the key that encrypts is revoked."),
            (missing, "cannot_encrypt", "The key can only sign; it has no part to encrypt to."),
        )  # fmt: skip
        return next(((code, words) for holds, code, words in reasons if holds), None)

    @property
    def end(self) -> int | None:
        """The Unix time from which on nothing can be encrypted to it; None: never."""
        ends = [key.expires for key in (self.primary, *self.subkeys) if key.encrypts and key.validity not in _VOID]
        last = None if None in ends else max((end for end in ends if end is not None), default=None)
        return min((end for end in (self.primary.expires, last) if end is not None), default=None)


def listed(listing: bytes) -> list[OpenPgpCertificate]:
    """Return the certificates of a listing with colons and fingerprints (GnuPG, doc/DETAILS)."""
    found: list[OpenPgpCertificate] = []
    row: Sequence[bytes] = ()
    for line in listing.split(b"\n"):
        fields = line.split(b":")
        match fields[0]:
            case b"pub" | b"sec" | b"sub" | b"ssb":
                row = fields
            case b"fpr" if row:
                key = _key(row, fields[9].decode())
                if row[0] in {b"pub", b"sec"}:
                    found.append(OpenPgpCertificate(key, row[0] == b"sec"))
                else:
                    found[-1].subkeys.append(key)
                    found[-1].secret = found[-1].secret or row[0] == b"ssb"
                row = ()
            case b"uid" if found and fields[1] != b"r":
                found[-1].uids.append(_unescaped(fields[9]))
            case _:
                pass
    return found


def _key(row: Sequence[bytes], fingerprint: str) -> Key:
    fields = [value.decode("ascii", "replace") for value in row]
    return Key(
        fields[4],
        fingerprint,
        fields[1],
        int(fields[3]),
        int(fields[2]),
        int(fields[5] or 0),
        int(fields[6]) if fields[6] else None,
        fields[11],
    )


def _unescaped(value: bytes) -> str:
    return _ESCAPE.sub(lambda found: bytes([int(found[1], 16)]), value).decode("utf-8", "replace")
