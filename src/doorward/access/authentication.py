"""Checks user name and password of local accounts, in the same time whether the account exists or not."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import structlog

from doorward.access.accounts import Account, account_in
from doorward.access.passwords import matches, unmatched
from doorward.configuration.aaa import settings
from doorward.configuration.aaa.local_database import users
from doorward.configuration.passwords import StoredPassword
from doorward.transaction.candidate import Running
from doorward.tree.references import Reference
from doorward.tree.snapshot import Snapshot

log = structlog.get_logger()

MAX_NAME, MAX_PASSWORD = 256, 1024
"""Longest user name (characters) and password (bytes) that are looked at."""


def basic_credentials(header: str) -> tuple[str, str] | None:
    """Return user name and password of a Basic ``Authorization`` header; None where it is malformed."""
    scheme, _, encoded = header.strip().partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        sent = base64.b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError):
        return None
    try:
        text = sent.decode("utf-8")
    except UnicodeDecodeError:
        text = sent.decode("latin-1")  # as .NET Framework, old curl and old browsers send it
    name, colon, password = text.partition(":")
    if not colon or len(name) > MAX_NAME or len(password.encode()) > MAX_PASSWORD:
        return None
    return name, password


class Authenticator:
    """Knows the running accounts. ``secret`` returns the kept form of a password by its key, ``now`` the time in UTC."""

    def __init__(
        self,
        running: Callable[[], Running],
        secret: Callable[[str], str | None],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._running, self._secret, self._now = running, secret, now

    def check(self, credentials: tuple[str, str] | None, *, expired_too: bool = False) -> Account | None:
        """Return the account whose credentials these are, else None. Blocks while the hash is computed.

        ``expired_too``: a password that is too old to log in with is the right one all the same.
        """
        name, password = credentials or ("", "")
        snapshot = self._running().snapshot
        keys = snapshot.objects(users.PATH).with_names(name.casefold())
        user = snapshot.find(users.NODE, keys[0]) if keys else None
        reference = user.password if user else None
        kept = self._secret(reference.key) if reference else None
        right = matches(kept or unmatched(), password)
        if not right or kept is None or credentials is None or user is None or reference is None:
            return None
        if not expired_too and self._expired(snapshot, keys[0], reference):
            log.warning("password expired", user=user.name)
            return None
        return account_in(snapshot, keys[0])

    def stands(self, account: Account) -> bool:
        """Whether an account is still what it was when it proved itself: a commit may have come in between."""
        return account.is_same(account_in(self._running().snapshot, account.key))

    def _expired(self, snapshot: Snapshot, key: str, reference: Reference[StoredPassword]) -> bool:
        policy, password = snapshot.read(settings.NODE).password_policy, snapshot.follow(reference)
        if key == users.ADMIN or not isinstance(policy, settings.Policy) or policy.expiration_days is None or password is None:
            return False
        return datetime.fromisoformat(password.created) + timedelta(days=policy.expiration_days) <= self._now()
