"""Authentication policies: who may log in how, and what goes to servers."""

from __future__ import annotations

from typing import Any

import pytest

from doorward.transaction.privileged import Committer
from tests.unit.configuration.policies.checks import changed, password, private_key, problems, refused, stored
from tests.unit.configuration.ssh.checks import AUTHENTICATIONS
from tests.unit.configuration.ssh.samples import AUTHENTICATION, AUTHORITY, RADIUS, SWITCHES
from tests.unit.transaction.rig import ROOT, Rig

ON, OFF = {"enabled": True}, {"enabled": False}
SHORT: dict[str, Any] = {"name": "x", "client": {"password": ON}, "relayed": [{"selection": "agent"}]}


def test_what_is_left_out_takes_its_default() -> None:
    switches = {"certificate": OFF, "keyboard_interactive": OFF, "password": ON, "public_key": OFF}
    assert stored(AUTHENTICATIONS, SHORT) == {**SHORT, "backend": {"selection": "none"}, "client": switches, "require": []}


def test_the_sample_of_radius_is_whole() -> None:
    assert stored(AUTHENTICATIONS, RADIUS) == RADIUS


@pytest.mark.parametrize(
    ("own", "found"),
    [
        ({"client": {}}, [("contradiction", "/client")]),
        ({"relayed": []}, [("length", "/relayed")]),
        ({"relayed": [{"selection": "agent"}, {"selection": "agent"}]}, [("duplicate", "/relayed/1")]),
        ({"relayed": [{"selection": "private_key", "key": "k"}]}, [("contradiction", "/relayed/0")]),
        ({"relayed": [{"selection": "certificate", "ca_key": "k"}]}, [("contradiction", "/relayed/0")]),
        ({"relayed": [{"selection": "agent"}, {"selection": "credential_store"}]}, [("contradiction", "/relayed/1")]),
        ({"relayed": [{"selection": "certificate", "ca_key": "k", "seconds": 29}], "backend": {"selection": "accounts"}},
         [("range", "/relayed/0/seconds")]),
        ({"client": {"certificate": {"enabled": True, "authorities": [AUTHORITY]}}}, [("contradiction", "/client/certificate")]),
        ({"client": SWITCHES, "backend": {"selection": "ldap"}}, [("contradiction", "/client/public_key")]),
        ({"backend": {"selection": "local"}}, [("missing", "/backend/user_database")]),
        ({"require": [[]]}, [("length", "/require/0")]),
        ({"require": [["password", "password"]]}, [("duplicate", "/require/0/1")]),
        ({"require": [["password"], ["password"]]}, [("duplicate", "/require/1")]),
        ({"require": [["public_key", "password"]]}, [("contradiction", "/require/0/0")]),
        ({"require": [["hostbased"]]}, [("enum", "/require/0/0")]),
        ({"client": {}, "require": [["password"]], "relayed": [{"selection": "credential_store"}]},
         [("contradiction", "/client"), ("contradiction", "/relayed/0"), ("contradiction", "/require/0/0")]),
    ],
)  # fmt: skip
def test_what_is_refused(own: dict[str, Any], found: list[tuple[str, str]]) -> None:
    assert sorted(problems(AUTHENTICATIONS, {**SHORT, **own}), key=str) == found


@pytest.mark.parametrize("way", ["same_password", "password_prompt", "keyboard_interactive", "agent"])
def test_what_the_client_has_itself_may_be_relayed_for_anybody(way: str) -> None:
    assert problems(AUTHENTICATIONS, {**SHORT, "relayed": [{"selection": way}]}) == []


def test_a_backend_lets_stored_secrets_go() -> None:
    assert problems(AUTHENTICATIONS, AUTHENTICATION) == []


def test_the_secret_of_radius_stays_with_its_server(rig: Rig) -> None:
    candidate = rig.candidate()
    body = {
        **RADIUS,
        "backend": {**RADIUS["backend"], "servers": [{**RADIUS["backend"]["servers"][0], "secret": password(rig, candidate)}]},
    }
    key = rig.post(candidate, AUTHENTICATIONS, body)
    rig.commit(candidate)
    candidate = rig.candidate()
    server = body["backend"]["servers"][0]
    moved = {**server, "host": {"selection": "ip", "value": "192.0.2.66"}}
    rig.put(candidate, AUTHENTICATIONS, changed(body, "backend/servers", [moved]), key)
    report = rig.pipeline.plan(candidate, by=Committer("somebody"))
    assert [(one.code, one.path, one.pointer) for one in report.problems] == [
        ("secret_required", f"{ROOT}{AUTHENTICATIONS}/{key}", "/backend/servers/0/secret")
    ]


def test_a_key_is_used_by_one_policy(rig: Rig) -> None:
    candidate = rig.candidate()
    relayed = [{"selection": "private_key", "key": private_key(rig, candidate)}]
    body = {**SHORT, "backend": {"selection": "accounts"}, "relayed": relayed}
    for name in ("one", "two"):
        rig.post(candidate, AUTHENTICATIONS, {**body, "name": name})
    assert {code for code, _, _ in refused(lambda: rig.commit(candidate))} == {"referenced_twice"}


def test_the_built_in_policy_stays_as_it_is(rig: Rig) -> None:
    body = {**rig.value(AUTHENTICATIONS, "-200"), "relayed": [{"selection": "agent"}]}
    found = refused(lambda: rig.put(rig.candidate(), AUTHENTICATIONS, body, "-200"))
    assert found == [("built_in", f"{AUTHENTICATIONS}/-200", "/relayed")]
