"""Audit policies, and the certificates that they share."""

from __future__ import annotations

from typing import Any

import pytest

from doorward.configuration.policies.audit_policies import DEFAULT
from tests.unit.configuration.material import key, pem
from tests.unit.configuration.policies.checks import (
    AUDITS,
    changed,
    exists,
    expanded,
    identity,
    problems,
    refused,
    stored,
    warned,
)
from tests.unit.configuration.policies.samples import AUDIT, AUDIT_DEFAULT, KEY, REMOTE_AUTHORITY
from tests.unit.transaction.rig import Rig

OFF = {"enabled": False}


def stamped(**server: Any) -> dict[str, Any]:
    return {**AUDIT_DEFAULT, "timestamping": {"enabled": True, "server": {**REMOTE_AUTHORITY, **server}}}


def signed(certificate: str, name: str = "signed") -> dict[str, Any]:
    return {**AUDIT_DEFAULT, "name": name, "signing": {"enabled": True, "x509_identity": certificate}}


def sealed(*certificates: str, name: str = "sealed") -> dict[str, Any]:
    return {**AUDIT_DEFAULT, "name": name, "encryption": {"certificates": list(certificates), "enabled": True}}


def test_the_built_in_policy_is_the_one_of_the_contract(rig: Rig) -> None:
    assert DEFAULT == "78101850949e47437dd91d"
    assert rig.value(AUDITS, DEFAULT) == AUDIT_DEFAULT


def test_the_built_in_policy_can_be_changed_but_not_renamed_nor_deleted(rig: Rig) -> None:
    candidate = rig.candidate()
    path = f"{AUDITS}/{DEFAULT}"
    assert refused(lambda: rig.put(candidate, AUDITS, {**AUDIT_DEFAULT, "name": "x"}, DEFAULT)) == [("built_in", path, "/name")]
    assert refused(lambda: rig.delete(candidate, AUDITS, DEFAULT)) == [("built_in", path, "")]
    rig.put(candidate, AUDITS, rig.value(AUDITS, DEFAULT), DEFAULT)
    assert not candidate.changed
    rig.put(candidate, AUDITS, {**AUDIT_DEFAULT, "signing_and_timestamping_interval": 60}, DEFAULT)
    rig.commit(candidate)
    assert rig.value(AUDITS, DEFAULT)["signing_and_timestamping_interval"] == 60


def test_everything_switched_on_is_answered_member_for_member(rig: Rig) -> None:
    candidate = rig.candidate()
    reader, signer = identity(rig, candidate, with_key=False), identity(rig, candidate, "ecdsa-p256")
    policy = changed(changed(AUDIT, "encryption/certificates", [reader]), "signing/x509_identity", signer)
    made = rig.post(candidate, AUDITS, policy)
    rig.commit(candidate)
    assert rig.value(AUDITS, made) == changed(
        changed(AUDIT, "encryption/certificates", [expanded("x509", reader)]), "signing/x509_identity", expanded("x509", signer)
    )
    candidate = rig.candidate()
    rig.put(candidate, AUDITS, rig.value(AUDITS, made), made)
    assert not candidate.changed
    assert rig.secrets.text(signer) == pem(key("ecdsa-p256"))
    assert rig.store.secret(signer).form == "sealed"  # type: ignore[union-attr]


def test_what_is_left_out_takes_its_default() -> None:
    assert stored(AUDITS, {"name": "default"}) == AUDIT_DEFAULT


@pytest.mark.parametrize("name", ["encryption", "signing", "timestamping"])
def test_what_is_switched_off_hides_the_rest(name: str) -> None:
    policy = {**AUDIT, name: {**AUDIT[name], "enabled": False}}
    hidden = next(member for member in AUDIT[name] if member != "enabled")
    assert warned(AUDITS, policy) == [("hidden_member", f"/{name}/{hidden}")]


@pytest.mark.parametrize(
    ("policy", "found"),
    [
        ({**AUDIT_DEFAULT, "signing_and_timestamping_interval": 10}, []),
        ({**AUDIT_DEFAULT, "signing_and_timestamping_interval": 100000}, []),
        ({**AUDIT_DEFAULT, "signing_and_timestamping_interval": 9}, [("range", "/signing_and_timestamping_interval")]),
        ({**AUDIT_DEFAULT, "signing_and_timestamping_interval": 100001}, [("range", "/signing_and_timestamping_interval")]),
        ({**AUDIT_DEFAULT, "encryption": {"enabled": True}}, [("missing", "/encryption/certificates")]),
        ({**AUDIT_DEFAULT, "signing": {"enabled": True}}, [("missing", "/signing/x509_identity")]),
        ({**AUDIT_DEFAULT, "signing": {"enabled": True, "x509_identity": None}}, [("type", "/signing/x509_identity")]),
        ({**AUDIT_DEFAULT, "timestamping": {"enabled": True}}, [("missing", "/timestamping/server")]),
        (sealed(), [("length", "/encryption/certificates")]),
        (sealed(*(f"{n}" for n in range(16))), []),
        (sealed(*(f"{n}" for n in range(17))), [("length", "/encryption/certificates")]),
        (sealed(KEY, KEY), [("duplicate", "/encryption/certificates/1")]),
        ({}, [("missing", "/name")]),
    ],
)
def test_limits(policy: Any, found: list[tuple[str, str]]) -> None:
    assert problems(AUDITS, policy) == found


def test_time_stamps_of_the_node_itself() -> None:
    policy = {**AUDIT_DEFAULT, "timestamping": {"enabled": True, "server": {"selection": "local"}}}
    assert stored(AUDITS, policy) == policy
    assert problems(AUDITS, changed(policy, "timestamping/server/server_url", "http://x.example/")) == [
        ("unknown_member", "/timestamping/server/server_url")
    ]


@pytest.mark.parametrize("required", ["oid", "server_url"])
def test_what_a_remote_authority_needs(required: str) -> None:
    server = {name: member for name, member in REMOTE_AUTHORITY.items() if name != required}
    policy = {**AUDIT_DEFAULT, "timestamping": {"enabled": True, "server": server}}
    assert problems(AUDITS, policy) == [("missing", f"/timestamping/server/{required}")]


@pytest.mark.parametrize(
    "url",
    [
        "http://tsa.example.com/",
        "https://tsa.example.com",
        "https://tsa.example.com:8443/a/b?c=d",
        "http://192.0.2.1/",
        "http://[2001:db8::1]:80/",
        "http://tsa/",
    ],
)
def test_addresses_of_authorities(url: str) -> None:
    assert stored(AUDITS, stamped(server_url=url))["timestamping"]["server"]["server_url"] == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "tsa.example.com",
        "ftp://tsa.example.com/",
        "HTTPX://x/",
        "http://",
        "http:///path",
        "http://user:secret@tsa.example.com/",
        "http://tsa.example.com:0/",
        "http://tsa.example.com:65536/",
        "http://tsa.example.com:x/",
        "http://tsa.example.com/a b",
        "http://tsa_x.example.com/",
        "http://1.2.3.999/",
        "http://[::1/",
        "http://\u00e9.example.com/",
        "http://tsa.example.com/\n",
        "javascript:alert(1)",
    ],
)
def test_what_is_no_address_of_an_authority(url: str) -> None:
    assert problems(AUDITS, stamped(server_url=url)) == [("format", "/timestamping/server/server_url")]


@pytest.mark.parametrize("oid", ["1.3", "0.0", "2.3.5.3.1.5.32.322.32", "2.999.1", "1.39.0"])
def test_object_identifiers(oid: str) -> None:
    assert problems(AUDITS, stamped(oid={"enabled": True, "policy_oid": oid})) == []


@pytest.mark.parametrize("oid", ["", "1", "3.1", "1.40", "1.3.", ".1.3", "1..3", "1.03", "1.3.x", "1.3 ", "\u0661.3", "1.3\n"])
def test_what_is_no_object_identifier(oid: str) -> None:
    assert problems(AUDITS, stamped(oid={"enabled": True, "policy_oid": oid})) == [
        ("format", "/timestamping/server/oid/policy_oid")
    ]


def test_without_an_object_identifier_none_is_asked_for() -> None:
    assert problems(AUDITS, stamped(oid=OFF)) == []
    assert problems(AUDITS, stamped(oid={"enabled": True})) == [("missing", "/timestamping/server/oid/policy_oid")]


def test_certificates_must_be_there(rig: Rig) -> None:
    candidate = rig.candidate()
    good = identity(rig, candidate)
    assert refused(lambda: rig.post(candidate, AUDITS, sealed(good, "x"))) == [
        ("unknown_reference", AUDITS, "/encryption/certificates/1")
    ]
    assert refused(lambda: rig.post(candidate, AUDITS, signed("x"))) == [("unknown_reference", AUDITS, "/signing/x509_identity")]


def test_certificates_must_be_able_to_do_what_they_are_for(rig: Rig) -> None:
    candidate = rig.candidate()
    reader, curve = identity(rig, candidate), identity(rig, candidate, "ecdsa-p256")
    bare = identity(rig, candidate, with_key=False)
    made = rig.post(candidate, AUDITS, {**sealed(reader, curve, bare), "signing": {"enabled": True, "x509_identity": bare}})
    path = f"{AUDITS}/{made}"
    assert refused(lambda: rig.commit(candidate)) == [
        ("unsuitable", path, "/encryption/certificates/1"),
        ("unsuitable", path, "/signing/x509_identity"),
    ]
    rig.put(candidate, AUDITS, {**sealed(reader, bare), "signing": {"enabled": True, "x509_identity": curve}}, made)
    rig.commit(candidate)


def test_a_certificate_may_have_several_owners_and_goes_with_the_last(rig: Rig) -> None:
    candidate = rig.candidate()
    shared = identity(rig, candidate)
    first, second = (rig.post(candidate, AUDITS, signed(shared, name)) for name in ("a", "b"))
    rig.put(candidate, AUDITS, {**sealed(shared), "name": "default"}, DEFAULT)
    rig.commit(candidate)
    candidate = rig.candidate()
    rig.delete(candidate, AUDITS, first)
    rig.put(candidate, AUDITS, AUDIT_DEFAULT, DEFAULT)
    rig.commit(candidate)
    assert exists(rig, "x509", shared)
    candidate = rig.candidate()
    rig.put(candidate, AUDITS, {**AUDIT_DEFAULT, "name": "b"}, second)
    rig.commit(candidate)
    assert not exists(rig, "x509", shared)


def test_names_are_unique(rig: Rig) -> None:
    candidate = rig.candidate()
    made = rig.post(candidate, AUDITS, AUDIT_DEFAULT)
    assert refused(lambda: rig.commit(candidate)) == [("duplicate", f"{AUDITS}/{made}", "/name")]


def test_new_policies_come_after_the_built_in_one(rig: Rig) -> None:
    candidate = rig.candidate()
    made = [rig.post(candidate, AUDITS, {"name": name}) for name in ("z", "a", "m")]
    rig.commit(candidate)
    assert list(rig.pipeline.running.snapshot.objects("/api/configuration/" + AUDITS).order) == [DEFAULT, *made]
