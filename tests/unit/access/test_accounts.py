"""What accounts may do is looked up in what runs at that moment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from doorward.access.accounts import Accounts
from doorward.access.logins import Logins
from tests.unit.transaction.rig import GOOD_PASSWORD, GROUPS, PASSWORDS, USERS, ZONE, Rig

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path)
    yield made
    made.close()


def jane(rig: Rig) -> str:
    candidate = rig.candidate()
    key = rig.post(candidate, USERS, {"name": "jane", "password": rig.post(candidate, PASSWORDS, {"plain": GOOD_PASSWORD})})
    rig.put(candidate, GROUPS, {"name": "basic-write", "members": [key]}, "-1002")
    rig.commit(candidate)
    return key


def write(rig: Rig, path: str, body: Any, key: str = "") -> None:
    candidate = rig.candidate()
    rig.put(candidate, path, body, key)
    rig.commit(candidate)


def test_a_login_has_the_rights_of_now_also_when_it_is_over(rig: Rig) -> None:
    key, accounts = jane(rig), Accounts(lambda: rig.pipeline.running)
    logins = Logins(accounts, lambda: (600, 3600), revision=lambda: rig.pipeline.running.number)
    account = accounts(key)
    assert account is not None
    login, cookie = logins.open(account)
    assert login.rights.writable == {"/special/basic"}
    write(rig, GROUPS, {"name": "basic-write", "members": []}, "-1002")
    assert login.is_live
    assert not login.rights.may_write_something
    logins.close(login)
    write(rig, GROUPS, {"name": "basic-write", "members": [key]}, "-1002")
    assert login.rights.writable == {"/special/basic"}
    candidate = rig.candidate()
    rig.delete(candidate, USERS, key)
    rig.commit(candidate)
    assert (accounts(key), login.rights.readable) == (None, frozenset())
    assert logins.find(cookie) is None


@pytest.mark.parametrize("change", ["renamed", "new password", "deleted"])
def test_a_session_is_dead_the_moment_its_account_is_changed(rig: Rig, change: str) -> None:
    """Nobody has told the event loop yet."""
    key, accounts = jane(rig), Accounts(lambda: rig.pipeline.running)
    logins = Logins(accounts, lambda: (600, 3600), revision=lambda: rig.pipeline.running.number)
    account = accounts(key)
    assert account is not None
    login, cookie = logins.open(account)
    write(rig, ZONE, "Asia/Tokyo")
    assert accounts(key) is account, "a commit of something else costs nothing"
    candidate = rig.candidate()
    if change == "deleted":
        rig.delete(candidate, USERS, key)
    else:
        password = account.password
        if change == "new password":
            password = rig.post(candidate, PASSWORDS, {"plain": "another long password"})
        rig.put(candidate, USERS, {"name": "joan" if change == "renamed" else "jane", "password": password}, key)
    rig.commit(candidate)
    assert not login.is_live
    assert logins.find(cookie) is None
    assert login.ended
