"""Policies that only sessions use: user databases, user lists, mappings, credential stores, indexing, and what a node needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pydantic_core import PydanticCustomError

from doorward.configuration._openssh import user_key
from doorward.transaction.privileged import Committer
from tests.unit.configuration.policies.checks import AUDITS, advice, identity, password, private_key, problems, refused, stored
from tests.unit.configuration.policies.samples import AUDIT_DEFAULT
from tests.unit.configuration.ssh.samples import AUTHORITY
from tests.unit.transaction.rig import Rig

if TYPE_CHECKING:
    from doorward.transaction.candidate import Candidate

DATABASES, STORES, MAPPINGS = "policies/user_databases", "policies/credentialstores", "policies/usermapping_policies"
INDEXER, DISK = "local_services/indexer", "management/disk_fillup_prevention"
TOKEN = (
    "sk-ssh-ed25519@openssh.com "
    "AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIDX82gd0FS5qGV1BiEwtEFU9vdtFJFP/u8APW7HWZAg+AAAABHNzaDo="
)


def database(*users: dict[str, Any]) -> dict[str, Any]:
    return {"name": "x", "users": [*users]}


@pytest.mark.parametrize(
    ("user", "code", "at"),
    [
        ({}, "missing", "/username"),
        ({"username": ""}, "length", "/username"),
        ({"username": " jane"}, "format", "/username"),
        ({"username": "j", "public_keys": ["ssh-ed25519 AAAA"]}, "format", "/public_keys/0"),
        ({"username": "j", "public_keys": ["ssh-dss AAAA"]}, "format", "/public_keys/0"),
        ({"username": "j", "public_keys": [AUTHORITY, f"{AUTHORITY} twice"]}, "duplicate", "/public_keys/1"),
        ({"username": "j", "certificates": ["x"]}, "not_supported", "/certificates"),
        ({"username": "j", "groups": ["a", "a"]}, "duplicate", "/groups/1"),
    ],
)
def test_users_that_are_refused(user: dict[str, Any], code: str, at: str) -> None:
    assert problems(DATABASES, database(user)) == [(code, f"/users/0{at}")]


def test_weak_keys_of_users_are_refused() -> None:
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024).public_key()  # noqa: S505 - it is to be refused
    key = weak.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    with pytest.raises(PydanticCustomError, match="2048 bits"):
        user_key(key)
    assert problems(DATABASES, database({"username": "j", "public_keys": [key]})) == [("format", "/users/0/public_keys/0")]


def test_users_of_a_database() -> None:
    found = stored(DATABASES, database({"username": "jane", "public_keys": [f"{TOKEN} of jane"]}, {"username": "Jane"}))
    assert found["users"] == [
        {"certificates": [], "passwords": [], "public_keys": [TOKEN], "username": "jane"},
        {"certificates": [], "passwords": [], "public_keys": [], "username": "Jane"},
    ]
    assert problems(DATABASES, database({"username": "jane"}, {"username": "jane"})) == [("duplicate", "/users/1")]


def test_passwords_of_users_are_kept_as_hashes(rig: Rig) -> None:
    candidate = rig.candidate()
    keys = [password(rig, candidate, plain) for plain in ("an earlier password", "a later password")]
    made = rig.post(candidate, DATABASES, database({"username": "joe"}, {"username": "jane", "passwords": keys}))
    rig.commit(candidate)
    assert all((rig.secrets.text(key) or "").startswith("$argon2id$") for key in keys)
    candidate = rig.candidate()
    weak = [password(rig, candidate, plain) for plain in ("short", "a good long password")]
    rig.put(candidate, DATABASES, database({"username": "joe"}, {"username": "jane", "passwords": weak}), made)
    assert refused(lambda: rig.commit(candidate)) == [("weak_password", f"{DATABASES}/{made}", "/users/1/passwords/0")]


def test_the_name_of_a_user_is_no_password(rig: Rig) -> None:
    candidate = rig.candidate()
    users = database({"username": "administrator-jane", "passwords": [password(rig, candidate, "administrator-jane")]})
    made = rig.post(candidate, DATABASES, users)
    assert refused(lambda: rig.commit(candidate)) == [("weak_password", f"{DATABASES}/{made}", "/users/0/passwords/0")]


@pytest.mark.parametrize(
    ("host", "kept"),
    [
        ("10.20.0.5/16", "10.20.0.5/16"), ("10.20.0.5", "10.20.0.5/32"), ("2001:DB8::1", "2001:db8::1/128"),
        ("DB1.Example.com.", "db1.example.com"), ("*.Example.com", "*.example.com"),
        ("10.20.0.0/33", None), ("*", None), ("a.*.com", None), ("db_1", None), ("", None),
    ],
)  # fmt: skip
def test_hosts_of_credentials(host: str, kept: str | None) -> None:
    body = {"name": "x", "credentials": [{"host": host, "username": "root", "password": "k"}]}
    if kept is None:
        assert problems(STORES, body) == [("format", "/credentials/0/host")]
    else:
        assert stored(STORES, body)["credentials"][0]["host"] == kept


def test_credentials_have_a_secret_and_stand_there_once() -> None:
    line = {"host": "db1", "username": "root", "password": "k"}
    assert problems(STORES, {"name": "x", "credentials": [{"host": "db1", "username": "root"}]}) == [
        ("contradiction", "/credentials/0")
    ]
    assert problems(STORES, {"name": "x", "credentials": [line, {**line, "password": "l"}]}) == [("duplicate", "/credentials/1")]
    assert problems(STORES, {"name": "x", "selection": "external"}) == [("enum", "/selection")]


def lines(rig: Rig, candidate: Candidate) -> list[dict[str, Any]]:
    return [
        {"host": "10.1.0.0/16", "username": "root", "password": password(rig, candidate)},
        {"host": "db1", "username": "oracle", "private_key": private_key(rig, candidate)},
    ]


def test_a_credential_stays_with_its_host(rig: Rig) -> None:
    candidate = rig.candidate()
    credentials = lines(rig, candidate)
    made = rig.post(candidate, STORES, {"name": "x", "credentials": credentials})
    rig.commit(candidate)

    def problems_of(*changed: dict[str, Any]) -> list[tuple[str, str]]:
        trial = rig.candidate()
        rig.put(trial, STORES, {"name": "x", "credentials": [*changed]}, made)
        return [(one.code, one.pointer) for one in rig.pipeline.plan(trial, by=Committer("somebody")).problems]

    first, second = credentials
    assert problems_of(second, {**first, "username": "admin"}) == []
    assert problems_of({**first, "host": "10.0.0.0/8"}, second) == [("secret_required", "/credentials/0/password")]
    assert problems_of(first, {**second, "host": "evil.example"}) == [("secret_required", "/credentials/1/private_key")]


def test_mappings_and_lists() -> None:
    rules = [{"server_username": "oracle"}]
    assert stored(MAPPINGS, {"name": "x", "rules": rules}) == {
        "allow_unmapped": False,
        "name": "x",
        "rules": [{"gateway_groups": [], "gateway_users": [], "server_username": "oracle"}],
    }
    assert problems(MAPPINGS, {"name": "x", "rules": [{}]}) == [("missing", "/rules/0/server_username")]


def test_extensions_of_audit_policies_show_where_they_differ(rig: Rig) -> None:
    candidate = rig.candidate()
    open_ones = [identity(rig, candidate, with_key=False) for _ in range(2)]
    encryption = {"enabled": True, "certificates": open_ones[:1]}
    body = {**AUDIT_DEFAULT, "name": "x", "encryption": encryption}
    assert stored(AUDITS, {**body, "live_view": False, "when_recording_fails": "end"}) == body
    whole = {**body, "encryption": {**encryption, "keystroke_certificates": open_ones[1:]}}
    whole |= {"live_view": True, "when_recording_fails": "go_on"}
    assert stored(AUDITS, whole) == whole
    assert problems(AUDITS, {**body, "when_recording_fails": "stop"}) == [("enum", "/when_recording_fails")]
    rig.post(candidate, AUDITS, whole)
    assert advice(rig, candidate) == []


def test_certificates_that_can_not_do_it_are_refused(rig: Rig) -> None:
    candidate = rig.candidate()
    curve, edwards = identity(rig, candidate, "ecdsa-p256"), identity(rig, candidate, "ed25519")
    encryption = {"enabled": True, "certificates": [identity(rig, candidate)], "keystroke_certificates": [curve]}
    signing = {"enabled": True, "x509_identity": edwards}
    made = rig.post(candidate, AUDITS, {**AUDIT_DEFAULT, "name": "x", "encryption": encryption, "signing": signing})
    rig.put(candidate, INDEXER, {"decryption_keys": [curve, identity(rig, candidate, with_key=False)]})
    assert sorted(refused(lambda: rig.commit(candidate))) == [
        ("unsuitable", INDEXER, "/decryption_keys/0"),
        ("unsuitable", INDEXER, "/decryption_keys/1"),
        ("unsuitable", f"{AUDITS}/{made}", "/encryption/keystroke_certificates/0"),
        ("unsuitable", f"{AUDITS}/{made}", "/signing/x509_identity"),
    ]


@pytest.mark.parametrize(
    ("path", "body", "at"),
    [
        (INDEXER, {"integrated": {"number_of_workers": 1}}, "/integrated/number_of_workers"),
        (INDEXER, {"remote_access": {"enabled": True}}, "/remote_access/enabled"),
        (DISK, {"archiving_enabled": True}, "/archiving_enabled"),
    ],
)
def test_what_comes_later(path: str, body: dict[str, Any], at: str) -> None:
    assert problems(path, body) == [("not_supported", at)]


def test_a_disk_that_fills_up_takes_no_more_sessions_by_default(rig: Rig) -> None:
    assert rig.value(DISK) == {"archiving_enabled": False, "enabled": True, "used_space_ratio_limit": 80} == stored(DISK, {})
    assert problems(DISK, {"used_space_ratio_limit": 100}) == [("range", "/used_space_ratio_limit")]
