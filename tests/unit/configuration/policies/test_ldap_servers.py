"""Directory servers that policies ask."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.configuration.policies.checks import (
    LDAPS,
    advice,
    changed,
    expanded,
    identity,
    password,
    problems,
    refused,
    stored,
    warned,
    without,
)
from tests.unit.configuration.policies.samples import KEY, LDAP, LDAP_AD
from tests.unit.transaction.rig import USERS, Rig

CLEAR = {"selection": "disabled"}


def server(name: str = "ldap.example.com", port: Any = 389) -> dict[str, Any]:
    return {"host": {"selection": "fqdn", "value": name}, "port": port}


def test_the_sample_is_answered_member_for_member(rig: Rig) -> None:
    candidate = rig.candidate()
    made = rig.post(candidate, LDAPS, LDAP)
    rig.commit(candidate)
    assert rig.value(LDAPS, made) == LDAP


def test_references_are_expanded_and_taken_back(rig: Rig) -> None:
    candidate = rig.candidate()
    secret, authority = password(rig, candidate), identity(rig, candidate, with_key=False)
    at = "encryption/server_certificate_check/server_certificate_ca"
    made = rig.post(candidate, LDAPS, changed({**LDAP_AD, "bind_password": secret}, at, authority))
    rig.commit(candidate)
    shown = changed({**LDAP_AD, "bind_password": expanded("passwords", secret)}, at, expanded("x509", authority))
    assert rig.value(LDAPS, made) == shown
    candidate = rig.candidate()
    rig.put(candidate, LDAPS, shown, made)
    assert not candidate.changed
    assert rig.secrets.text(secret) == "a password of a service"


def test_what_is_left_out_takes_its_default() -> None:
    few = {name: LDAP[name] for name in ("name", "servers", "user_base_dn", "group_base_dn")}
    schema = {name: member for name, member in LDAP["schema"].items() if name != "username_attribute"}
    assert stored(LDAPS, {**few, "schema": schema}) == LDAP


@pytest.mark.parametrize("required", ["name", "servers", "user_base_dn", "group_base_dn", "schema"])
def test_what_is_required(required: str) -> None:
    assert problems(LDAPS, without(LDAP, required)) == [("missing", f"/{required}")]


@pytest.mark.parametrize("kind", ["starttls", "ldaps"])
@pytest.mark.parametrize(
    ("check", "found"),
    [
        ({}, {"enabled": True, "server_certificate_ca": None}),
        ({"server_certificate_check": {"enabled": True}}, {"enabled": True, "server_certificate_ca": None}),
        ({"server_certificate_check": {"enabled": False}}, {"enabled": False}),
    ],
)
def test_the_server_is_checked_unless_told_otherwise(kind: str, check: Any, found: Any) -> None:
    policy = {**LDAP, "encryption": {"selection": kind, **check}}
    assert stored(LDAPS, policy)["encryption"] == {"selection": kind, "server_certificate_check": found}


def test_in_clear_text_there_is_nothing_to_check() -> None:
    policy = {**LDAP, "encryption": {**LDAP["encryption"], "selection": "disabled"}}
    assert warned(LDAPS, policy) == [("unknown_member", "/encryption/server_certificate_check")]


def test_the_python_name_of_a_member_is_none_on_the_wire() -> None:
    assert problems(LDAPS, {**LDAP, "schema_": LDAP["schema"]}) == [("unknown_member", "/schema_")]


@pytest.mark.parametrize(
    ("servers", "found"),
    [
        ([], [("length", "")]),
        ([server(port=n) for n in range(1, 17)], []),
        ([server(port=n) for n in range(1, 18)], [("length", "")]),
        ([server(), server("LDAP.example.com.")], [("duplicate", "/1")]),
        ([server(), server(port=636)], []),
        ([{"host": server()["host"]}], [("missing", "/0/port")]),
        ([{"port": 389}], [("missing", "/0/host")]),
        ([server(port=0)], [("range", "/0/port")]),
        ([server(port="389")], [("type", "/0/port")]),
        ([server("a b")], [("format", "/0/host/value")]),
    ],
)
def test_servers(servers: Any, found: list[tuple[str, str]]) -> None:
    assert problems(LDAPS, {**LDAP, "servers": servers}) == [(code, f"/servers{pointer}") for code, pointer in found]


def test_servers_keep_their_order() -> None:
    servers = [server(port=636), server("b.example.com"), server("a.example.com")]
    assert stored(LDAPS, {**LDAP, "servers": servers})["servers"] == servers


@pytest.mark.parametrize(
    "name",
    [
        "dc=example,dc=com",
        'CN=James \\"Jim\\" Smith\\, III,DC=example,DC=net',
        "OU=Sales+CN=J.  Smith,DC=example,DC=net",
        "CN=Before\\0dAfter,DC=example,DC=net",
        "1.3.6.1.4.1.1466.0=#04024869",
        "CN=Lu\\C4\\8Di\\C4\\87",
        "CN=Lu\u010di\u0107",
        "cn=\\ lead,cn=trail\\20",
        "cn=a\\ ,cn=b",
        "cn=\\#hash",
        "cn=a#b=c",
        "cn=",
        "o=x" + "y" * 1021,
    ],
)
def test_distinguished_names(name: str) -> None:
    assert stored(LDAPS, {**LDAP, "user_base_dn": name, "group_base_dn": name})["user_base_dn"] == name


@pytest.mark.parametrize(
    "name",
    [
        "example.com",
        "dc=example,",
        ",dc=example",
        "dc=example,,dc=com",
        "dc=example, dc=com",
        "dc= example",
        "dc=example ",
        "=x",
        "1=x",
        "1.02=x",
        "-a=x",
        "cn=a;b",
        "cn=a<b",
        'cn="a"',
        "cn=a\\",
        "cn=a\\g1",
        "cn=#0",
        "cn=#",
        "cn=#zz",
        "cn=a+",
        "cn=a\nb",
        "\u0661.2=x",
    ],
)
@pytest.mark.parametrize("member", ["user_base_dn", "group_base_dn"])
def test_what_is_no_distinguished_name(member: str, name: str) -> None:
    assert problems(LDAPS, {**LDAP, member: name}) == [("format", f"/{member}")]


def test_the_length_of_distinguished_names() -> None:
    found = problems(LDAPS, {**LDAP, "user_base_dn": "", "group_base_dn": "o=" + "x" * 1023})
    assert found == [("length", "/group_base_dn"), ("length", "/user_base_dn")]


def test_long_hostile_names_are_refused_in_no_time() -> None:
    for name in ("cn=" + "\\20" * 340 + ";", "cn=" + " " * 1000 + ";", "+".join(["a=b"] * 250) + ";"):
        assert problems(LDAPS, {**LDAP, "user_base_dn": name}) == [("format", "/user_base_dn")]


@pytest.mark.parametrize(
    ("members", "found"),
    [
        ({}, []),
        ({"bind_dn": "cn=x"}, [("contradiction", "/bind_password")]),
        ({"bind_password": KEY}, [("contradiction", "/bind_dn")]),
        ({"bind_dn": "cn=x", "bind_password": KEY}, []),
        ({"bind_dn": "x", "name": ""}, [("format", "/bind_dn"), ("contradiction", "/bind_password"), ("length", "/name")]),
    ],
)
def test_a_login_has_a_name_and_a_password(members: Any, found: list[tuple[str, str]]) -> None:
    assert problems(LDAPS, {**LDAP, **members}) == found
    left_out = {name: member for name, member in {**LDAP, **members}.items() if member is not None}
    assert problems(LDAPS, left_out) == found


@pytest.mark.parametrize(
    ("schema", "found"),
    [
        ({"selection": "nis"}, [("enum", "/selection")]),
        ({"selection": "posix"}, [("missing", "/memberof_check"), ("missing", "/membership_check")]),
        ({"selection": "ad"}, [("missing", "/memberof_check")]),
        ({"memberof_check": {"enabled": True}, "selection": "ad"}, []),
        (
            {"memberof_check": {"enabled": True}, "membership_check": {"enabled": True}, "selection": "posix"},
            [("missing", "/memberof_check/memberof_user_attribute"), ("missing", "/membership_check/member_uid_attribute")],
        ),
        ({**LDAP["schema"], "username_attribute": ""}, [("length", "/username_attribute")]),
        ({**LDAP["schema"], "username_attribute": "a b"}, [("format", "/username_attribute")]),
        ({**LDAP["schema"], "username_attribute": "uid)(x=*"}, [("format", "/username_attribute")]),
        ({**LDAP["schema"], "username_attribute": "0.9.2342.19200300.100.1.1"}, []),
        (
            {"memberof_check": {"enabled": True, "memberof_user_attribute": "x"}, "selection": "ad"},
            [("unknown_member", "/memberof_check/memberof_user_attribute")],
        ),
    ],
)
def test_schemas(schema: Any, found: list[tuple[str, str]]) -> None:
    assert problems(LDAPS, {**LDAP, "schema": schema}) == [(code, f"/schema{pointer}") for code, pointer in found]


def test_a_password_in_clear_text_is_warned_of(rig: Rig) -> None:
    candidate = rig.candidate()
    login = {"bind_dn": "cn=x", "bind_password": password(rig, candidate)}
    other = {"bind_dn": "cn=x", "bind_password": password(rig, candidate)}
    warned_of = rig.post(candidate, LDAPS, {**LDAP, "name": "a", "encryption": CLEAR, **login})
    rig.post(candidate, LDAPS, {**LDAP, "name": "b", "encryption": CLEAR})
    rig.post(candidate, LDAPS, {**LDAP, "name": "c", **other})
    assert advice(rig, candidate) == [("password_in_clear", f"{LDAPS}/{warned_of}", "/encryption")]


def test_what_is_referred_to_must_exist(rig: Rig) -> None:
    candidate = rig.candidate()
    assert refused(lambda: rig.post(candidate, LDAPS, LDAP_AD)) == [
        ("unknown_reference", LDAPS, "/encryption/server_certificate_check/server_certificate_ca"),
        ("unknown_reference", LDAPS, "/bind_password"),
    ]


def test_the_password_has_one_owner(rig: Rig) -> None:
    candidate = rig.candidate()
    secret = password(rig, candidate)
    made = [rig.post(candidate, LDAPS, {**LDAP, "name": name, "bind_dn": "cn=x", "bind_password": secret}) for name in ("a", "b")]
    user = rig.post(candidate, USERS, {"name": "jane", "password": secret})
    found = [one for one in refused(lambda: rig.commit(candidate)) if one[0] == "referenced_twice"]
    expected = [("referenced_twice", f"{LDAPS}/{one}", "/bind_password") for one in made]
    assert sorted(found) == sorted([*expected, ("referenced_twice", f"{USERS}/{user}", "/password")])


def test_names_are_unique(rig: Rig) -> None:
    candidate = rig.candidate()
    made = [rig.post(candidate, LDAPS, LDAP) for _ in range(2)]
    found = refused(lambda: rig.commit(candidate))
    assert sorted(found) == sorted(("duplicate", f"{LDAPS}/{one}", "/name") for one in made)
