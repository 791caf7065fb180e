"""Accounts that stand, whatever a configuration holds, and login sessions of theirs."""

from __future__ import annotations

import time
from collections.abc import Callable

from doorward.access.accounts import Account
from doorward.access.logins import Logins, LoginSession
from doorward.access.rights import Rights

ADMIN = Account("-1", "admin", Rights(everything=True))


def cluster_role(key: str) -> Account:
    """Return an account that has its key as its name, and no rights unless it is admin."""
    return ADMIN if key == ADMIN.key else Account(key, key, Rights())


def login_of(account: Account = ADMIN) -> LoginSession:
    """Return a login session of an account that stays what it is."""
    return LoginSession(account, 0.0, 0.0, lambda _key: account)


def logins(
    timeout: Callable[[], int] = lambda: 600,
    clock: Callable[[], float] = time.monotonic,
    longest: Callable[[], int] = lambda: 12 * 3600,
    revision: Callable[[], int] = lambda: 1,
) -> Logins:
    """Return login sessions of accounts that stand."""
    return Logins(cluster_role, lambda: (timeout(), longest()), clock, revision=revision)
