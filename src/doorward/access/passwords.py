"""Local passwords: argon2id hashes, and which passwords are good enough.

Parameters are those of RFC 9106 for machines with little memory (argon2-cffi's default): 64 MiB, 3 passes. At most three hashes
are computed at a time, so that a flood of logins can't exhaust the memory nor keep commits waiting.
"""

from __future__ import annotations

import base64
import os
import threading
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.resources import files
from itertools import islice

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import ARGON2_VERSION

from doorward.configuration.aaa import settings
from doorward.configuration.network import naming
from doorward.tree.places import Place
from doorward.tree.problems import Problem
from doorward.tree.snapshot import Snapshot

_hasher = PasswordHasher()
_slots = threading.BoundedSemaphore(3)


def hashed(text: str) -> str:
    """Return the argon2id hash of a password, with its parameters."""
    with _slots:
        return _hasher.hash(text)


def matches(kept: str, text: str) -> bool:
    """Whether a password is the one of a hash; takes the same time either way."""
    with _slots:
        try:
            return _hasher.verify(kept, text)
        except (VerificationError, InvalidHashError):
            return False


def unmatched() -> str:
    """Return a hash that is no password's, to compare with where there is no account: that takes the same time."""
    salt, rest = (base64.b64encode(os.urandom(size)).decode().rstrip("=") for size in (_hasher.salt_len, _hasher.hash_len))
    cost = f"m={_hasher.memory_cost},t={_hasher.time_cost},p={_hasher.parallelism}"
    return f"$argon2id$v={ARGON2_VERSION}${cost}${salt}${rest}"


@cache
def common_passwords() -> frozenset[str]:
    """Return the passwords that everybody tries first."""
    return frozenset(files("doorward.access").joinpath("common_passwords.txt").read_text().split())


class LocalPasswords:
    """What becomes of a password that gets an owner: the policy of ``aaa/settings``, and the hash."""

    def hashed(self, text: str) -> str:
        """Return the argon2id hash of a password."""
        return hashed(text)

    def problems(self, snapshot: Snapshot, owner: Place, text: str, earlier: Iterable[str] = ()) -> Iterator[Problem]:
        """Yield why the text may not become the password of the owner. ``earlier``: hashes that it had, newest first."""
        policy = snapshot.read(settings.NODE).password_policy
        if not isinstance(policy, settings.Policy):
            return
        if len(text) < policy.minimum_length:
            yield _weak(f"At least {policy.minimum_length} characters are needed.", owner)
        if _classes(text) < policy.minimum_classes:
            yield _weak(f"At least {policy.minimum_classes} of lower case, upper case, digits and others are needed.", owner)
        if policy.dictionary_check and self._guessable(snapshot, owner, text):
            yield _weak("The password is a common one, or the name of the account or the host.", owner)
        remembered = policy.remembered_passwords
        if any(matches(kept, text) for kept in islice(earlier, remembered)):
            yield _weak(f"The password is one of the last {remembered} of the account.", owner)

    def _guessable(self, snapshot: Snapshot, owner: Place, text: str) -> bool:
        document = snapshot.document(owner)
        value = document.value if document else {}
        names = {str(value.get("name", "")), snapshot.read(naming.NODE).hostname}
        names |= {str(user["username"]) for user in value.get("users", ())}  # of a user database
        return text.casefold() in common_passwords() | {name.casefold() for name in names}


def _weak(message: str, owner: Place) -> Problem:
    return Problem("weak_password", message, "/password", owner.href)


def _classes(text: str) -> int:
    """Count lower case, upper case, digits and others, among which are letters without case."""
    return len({"lower" * c.islower() or "upper" * c.isupper() or "digit" * c.isdigit() or "other" for c in text})
