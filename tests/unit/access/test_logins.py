"""Login sessions: sliding, limited in number, ended by what happens to their account."""

from __future__ import annotations

from typing import Any

import pytest

import doorward.configuration
from doorward.access import logins as module
from doorward.access.accounts import Account, Accounts
from doorward.access.logins import Logins, LoginSession
from doorward.configuration.aaa.local_database import users
from doorward.host.machine import Machine
from doorward.store.port import Edit
from doorward.transaction.candidate import Candidate, Running
from doorward.tree.places import Place
from doorward.tree.registry import discover
from tests.support.accounts import cluster_role, logins

TREE = discover(doorward.configuration)
RUNNING = Running(1, "", TREE.defaults(Machine()))


class Rig:
    def __init__(self) -> None:
        self.now, self.timeout, self.longest = 1000.0, 600, 12 * 3600
        self.logins = logins(lambda: self.timeout, lambda: self.now, lambda: self.longest)

    def open(self, account: str = "jane") -> tuple[LoginSession, str]:
        return self.logins.open(cluster_role(account))


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_a_login_is_found_by_its_cookie(rig: Rig) -> None:
    login, cookie = rig.open()
    assert rig.logins.find(cookie) is login
    assert (login.account, login.name, login.ended, login.candidate) == ("jane", "jane", False, None)
    assert rig.logins.find(cookie[:-1]) is None
    assert rig.logins.find("") is None
    assert rig.logins.find("\udce9 of any bytes") is None


def test_cookies_and_tokens_are_random_and_the_cookie_is_not_kept(rig: Rig) -> None:
    opened = [rig.open() for _ in range(20)]
    cookies = {cookie for _, cookie in opened}
    tokens = {login.token for login, _ in opened}
    assert len(cookies) == len(tokens) == 20
    assert all(len(value) == 40 and int(value, 16) >= 0 for value in cookies | tokens)
    kept = repr(vars(rig.logins)) + repr([login for login, _ in opened])
    assert not any(value in kept for value in cookies | tokens)


def test_every_login_makes_a_session_of_its_own(rig: Rig) -> None:
    (one, first), (other, second) = rig.open(), rig.open()
    assert one is not other
    assert rig.logins.find(first) is one
    assert rig.logins.find(second) is other
    assert len(rig.logins) == 2


def test_each_request_moves_the_end(rig: Rig) -> None:
    login, cookie = rig.open()
    for _ in range(10):
        rig.now += 599
        assert rig.logins.find(cookie) is login
        assert rig.logins.remaining(login) == 600
    rig.now += 600
    assert rig.logins.find(cookie) is None
    assert login.ended
    assert len(rig.logins) == 0


def test_a_look_that_does_not_extend_leaves_the_end_where_it_is(rig: Rig) -> None:
    login, cookie = rig.open()
    rig.now += 400.4
    assert rig.logins.find(cookie, extend=False) is login
    assert rig.logins.remaining(login) == 200
    rig.now += 199.6
    assert rig.logins.find(cookie, extend=False) is None


def test_a_session_that_is_over_has_no_seconds_left(rig: Rig) -> None:
    login, _ = rig.open()
    rig.now += 10_000
    assert rig.logins.remaining(login) == 0


def test_another_timeout_counts_at_once(rig: Rig) -> None:
    login, cookie = rig.open()
    rig.now += 100
    rig.timeout = 60
    assert rig.logins.timeout == 60
    assert rig.logins.find(cookie) is None
    login, cookie = rig.open()
    rig.timeout = 6000
    rig.now += 5999
    assert rig.logins.find(cookie) is login


def test_the_end_drops_the_candidate(rig: Rig) -> None:
    (over, cookie), (closed, _) = rig.open(), rig.open()
    for login in (over, closed):
        login.candidate = Candidate.on(RUNNING)
    rig.logins.close(closed)
    assert [login.ended for login in (over, closed)] == [False, True]
    rig.now += 600
    rig.logins.find(cookie)
    assert [login.candidate for login in (over, closed)] == [None, None]


def test_logging_out_ends_this_session_only(rig: Rig) -> None:
    (one, first), (other, second), (somebody, third) = rig.open(), rig.open(), rig.open("joe")
    rig.logins.close(one)
    assert rig.logins.find(first) is None
    assert rig.logins.find(second) is other
    assert rig.logins.find(third) is somebody
    rig.logins.close(one)
    assert len(rig.logins) == 2


def test_an_account_has_so_many_sessions_and_the_least_used_one_ends(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_OF_ONE_ACCOUNT", 3)
    other, kept = rig.open("joe")
    cookies = [rig.open()[1] for _ in range(3)]
    rig.now += 1
    rig.logins.find(cookies[0])
    cookies.append(rig.open()[1])
    assert [rig.logins.find(cookie) is not None for cookie in cookies] == [True, False, True, True]
    assert rig.logins.find(kept) is other


def test_sessions_with_a_transaction_are_spared(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_OF_ONE_ACCOUNT", 3)
    opened = [rig.open() for _ in range(3)]
    opened[0][0].candidate = Candidate.on(RUNNING)
    opened.append(rig.open())
    assert [rig.logins.find(cookie) is not None for _, cookie in opened] == [True, False, True, True]


def test_when_all_have_one_the_least_used_ends_all_the_same(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_OF_ONE_ACCOUNT", 2)
    opened = [rig.open() for _ in range(2)]
    for login, _ in opened:
        login.candidate = Candidate.on(RUNNING)
    opened.append(rig.open())
    assert [rig.logins.find(cookie) is not None for _, cookie in opened] == [False, True, True]


@pytest.mark.parametrize("limit", [1, 3])
def test_all_accounts_together_have_so_many_too(rig: Rig, monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    monkeypatch.setattr(module, "MAX_LOGIN_SESSIONS", limit)
    cookies = [rig.open(f"user{number}")[1] for number in range(limit + 2)]
    assert [rig.logins.find(cookie) is not None for cookie in cookies] == [False] * 2 + [True] * limit
    assert len(rig.logins) == limit


@pytest.mark.parametrize("limit", ["MAX_LOGIN_SESSIONS", "MAX_OF_ONE_ACCOUNT"])
def test_a_limit_of_one_is_kept_by_a_single_account(rig: Rig, monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
    monkeypatch.setattr(module, limit, 1)
    (_, first), (login, second) = rig.open(), rig.open()
    assert rig.logins.find(first) is None
    assert rig.logins.find(second) is login
    rig.logins.close(login)
    assert len(rig.logins) == 0


def test_sessions_that_are_over_make_room_before_others_must_go(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_LOGIN_SESSIONS", 2)
    rig.open("old")
    rig.now += 300
    login, cookie = rig.open("jane")
    login.candidate = None
    rig.now += 300
    rig.open("new")
    assert rig.logins.find(cookie) is login
    assert len(rig.logins) == 2


def with_user(running: Running, key: str, body: dict[str, Any] | None) -> Running:
    place = Place(users.PATH, key)
    if body is None:
        return Running(running.number + 1, "", running.snapshot.remove(place))
    return Running(running.number + 1, "", running.snapshot.put(place, TREE.load(place, body)))


def logins_of(accounts: Accounts) -> Logins:
    return Logins(accounts, lambda: (600, 3600), revision=lambda: 1)


def proven(accounts: Accounts, name: str) -> Account:
    """The account, as it is when somebody logs in."""
    found = accounts(name)
    assert found is not None
    return found


JANE = {"name": "jane", "password": "p1"}


@pytest.mark.parametrize(
    ("after", "ends"),
    [
        ({"name": "jane", "password": "p2"}, True),
        ({"name": "jane", "password": None}, True),
        ({"name": "Jane", "password": "p1"}, True),
        (None, True),
        (JANE, False),
    ],
)
def test_a_commit_that_changes_an_account_ends_its_sessions(after: dict[str, Any] | None, ends: bool) -> None:
    before = with_user(with_user(RUNNING, "joe", {"name": "joe", "password": "p3"}), "jane", JANE)
    running = [before]
    accounts = Accounts(lambda: running[-1])
    found = logins_of(accounts)
    (one, first), (_, second), (joe, third) = (found.open(proven(accounts, name)) for name in ("jane", "jane", "joe"))
    one.candidate = Candidate.on(before)
    running.append(with_user(before, "jane", after))
    place = Place(users.PATH, "jane")
    found.published(before, running[-1], (Edit(place, b"1", b"2"), Edit(Place("/other"), b"1", b"2")))
    assert (one.candidate is None) is ends
    assert one.ended is ends
    assert (found.find(first) is None) is ends
    assert (found.find(second) is None) is ends
    assert found.find(third) is joe


def test_a_new_account_ends_no_session(rig: Rig) -> None:
    _, cookie = rig.open("joe")
    after = with_user(RUNNING, "jane", JANE)
    rig.logins.published(RUNNING, after, (Edit(Place(users.PATH, "jane"), None, b"2"),))
    assert rig.logins.find(cookie) is not None


def test_a_session_ends_after_its_hours_however_busy_it_is(rig: Rig) -> None:
    rig.longest = 3600
    login, cookie = rig.open()
    for minute in range(1, 60):
        rig.now = 1000.0 + 60 * minute
        assert rig.logins.find(cookie) is login
        assert rig.logins.remaining(login) == min(600, 3600 - 60 * minute)
    rig.now = 1000.0 + 3599.5
    assert rig.logins.find(cookie) is login
    rig.now = 1000.0 + 3600
    assert rig.logins.find(cookie) is None
    assert login.ended


def test_shorter_hours_count_for_sessions_that_live(rig: Rig) -> None:
    login, cookie = rig.open()
    rig.now += 500
    assert rig.logins.find(cookie) is login
    rig.longest = 500
    assert rig.logins.remaining(login) == 0
    assert rig.logins.find(cookie) is None


def test_sessions_that_are_too_old_are_ended_also_if_they_are_not_idle(rig: Rig) -> None:
    rig.timeout, rig.longest = 7200, 3600
    (old, first), (young, _) = rig.open(), rig.open("joe")
    rig.now += 3000
    newest, _ = rig.open("new")
    assert rig.logins.find(first) is old, "it is the one that was used last"
    rig.now += 600
    rig.logins.expire()
    assert (old.ended, young.ended, newest.ended) == (True, True, False)
    assert len(rig.logins) == 1


def test_a_session_that_is_over_is_no_longer_live_when_a_body_has_come(rig: Rig) -> None:
    login, _ = rig.open()
    assert rig.logins.check(login)
    rig.now += 600
    assert not rig.logins.check(login)
    assert login.ended
    assert not rig.logins.check(login)
