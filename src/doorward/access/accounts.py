"""The accounts of the running configuration as they are now: what they are called, what they log in with, what they may do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from doorward.access.rights import Rights, rights_of
from doorward.configuration.aaa import acls
from doorward.configuration.aaa.local_database import groups, users
from doorward.transaction.candidate import Running
from doorward.tree.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Account:
    """An account at some moment. ``key`` is that of the user object, ``password`` the key of its password, None without one."""

    key: str
    name: str
    rights: Rights
    password: str | None = field(default=None, repr=False)

    def is_same(self, other: Account | None) -> bool:
        """Whether the other one is this account with the same name and password, whatever it may do."""
        if other is None or other is self:
            return other is self
        return (self.key, self.name, self.password) == (other.key, other.name, other.password)


class _Known(NamedTuple):
    """What was found out about accounts in a configuration; ``decisive`` are the parts of it that this follows from."""

    snapshot: Snapshot
    decisive: tuple[object, object, object]
    accounts: dict[str, Account | None]


class Accounts:
    """Looks accounts up in what runs at that moment. Safe in any thread, and quick: commits of other things change nothing."""

    def __init__(self, running: Callable[[], Running]) -> None:
        self._running = running
        self._known: _Known | None = None

    def __call__(self, key: str) -> Account | None:
        """Return the account with the key; None where there is none any more."""
        snapshot, known = self._running().snapshot, self._known
        if known is None or known.snapshot is not snapshot:
            known = self._current(snapshot)
        try:
            return known.accounts[key]
        except KeyError:
            found = known.accounts[key] = account_in(snapshot, key)
            return found

    def _current(self, snapshot: Snapshot) -> _Known:
        known = self._known
        decisive = _decisive(snapshot)
        same = known is not None and all(one is other for one, other in zip(known.decisive, decisive, strict=True))
        self._known = current = _Known(snapshot, decisive, known.accounts if known is not None and same else {})
        return current


def account_in(snapshot: Snapshot, key: str) -> Account | None:
    """Return the account with the key in a configuration."""
    user = snapshot.find(users.NODE, key)
    if user is None:
        return None
    return Account(key, user.name, rights_of(snapshot, key), user.password.key if user.password else None)


def _decisive(snapshot: Snapshot) -> tuple[object, object, object]:
    """Return what decides who an account is and what it may do: a commit of anything else leaves these very objects."""
    collections = snapshot.collections
    return collections.get(users.PATH), collections.get(groups.PATH), snapshot.singletons.get(acls.PATH)
