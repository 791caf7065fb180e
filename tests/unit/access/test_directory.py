"""What is asked of a directory, and what becomes of its answers: a library stands in for bonsai that says what it is told."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from doorward.access import directory
from doorward.access.directory import Directory, DirectoryError, DirectoryUser
from doorward.configuration.policies.ldap_servers import LdapServers

DN = "uid=jane,ou=people,dc=example"
ERRORS = (
    "AuthenticationError", "InsufficientAccess", "InvalidDN", "LDAPError", "NoSuchObjectError", "SizeLimitError", "TimeoutError",
    "UnwillingToPerform",
)  # fmt: skip


class Entry(dict[str, list[str]]):
    def __init__(self, dn: str, **attributes: list[str]) -> None:
        super().__init__(attributes)
        self.dn = dn


class Library:
    """As much of bonsai as is used. ``entries``: what searches find; ``refused``: which error who logs in gets."""

    def __init__(self) -> None:
        base = type("LDAPError", (Exception,), {})
        self.errors = SimpleNamespace(**{name: type(name, (base,), {}) for name in ERRORS} | {"LDAPError": base})
        self.entries: dict[str, list[Any]] = {}
        self.refused: dict[str | None, str] = {}
        self.failing: dict[str, str] = {}
        self.asked: list[tuple[Any, ...]] = []
        self.waited: list[float] = []
        self.open = 0
        self.ldapconnection = SimpleNamespace(BaseLDAPConnection=object)

    @staticmethod
    def escape_filter_exp(text: str) -> str:
        return text.replace("*", r"\2a")

    def LDAPDN(self, dn: str) -> Any:  # noqa: N802 - named by the library
        if "=" not in dn:
            raise self.errors.InvalidDN
        return SimpleNamespace(rdns=[[tuple(dn.partition(",")[0].split("="))]])

    def LDAPClient(self, url: str) -> Any:  # noqa: N802 - named by the library
        return Client(self)


class Client:
    def __init__(self, library: Library) -> None:
        self.library = library
        self.who: tuple[str | None, str | None] = (None, None)
        self.options: list[tuple[str, bool]] = []

    def set_ignore_referrals(self, value: bool) -> None:
        self.options.append(("ignore", value))

    def set_server_chase_referrals(self, value: bool) -> None:
        self.options.append(("chase", value))

    def set_async_connection_class(self, kind: type) -> None: ...

    def set_credentials(self, mechanism: str, *, user: str, password: str) -> None:
        self.who = (user, password)

    def connect(self, *, is_async: bool, timeout: float) -> Client:
        library = self.library
        library.waited.append(timeout)
        assert self.options == [("ignore", True), ("chase", False)]
        assert is_async
        if name := library.refused.get(self.who[0]):
            raise getattr(library.errors, name)("no")
        library.asked.append(("bind", *self.who))
        library.open += 1
        return self

    def search(self, base: str, scope: int, wanted: str, attributes: list[str], timeout: float, sizelimit: int) -> list[Any]:
        library = self.library
        library.waited.append(timeout)
        library.asked.append(("search", base, scope, wanted, attributes, sizelimit))
        if name := library.failing.get(base):
            raise getattr(library.errors, name)("no")
        return library.entries.get(base, [])

    def close(self) -> None:
        self.library.open -= 1


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Iterator[Library]:
    """The library, and ways to servers: those with a name that begins with "no" can't be reached."""
    made = Library()
    made.entries["ou=people"] = [Entry(DN)]

    @contextmanager
    def tunnel(_settings: Any, server: Any, _authority: Any, _deadline: float) -> Iterator[str]:
        if server.host.value.startswith("no"):
            raise ConnectionRefusedError(111, "Connection refused")
        yield "ldapi://"

    monkeypatch.setattr(directory, "tunnel", tunnel)
    monkeypatch.setattr(directory, "_bonsai", lambda: made)
    yield made
    assert made.open == 0, "a connection was left"


def asked(*hosts: str, password: Any = lambda: "binding", **changes: Any) -> Directory:
    body = {
        "name": "people",
        "servers": [{"host": {"selection": "fqdn", "value": host}, "port": 636} for host in hosts or ("ldap.example",)],
        "encryption": {"selection": "disabled"},
        "bind_dn": "cn=binder",
        "bind_password": "key",
        "user_base_dn": "ou=people",
        "group_base_dn": "ou=groups",
        "schema": {
            "selection": "posix",
            "username_attribute": "uid",
            "memberof_check": {"enabled": False},
            "membership_check": {"enabled": True, "member_uid_attribute": "memberUid"},
        },
        **changes,
    }
    return Directory(LdapServers.model_validate(body), password)


def code_of(call: Any, *arguments: str) -> str:
    with pytest.raises(DirectoryError) as caught:
        call(*arguments)
    return caught.value.code


def test_who_searches_logs_in_and_who_is_found_proves_it(library: Library) -> None:
    library.entries["ou=groups"] = [Entry("cn=dba", cn=["dba", "second name"]), Entry("cn=web", cn=["web"]), Entry("cn=odd")]
    assert asked().authenticate("jane", "hers") == DirectoryUser("jane", DN, ("dba", "web"))
    assert library.asked == [
        ("bind", "cn=binder", "binding"),
        ("search", "ou=people", 2, "(uid=jane)", ["1.1"], 2),
        ("search", "ou=groups", 2, f"(|(memberUid=jane)(memberUid={DN}))", ["cn"], 1000),
        ("bind", DN, "hers"),
    ]
    assert all(0 < seconds <= 10 for seconds in library.waited)


def test_without_a_password_to_bind_with_the_bind_is_anonymous(library: Library) -> None:
    assert asked(password=None).find("jane") is not None
    assert library.asked[0] == ("bind", None, None)
    assert code_of(asked(password=lambda: None).find, "jane") == "bind"


@pytest.mark.parametrize("password", ["", "x" * 1025, "hers\x00", "ä" * 513])
def test_what_can_be_no_password_is_not_asked(library: Library, password: str) -> None:
    assert asked().authenticate("jane", password) is None
    assert library.asked == []


@pytest.mark.parametrize("user", ["", "x" * 257, "jane\x00"])
def test_what_can_be_no_name_is_not_searched_for(library: Library, user: str) -> None:
    assert asked().find(user) is None
    assert library.asked == [("bind", "cn=binder", "binding")]


def test_the_longest_names_and_passwords_are_asked(library: Library) -> None:
    assert asked().authenticate("x" * 256, "x" * 1024) is not None


@pytest.mark.parametrize("error", ["AuthenticationError", "InsufficientAccess", "UnwillingToPerform", "NoSuchObjectError"])
def test_who_is_refused_has_the_wrong_password(library: Library, error: str) -> None:
    library.refused[DN] = error
    assert asked().authenticate("jane", "wrong") is None


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ("AuthenticationError", "bind"),
        ("InsufficientAccess", "bind"),
        ("UnwillingToPerform", "bind"),
        ("NoSuchObjectError", "bind"),
        ("TimeoutError", "timeout"),
        ("LDAPError", "connect"),
    ],
)
def test_a_server_that_does_not_let_in_is_told(library: Library, error: str, code: str) -> None:
    library.refused["cn=binder"] = error
    assert code_of(asked().find, "jane") == code
    library.refused = {DN: error}
    if code != "bind":
        assert code_of(asked().authenticate, "jane", "hers") == code


@pytest.mark.parametrize(
    ("error", "code"), [("SizeLimitError", "ambiguous"), ("TimeoutError", "timeout"), ("LDAPError", "search")]
)
def test_a_search_that_fails_is_told(library: Library, error: str, code: str) -> None:
    library.failing["ou=people"] = error
    assert code_of(asked().find, "jane") == code


def test_a_base_that_is_not_there_has_nobody(library: Library) -> None:
    library.failing["ou=people"] = "NoSuchObjectError"
    assert asked().find("jane") is None
    assert code_of(asked().probe) == "search"
    library.failing.clear()
    library.entries["ou=groups"] = [Entry("ou=groups")]
    assert asked().probe() == "ldap.example:636"
    assert library.asked[-1] == ("search", "ou=groups", 0, "(objectClass=*)", ["1.1"], 1)


def test_two_entries_are_nobody_and_referrals_are_none(library: Library) -> None:
    library.entries["ou=people"] = [object(), Entry(DN)]
    assert asked().find("jane") is not None
    library.entries["ou=people"] = [Entry(DN), Entry(f"{DN},dc=other")]
    assert code_of(asked().find, "jane") == "ambiguous"


def test_groups_of_a_user_are_named_by_their_entries_once_each(library: Library) -> None:
    names = ["cn=dba,ou=groups", "nothing", "cn=dba,ou=others", *(f"cn=group{number}" for number in range(1000))]
    library.entries["ou=people"] = [Entry(DN, memberOf=names)]
    enabled = {"selection": "ad", "memberof_check": {"enabled": True}}
    found = asked(schema=enabled).find("ja*ne")
    assert found is not None
    assert found.groups == ("dba", *(f"group{number}" for number in range(997)))
    wanted = r"(&(objectCategory=person)(objectClass=user)(sAMAccountName=ja\2ane))"
    assert library.asked[-1] == ("search", "ou=people", 2, wanted, ["memberOf"], 2)
    found = asked(schema=enabled | {"memberof_check": {"enabled": False}}).find("jane")
    assert found is not None
    assert found.groups == ()
    assert library.asked[-1][4] == ["1.1"]


def test_the_next_server_is_asked_only_where_one_gives_no_answer(library: Library) -> None:
    assert asked("no.example", "ldap.example").find("jane") is not None
    assert code_of(asked("no.example", "no2.example").find, "jane") == "connect"
    assert len(library.asked) == 3
    library.refused["cn=binder"] = "AuthenticationError"
    library.waited.clear()
    assert code_of(asked("ldap.example", "ldap2.example").find, "jane") == "bind"
    assert len(library.waited) == 1


def test_when_the_time_is_over_nobody_is_asked_any_more(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directory, "TOTAL_SECONDS", -1.0)
    with pytest.raises(DirectoryError, match=r"^No server answered in time\.$") as caught:
        asked().find("jane")
    assert caught.value.code == "timeout"
    monkeypatch.setattr(directory, "TOTAL_SECONDS", 30.0)
    here = time.monotonic()
    with asked()._bound() as bound:
        library.failing["ou=people"] = "LDAPError"
        bound._deadline = here
        library.asked.clear()
        assert code_of(bound.find, "jane") == "timeout"
        assert code_of(bound.proves, DN, "hers") == "timeout"
        assert library.asked == []


def test_what_a_server_says_is_told_plainly_and_not_at_length() -> None:
    assert str(DirectoryError("search", "\x1b[1m" + "x" * 300)) == "[1m" + "x" * 196 + "…"


def test_what_fails_when_the_time_is_over_is_about_the_time(library: Library) -> None:
    with asked()._bound() as bound:
        library.failing["ou=people"] = "LDAPError"

        def late() -> float:
            bound._deadline = time.monotonic()
            return 1.0

        bound._left = late  # type: ignore[method-assign]
        assert code_of(bound.find, "jane") == "timeout"
