"""The password policy in force: which passwords an account may get, and how long they last."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from doorward.access.authentication import Authenticator
from doorward.transaction.history import restore
from doorward.tree.problems import SemanticError
from tests.unit.transaction.rig import ADMIN_PASSWORD, PASSWORDS, ROOT, USERS, Rig, place

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from doorward.transaction.candidate import Candidate

SETTINGS = "aaa/settings"
GOOD = "correct horse battery"


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path).started()
    yield made
    made.close()


def policy(rig: Rig, **members: Any) -> None:
    rig.committed((SETTINGS, {"password_policy": {"enabled": True} | members}))


def give(rig: Rig, candidate: Candidate, text: str, user: str = "", name: str = "jane") -> str:
    """Put a password into an account, a new one if no key is given. Returns the key of the account."""
    secret = rig.post(candidate, PASSWORDS, {"plain": text})
    if not user:
        return rig.post(candidate, USERS, {"name": name, "password": secret})
    rig.put(candidate, USERS, {"name": name, "password": secret}, user)
    return user


def committed(rig: Rig, text: str, user: str = "", name: str = "jane") -> str:
    candidate = rig.candidate()
    user = give(rig, candidate, text, user, name)
    rig.commit(candidate)
    return user


def messages(rig: Rig, text: str, user: str = "", name: str = "jane") -> list[str]:
    """Why a commit does not take a password; every reason must be in the form of the contract."""
    candidate = rig.candidate()
    user = give(rig, candidate, text, user, name)
    try:
        rig.commit(candidate)
    except SemanticError as error:
        problems = error.problems
    else:
        return []
    assert {(p.code, p.path, p.pointer) for p in problems} == {("weak_password", f"{ROOT}{USERS}/{user}", "/password")}
    return [problem.message for problem in problems]


def refused(rig: Rig, *args: str) -> bool:
    return bool(messages(rig, *args))


# What a password must be like


@pytest.mark.parametrize(("length", "least"), [(11, 12), (12, 12), (1, 1), (149, 150), (150, 150)])
def test_the_minimum_length_counts_characters(rig: Rig, length: int, least: int) -> None:
    policy(rig, minimum_length=least)
    found = messages(rig, ("é\U0001f512" * 75)[:length])
    assert found == ([] if length >= least else [f"At least {least} characters are needed."])


@pytest.mark.parametrize(
    ("text", "classes"),
    [
        ("abcdefghijkl", 1), ("ABCDEFGHIJKL", 1), ("394857102934", 1), ("+-,.;:!?()[]", 1), ("密码密码密码密码密码密码", 1),
        ("abcdefGHIJKL", 2), ("abcdef123490", 2), ("abcdef ghijk", 2), ("éèàçùâÉÈÀÇÙÂ", 2), ("abcdef密码密码密码", 2),
        ("abcdEFGH1290", 3), ("abcd EFGH-zy", 3), ("abcdEFGH129_", 4), ("ЖжЖжЖжЖжЖж1密", 4),
    ],
)  # fmt: skip
def test_the_classes_of_characters_are_counted(rig: Rig, text: str, classes: int) -> None:
    policy(rig, minimum_classes=classes, dictionary_check=False)
    assert not refused(rig, text)
    if classes < 4:
        policy(rig, minimum_classes=classes + 1, dictionary_check=False)
        assert refused(rig, text, "", "john")


@pytest.mark.parametrize("text", ["password1234", "PassWord1234", "a-user-name-of-length", "A-User-Name-Of-Length"])
def test_what_can_be_guessed_is_refused_unless_the_check_is_off(rig: Rig, text: str) -> None:
    assert messages(rig, text, "", "a-user-name-of-length") == [
        "The password is a common one, or the name of the account or the host."
    ]
    policy(rig, dictionary_check=False)
    assert not refused(rig, text, "", "a-user-name-of-length")


def test_the_name_of_the_host_is_no_password(rig: Rig) -> None:
    policy(rig, minimum_length=1)
    host = rig.value("network/naming")["hostname"]
    assert refused(rig, host.upper())
    assert not refused(rig, host.upper() + "x")


def test_every_reason_is_given_at_once(rig: Rig) -> None:
    policy(rig, minimum_classes=3)
    assert len(messages(rig, "12345678")) == 3


def test_without_policy_any_password_will_do(rig: Rig) -> None:
    rig.committed((SETTINGS, {"password_policy": {"enabled": False}}))
    user = committed(rig, "x")
    assert not refused(rig, "x", user)


def test_the_policy_of_the_same_commit_counts(rig: Rig) -> None:
    candidate = rig.candidate()
    rig.put(candidate, SETTINGS, {"password_policy": {"enabled": True, "minimum_length": 30}})
    give(rig, candidate, GOOD)
    with pytest.raises(SemanticError):
        rig.commit(candidate)
    rig.put(candidate, SETTINGS, {"password_policy": {"enabled": True, "minimum_length": 3}})
    rig.commit(candidate)


def test_passwords_that_are_there_are_not_judged_again(rig: Rig) -> None:
    user = committed(rig, GOOD)
    policy(rig, minimum_length=100, minimum_classes=4, remembered_passwords=24)
    candidate = rig.candidate()
    rig.put(candidate, USERS, {"name": "joan", "password": rig.value(USERS, user)["password"]}, user)
    rig.commit(candidate)
    assert rig.value(USERS, user)["name"] == "joan"


def test_a_password_that_waited_for_its_owner_is_judged_when_it_gets_one(rig: Rig) -> None:
    candidate = rig.candidate()
    secret = rig.post(candidate, PASSWORDS, {"plain": "short"})
    rig.commit(candidate)
    candidate = rig.candidate()
    rig.post(candidate, USERS, {"name": "jane", "password": secret})
    with pytest.raises(SemanticError, match="At least 12 characters"):
        rig.commit(candidate)


# What an account had before


def test_as_many_passwords_as_asked_for_are_remembered(rig: Rig) -> None:
    policy(rig, remembered_passwords=2)
    user = committed(rig, f"{GOOD} 0")
    for number in (1, 2, 3):
        committed(rig, f"{GOOD} {number}", user)
    assert messages(rig, f"{GOOD} 3", user) == ["The password is one of the last 2 of the account."]
    assert refused(rig, f"{GOOD} 2", user)
    assert not refused(rig, f"{GOOD} 1", user)
    assert refused(rig, f"{GOOD} 3", user)
    assert not refused(rig, f"{GOOD} 2", user)


def test_nothing_is_remembered_unless_asked_for(rig: Rig) -> None:
    user = committed(rig, GOOD)
    assert not refused(rig, GOOD, user)
    policy(rig, remembered_passwords=1)
    assert refused(rig, GOOD, user)
    rig.committed((SETTINGS, {"password_policy": {"enabled": False}}))
    assert not refused(rig, GOOD, user)


def test_passwords_from_before_the_setting_are_remembered_over_a_restart(tmp_path: Path) -> None:
    rig = Rig(tmp_path).started()
    user = committed(rig, GOOD)
    committed(rig, f"{GOOD} 1", user)
    rig = rig.restarted()
    policy(rig, remembered_passwords=24)
    assert refused(rig, GOOD, user)
    assert refused(rig, ADMIN_PASSWORD, "-1", "admin")
    rig.close()


def test_other_changes_of_the_account_push_nothing_out(rig: Rig) -> None:
    policy(rig, remembered_passwords=2)
    user = committed(rig, GOOD)
    committed(rig, f"{GOOD} 1", user)
    for name in ("joan", "jo", "jane"):
        candidate = rig.candidate()
        rig.put(candidate, USERS, {"name": name, "password": rig.value(USERS, user)["password"]}, user)
        rig.commit(candidate)
    assert refused(rig, GOOD, user)


def test_a_time_without_password_is_none_to_remember(rig: Rig) -> None:
    policy(rig, remembered_passwords=1)
    user = committed(rig, GOOD)
    candidate = rig.candidate()
    rig.put(candidate, USERS, {"name": "jane", "password": None}, user)
    rig.commit(candidate)
    assert refused(rig, GOOD, user)


def test_passwords_of_others_do_not_count(rig: Rig) -> None:
    policy(rig, remembered_passwords=24)
    committed(rig, GOOD)
    assert not refused(rig, GOOD, "", "john")


def test_going_back_to_an_earlier_revision_is_no_new_password(rig: Rig) -> None:
    policy(rig, remembered_passwords=24)
    user = committed(rig, GOOD)
    before = rig.number
    committed(rig, f"{GOOD} 1", user)
    candidate = rig.candidate()
    restore(rig.tree, rig.store, candidate, before)
    rig.commit(candidate)
    assert authenticator(rig).check(("jane", GOOD)) is not None


LDAP = {
    "bind_dn": "cn=doorward,dc=example,dc=com",
    "group_base_dn": "ou=groups,dc=example,dc=com",
    "name": "directory",
    "schema": {
        "memberof_check": {"enabled": False},
        "membership_check": {"enabled": True, "member_uid_attribute": "memberUid"},
        "selection": "posix",
        "username_attribute": "uid",
    },
    "servers": [{"host": {"selection": "ip", "value": "192.0.2.5"}, "port": 389}],
    "user_base_dn": "ou=people,dc=example,dc=com",
}
DIRECTORIES = "policies/ldap_servers"


def test_a_password_cannot_move_to_an_owner_that_keeps_it_otherwise(rig: Rig) -> None:
    candidate = rig.candidate()
    sealed = rig.post(candidate, PASSWORDS, {"plain": GOOD})
    policy_key = rig.post(candidate, DIRECTORIES, LDAP | {"bind_password": sealed})
    rig.commit(candidate)
    user = committed(rig, f"{GOOD} 1")
    hashed = rig.value(USERS, user)["password"]["key"]
    moves = [
        (sealed, (DIRECTORIES, {**LDAP, "bind_dn": None}, policy_key), (USERS, {"name": "admin", "password": sealed}, "-1")),
        (hashed, (USERS, {"name": "jane"}, user), (DIRECTORIES, {**LDAP, "bind_password": hashed}, policy_key)),
    ]
    for _, letting_go, taking in moves:
        candidate = rig.candidate()
        rig.put(candidate, *letting_go)
        rig.put(candidate, *taking)
        with pytest.raises(SemanticError) as caught:
            rig.commit(candidate)
        assert [(p.code, p.path) for p in caught.value.problems] == [("unsuitable", f"{ROOT}{taking[0]}/{taking[2]}")]
    assert log_in(rig, "admin", ADMIN_PASSWORD)[0]
    assert log_in(rig, "jane", f"{GOOD} 1")[0]


# How long a password lasts


def authenticator(rig: Rig, **after: float) -> Authenticator:
    """Checks logins so long after now."""
    return Authenticator(lambda: rig.pipeline.running, rig.secrets.text, lambda: datetime.now(UTC) + timedelta(**after))


def log_in(rig: Rig, user: str, password: str, **after: float) -> tuple[bool, Sequence[Any]]:
    with structlog.testing.capture_logs() as logs:
        account = authenticator(rig, **after).check((user, password))
    return account is not None, logs


def test_an_expired_password_is_refused_and_the_log_says_why(rig: Rig) -> None:
    policy(rig, expiration_days=30)
    committed(rig, GOOD)
    assert log_in(rig, "jane", GOOD, days=29, hours=23) == (True, [])
    assert log_in(rig, "JANE", GOOD, days=30, hours=1) == (
        False,
        [{"event": "password expired", "log_level": "warning", "user": "jane"}],
    )


def test_a_wrong_password_is_not_called_expired(rig: Rig) -> None:
    policy(rig, expiration_days=30)
    committed(rig, GOOD)
    assert log_in(rig, "jane", "wrong", days=31) == (False, [])


def test_the_age_counts_from_when_the_password_was_posted(rig: Rig) -> None:
    policy(rig, expiration_days=1)
    user = committed(rig, GOOD)
    key = rig.value(USERS, user)["password"]["key"]
    made = datetime.fromisoformat(rig.value(PASSWORDS, key)["created"])
    for after, right in ((timedelta(days=1, seconds=-1), True), (timedelta(days=1), False)):
        checker = Authenticator(lambda: rig.pipeline.running, rig.secrets.text, lambda after=after: made + after)  # type: ignore[misc]
        assert (checker.check(("jane", GOOD)) is not None) is right


def test_a_new_password_lets_the_account_in_again(rig: Rig) -> None:
    policy(rig, expiration_days=30)
    user = committed(rig, GOOD)
    assert not log_in(rig, "jane", GOOD, days=31)[0]
    committed(rig, f"{GOOD} 1", user)
    assert log_in(rig, "jane", f"{GOOD} 1", days=29)[0]


def test_the_password_of_admin_never_expires(rig: Rig) -> None:
    policy(rig, expiration_days=1)
    assert log_in(rig, "admin", ADMIN_PASSWORD, days=4000) == (True, [])


@pytest.mark.parametrize(
    "value", [{"password_policy": {"enabled": True, "expiration_days": None}}, {"password_policy": {"enabled": False}}]
)
def test_nothing_expires_unless_asked_for(rig: Rig, value: Any) -> None:
    policy(rig, expiration_days=1)
    committed(rig, GOOD)
    rig.committed((SETTINGS, value))
    assert log_in(rig, "jane", GOOD, days=4000) == (True, [])


def test_an_account_that_changed_after_it_proved_itself_does_not_stand(rig: Rig) -> None:
    user = committed(rig, GOOD)
    checker = authenticator(rig)
    account = checker.check(("jane", GOOD))
    assert account is not None
    assert checker.stands(account)
    committed(rig, f"{GOOD} 1", user)
    assert not checker.stands(account)
    account = checker.check(("jane", f"{GOOD} 1"))
    assert account is not None
    candidate = rig.candidate()
    rig.delete(candidate, USERS, user)
    rig.commit(candidate)
    assert not checker.stands(account)
    assert rig.pipeline.running.snapshot.document(place(USERS, user)) is None
