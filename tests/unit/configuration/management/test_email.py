"""The mail settings: what goes together, what is warned of, whose secret the password is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from doorward.configuration.management import email
from doorward.tree.problems import InvalidBody, SemanticError
from tests.unit.configuration.management.samples import EMAIL as FULL
from tests.unit.transaction.rig import PASSWORDS, ROOT, TREE, Rig

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EMAIL = "management/email"
SERVER = {"selection": "ip", "value": "192.0.2.25"}
STARTTLS: dict[str, Any] = {"selection": "starttls"}


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path).started()
    yield made
    made.close()


def refused(rig: Rig, value: Any) -> list[tuple[str, str]]:
    with pytest.raises(InvalidBody) as caught:
        rig.put(rig.candidate(), EMAIL, value)
    return [(problem.code, problem.pointer) for problem in caught.value.problems]


def test_protection_left_out_takes_its_defaults(rig: Rig) -> None:
    rig.committed((EMAIL, {"smtp_server": SERVER, "smtp_encryption": {"selection": "tls"}}))
    assert rig.value(EMAIL)["smtp_encryption"] == {
        "client_authentication": {"enabled": False},
        "selection": "tls",
        "server_certificate_check": {"enabled": True, "server_certificate_ca": None},
    }


@pytest.mark.parametrize("encryption", ["starttls", "tls"])
def test_without_a_server_both_blocks_must_be_off(rig: Rig, encryption: str) -> None:
    value = {"smtp_auth": FULL["smtp_auth"], "smtp_encryption": {"selection": encryption}}
    found = [("contradiction", "/smtp_auth"), ("contradiction", "/smtp_encryption")]
    assert refused(rig, value) == refused(rig, {**value, "smtp_server": None}) == found


@pytest.mark.parametrize(
    ("member", "value", "found"),
    [
        ("admin_address", "nobody", ("format", "/admin_address")),
        ("admin_address", "a@b@example.com", ("format", "/admin_address")),
        ("alerting_address", "a b@example.com", ("format", "/alerting_address")),
        ("sender_address", "x\r\nBcc: y@example.com", ("format", "/sender_address")),
        ("smtp_port", 0, ("range", "/smtp_port")),
        ("smtp_server", {"selection": "ip", "value": "mail.example.com"}, ("format", "/smtp_server/value")),
        ("smtp_encryption", {"selection": "ssl"}, ("enum", "/smtp_encryption/selection")),
        ("smtp_auth", {**FULL["smtp_auth"], "username": ""}, ("length", "/smtp_auth/username")),
        ("smtp_auth", {**FULL["smtp_auth"], "username": "u" * 257}, ("length", "/smtp_auth/username")),
        ("smtp_auth", {**FULL["smtp_auth"], "username": "a\x00b"}, ("format", "/smtp_auth/username")),
    ],
)
def test_wrong_members(rig: Rig, member: str, value: Any, found: tuple[str, str]) -> None:
    assert refused(rig, {"smtp_server": SERVER, member: value}) == [found]


def test_a_password_in_clear_text_is_a_warning(rig: Rig) -> None:
    codes = []
    for encryption in ({"selection": "disabled"}, STARTTLS):
        candidate = rig.candidate()
        key = rig.post(candidate, PASSWORDS, {"plain": "secret of the mail server"})
        login = {"enabled": True, "password": key, "username": "doorward"}
        rig.put(candidate, EMAIL, {"smtp_auth": login, "smtp_encryption": encryption, "smtp_server": SERVER})
        codes.append([warning["code"] for warning in rig.commit(candidate).warnings])
        assert rig.secrets.text(key) == "secret of the mail server"
        assert rig.value(PASSWORDS, key) is not None
    assert codes == [["password_in_clear"], []]


def test_the_password_of_the_mail_server_serves_nothing_else(rig: Rig) -> None:
    candidate = rig.candidate()
    key = rig.post(candidate, PASSWORDS, {"plain": "secret of the mail server"})
    rig.post(candidate, "aaa/local_database/users", {"name": "jane", "password": key})
    login = {"enabled": True, "password": key, "username": "doorward"}
    rig.put(candidate, EMAIL, {"smtp_auth": login, "smtp_encryption": STARTTLS, "smtp_server": SERVER})
    with pytest.raises(SemanticError) as caught:
        rig.commit(candidate)
    assert ("referenced_twice", "/smtp_auth/password") in [(p.code, p.pointer) for p in caught.value.problems]


@pytest.mark.parametrize(
    ("value", "alerting", "reporting"),
    [
        ({}, None, None),
        ({"smtp_server": SERVER}, None, None),
        ({"admin_address": "admin@example.com"}, None, None),
        ({"admin_address": "admin@example.com", "smtp_server": SERVER}, "admin@example.com", "admin@example.com"),
        (
            {"admin_address": "admin@example.com", "alerting_address": "alerts@example.com", "smtp_server": SERVER},
            "alerts@example.com",
            "admin@example.com",
        ),
        ({"reporting_address": "reports@example.com", "smtp_server": SERVER}, None, "reports@example.com"),
    ],
)
def test_who_gets_what(rig: Rig, value: Any, alerting: str | None, reporting: str | None) -> None:
    rig.committed((EMAIL, value))
    snapshot = rig.pipeline.running.snapshot
    assert email.recipient(snapshot, "alerting") == alerting
    assert email.recipient(snapshot, "reporting") == reporting


def test_the_sample_of_the_contract_is_read_as_it_is_shown() -> None:
    node: Any = TREE[ROOT + EMAIL].node
    assert node.load(FULL).value == FULL
