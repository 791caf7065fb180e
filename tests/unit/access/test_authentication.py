"""Names and passwords: what is a credential at all, whose it is, and that an unknown name costs as much as a known one."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from argon2 import PasswordHasher

from doorward.access import authentication, passwords
from doorward.access.authentication import Authenticator, basic_credentials
from doorward.access.passwords import matches
from doorward.configuration.aaa import settings
from doorward.transaction.candidate import Running
from doorward.tree.places import Place
from tests.unit.transaction.rig import ADMIN_PASSWORD, GOOD_PASSWORD, GROUPS, PASSWORDS, TREE, USERS, Rig

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def basic(text: str | bytes) -> str:
    return "Basic " + base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


@pytest.mark.parametrize(
    ("header", "found"),
    [
        (basic("jane:secret"), ("jane", "secret")),
        (basic("jane:"), ("jane", "")),
        (basic(":secret"), ("", "secret")),
        (basic(":"), ("", "")),
        (basic("jane:a:b:c"), ("jane", "a:b:c")),
        (basic("j\u00e9:\u4e2d\U0001f512"), ("j\u00e9", "\u4e2d\U0001f512")),
        (basic(" jane : x "), (" jane ", " x ")),
        ("bAsIc " + basic("a:b")[6:], ("a", "b")),
        ("  Basic   " + basic("a:b")[6:] + "  ", ("a", "b")),
        (basic("n" * 256 + ":" + "p" * 1024), ("n" * 256, "p" * 1024)),
        (basic("n" * 257 + ":p"), None),
        (basic("n:" + "p" * 1025), None),
        (basic("n:" + "\u00e9" * 513), None),
        (basic("jane"), None),
        (basic(b"j\xe9:gr\xfcn"), ("j\u00e9", "gr\u00fcn")),
        (basic(b"jane:\xff"), ("jane", "\u00ff")),
        (basic(b"j\xc3\xa9:gr\xfcn"), ("j\u00c3\u00a9", "gr\u00fcn")),
        ("Basic", None),
        ("Basic ", None),
        ("", None),
        ("Bearer " + basic("a:b")[6:], None),
        ("Digest username=a", None),
        ("Basic not base64!", None),
        ("Basic amFuZTpzZWNyZXQ", None),
        ("Basic amFu ZTpz", None),
        ("Basic " + base64.urlsafe_b64encode(b"a:\xfb\xff").decode(), None),
        (basic(b"\xff" * 20), None),
        ("Basic \u00e9", None),
    ],
)
def test_what_is_a_credential(header: str, found: tuple[str, str] | None) -> None:
    assert basic_credentials(header) == found


@pytest.fixture(autouse=True)
def cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Real argon2id that takes no time; `test_passwords` looks at the parameters."""
    monkeypatch.setattr(passwords, "_hasher", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path)
    candidate = made.candidate()
    secret = made.post(candidate, PASSWORDS, {"plain": GOOD_PASSWORD})
    jane = made.post(candidate, USERS, {"name": "Jane", "password": secret})
    made.post(candidate, USERS, {"name": "nopassword"})
    made.put(candidate, GROUPS, {"name": "basic-view", "members": [jane]}, "-1001")
    made.commit(candidate)
    yield made
    made.close()


def authenticator(rig: Rig) -> Authenticator:
    return Authenticator(lambda: rig.pipeline.running, rig.secrets.text)


def test_the_right_password_opens_the_account(rig: Rig) -> None:
    account = authenticator(rig).check(("admin", ADMIN_PASSWORD))
    assert account is not None
    assert (account.key, account.name, account.rights.everything) == ("-1", "admin", True)


@pytest.mark.parametrize("name", ["Jane", "jane", "JANE"])
def test_names_are_compared_without_regard_to_case_and_kept_as_they_are(rig: Rig, name: str) -> None:
    account = authenticator(rig).check((name, GOOD_PASSWORD))
    assert account is not None
    assert account.name == "Jane"
    assert account.rights.groups == ("basic-view",)


@pytest.mark.parametrize(
    "credentials",
    [
        ("Jane", "wrong"),
        ("Jane", ""),
        ("Jane", GOOD_PASSWORD + " "),
        ("Jane", GOOD_PASSWORD.upper()),
        ("admin", GOOD_PASSWORD),
        ("nobody", GOOD_PASSWORD),
        ("", ""),
        ("nopassword", ""),
        ("nopassword", "the password of nobody"),
        ("nobody", "the password of nobody"),
        ("", "the password of nobody"),
        None,
    ],
)
def test_everything_else_is_refused(rig: Rig, credentials: tuple[str, str] | None) -> None:
    assert authenticator(rig).check(credentials) is None


@pytest.mark.parametrize(
    "credentials", [("Jane", GOOD_PASSWORD), ("Jane", "wrong"), ("nobody", "wrong"), ("nopassword", "x"), ("", ""), None]
)
def test_one_hash_is_computed_whoever_asks(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, credentials: tuple[str, str] | None
) -> None:
    computed: list[str] = []

    def counted(kept: str, text: str) -> bool:
        computed.append(kept)
        return matches(kept, text)

    monkeypatch.setattr(authentication, "matches", counted)
    authenticator(rig).check(credentials)
    assert len(computed) == 1
    assert computed[0].startswith("$argon2id$")


def test_a_password_committed_meanwhile_counts_at_once(rig: Rig) -> None:
    check = authenticator(rig).check
    candidate = rig.candidate()
    secret = rig.post(candidate, PASSWORDS, {"plain": "another good one!"})
    jane = rig.pipeline.running.snapshot.objects(f"/api/configuration/{USERS}").with_names("jane")[0]
    rig.put(candidate, USERS, {"name": "Jane", "password": secret}, jane)
    assert check(("Jane", "another good one!")) is None
    rig.commit(candidate)
    assert check(("Jane", GOOD_PASSWORD)) is None
    assert check(("Jane", "another good one!")) is not None


def test_a_commit_during_the_check_is_noticed(rig: Rig) -> None:
    asked = authenticator(rig)
    account = asked.check(("Jane", GOOD_PASSWORD))
    assert account is not None
    assert asked.stands(account)
    rig.committed(("management/webinterface", {"timeout": 20}))
    assert asked.stands(account)
    candidate = rig.candidate()
    rig.put(candidate, USERS, {"name": "Janet", "password": account.password}, account.key)
    rig.commit(candidate)
    assert not asked.stands(account)
    candidate = rig.candidate()
    rig.delete(candidate, USERS, account.key)
    rig.commit(candidate)
    assert not asked.stands(account)


def with_policy(running: Running, **changes: Any) -> Running:
    place = Place(settings.PATH)
    body = running.snapshot.value(settings.PATH)
    body = {**body, "password_policy": {**body["password_policy"], **changes}}
    return Running(running.number, "", running.snapshot.put(place, TREE.load(place, body)))


@pytest.mark.parametrize(("days", "passed", "expired"), [(None, 9999, False), (30, 29, False), (30, 31, True), (1, 2, True)])
def test_a_password_that_is_too_old_opens_nothing_but_the_account_admin(
    rig: Rig, days: int | None, passed: int, expired: bool
) -> None:
    running = with_policy(rig.pipeline.running, expiration_days=days)
    asked = Authenticator(lambda: running, rig.secrets.text, lambda: datetime.now(UTC) + timedelta(days=passed))
    assert (asked.check(("Jane", GOOD_PASSWORD)) is None) is expired
    assert asked.check(("admin", ADMIN_PASSWORD)) is not None
