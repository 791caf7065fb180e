"""Whoever listens is told of every login session that ends, once, and how."""

from __future__ import annotations

from uuid import UUID

import pytest

import doorward.configuration
from doorward.access import logins as module
from doorward.access.accounts import account_in
from doorward.configuration.aaa.local_database import users
from doorward.host.machine import Machine
from doorward.store.port import Edit
from doorward.transaction.candidate import Running
from doorward.tree.places import Place
from doorward.tree.registry import discover
from tests.support.accounts import cluster_role, logins

TREE = discover(doorward.configuration)


class AccessRule:
    def __init__(self) -> None:
        self.now = 1000.0
        self.told: list[tuple[str, str]] = []
        self.logins = logins(clock=lambda: self.now)
        self.logins.ended = lambda login, how: self.told.append((login.name, how))

    def open(self, account: str = "jane") -> str:
        return self.logins.open(cluster_role(account))[1]


@pytest.fixture
def door() -> AccessRule:
    return AccessRule()


def test_logging_out(door: AccessRule) -> None:
    cookie = door.open()
    login = door.logins.find(cookie)
    assert login
    door.logins.close(login, "logged out from 192.0.2.9")
    door.logins.close(login)
    assert door.told == [("jane", "logged out from 192.0.2.9")]


def test_being_idle_is_told_when_it_is_noticed(door: AccessRule) -> None:
    cookie = door.open()
    door.open("joe")
    door.now += 600
    assert door.told == []
    assert door.logins.find(cookie) is None
    assert door.told == [("jane", "was not active for too long")]
    door.logins.expire()
    assert door.told[1:] == [("joe", "was not active for too long")]
    door.logins.expire()
    assert len(door.told) == 2


def test_a_session_that_was_used_is_not_ended(door: AccessRule) -> None:
    cookie = door.open()
    door.now += 599
    assert door.logins.find(cookie)
    door.now += 599
    door.logins.expire()
    assert door.told == []


def test_a_changed_account(door: AccessRule) -> None:
    place = Place(users.PATH, "jane")
    door.open()
    before = Running(1, "", TREE.defaults(Machine()).put(place, TREE.load(place, {"name": "jane", "password": None})))
    after = Running(2, "", before.snapshot.remove(place))
    door.logins.published(before, after, (Edit(place, b"{}", None),))
    assert door.told == [("jane", "lost its login session: the account was changed")]


def test_who_logged_in_with_the_new_password_before_the_sessions_were_told_of_it_stays(door: AccessRule) -> None:
    place = Place(users.PATH, "jane")
    old, new = (TREE.load(place, {"name": "jane", "password": key}) for key in (str(UUID(int=1)), str(UUID(int=2))))
    before = Running(1, "", TREE.defaults(Machine()).put(place, old))
    after = Running(2, "", before.snapshot.put(place, new))
    opened = []
    for running in (before, after):
        account = account_in(running.snapshot, "jane")
        assert account is not None
        opened.append(door.logins.open(account)[0])
    door.logins.published(before, after, (Edit(place, old.stored, new.stored),))
    assert [login.ended for login in opened] == [True, False]


def test_too_many_sessions(door: AccessRule, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_OF_ONE_ACCOUNT", 1)
    door.open()
    door.open()
    assert door.told == [("jane", "lost its login session: there were too many")]
