"""Channel policies: the rules as bodies, and those that never decide."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.configuration.policies.checks import advice, problems, refused, stored
from tests.unit.configuration.policies.samples import OFFICE
from tests.unit.configuration.ssh.checks import CHANNEL_POLICIES
from tests.unit.configuration.ssh.samples import CHANNELS, LOCAL_FORWARD, rule
from tests.unit.transaction.rig import Rig


def policy(*rules: dict[str, Any]) -> dict[str, Any]:
    return {"name": "x", "rules": [*rules]}


def test_the_sample_is_answered_member_for_member(rig: Rig) -> None:
    candidate = rig.candidate()
    key = rig.post(candidate, CHANNEL_POLICIES, CHANNELS)
    rig.commit(candidate)
    shown = rig.value(CHANNEL_POLICIES, key)
    always = {"key": "-100", "meta": {"href": "/api/configuration/policies/time_policies/-100"}}
    assert shown == {**CHANNELS, "rules": [{**one, "time_policy": always} for one in CHANNELS["rules"]]}


def test_what_is_left_out_takes_its_default() -> None:
    [found] = stored(CHANNEL_POLICIES, policy({"channel": "session-exec"}))["rules"]
    actions = {"audit": True, "content_policy": None, "four_eyes": False, "keep_files": False}
    assert found == {**rule("session-exec", execs=[]), "actions": actions}


@pytest.mark.parametrize(
    ("own", "code", "at"),
    [
        ({"channel": "session-x"}, "enum", "/channel"),
        ({}, "missing", "/channel"),
        ({"channel": "session-shell", "execs": []}, "unknown_member", "/execs"),
        ({"channel": "session-exec", "execs": ["("]}, "format", "/execs/0"),
        ({"channel": "session-exec", "execs": ["a", "a"]}, "duplicate", "/execs/1"),
        ({"channel": "session-shell", "clients": ["10.0.0.1/8", "10.0.0.2/8"]}, "duplicate", "/clients/1"),
        ({"channel": "session-shell", "actions": {"four_eyes": True}}, "not_supported", "/actions/four_eyes"),
        ({"channel": "session-shell", "actions": {"content_policy": "x"}}, "not_supported", "/actions/content_policy"),
        ({"channel": "x11", "networks": [{"selection": "domain", "value": "10.0.0.1"}]}, "enum", "/networks/0/selection"),
        ({"channel": "local-forwards", "local_forwards": [{"host_port": 0}]}, "range", "/local_forwards/0/host_port"),
        ({"channel": "local-forwards", "local_forwards": [LOCAL_FORWARD, LOCAL_FORWARD]}, "duplicate", "/local_forwards/1"),
        (
            {"channel": "local-forwards", "local_forwards": [{"host_address": {"selection": "path", "value": "x"}}]},
            "format",
            "/local_forwards/0/host_address/value",
        ),
        (
            {"channel": "remote-forwards", "remote_forwards": [{"originator_address": {"selection": "path", "value": "/x"}}]},
            "enum",
            "/remote_forwards/0/originator_address/selection",
        ),
    ],
)
def test_what_is_refused(own: dict[str, Any], code: str, at: str) -> None:
    assert problems(CHANNEL_POLICIES, policy(own)) == [(code, f"/rules/0{at}")]


def test_the_built_in_policies_stay_as_they_are(rig: Rig) -> None:
    candidate = rig.candidate()
    body = rig.value(CHANNEL_POLICIES, "-210")
    for changed, at in (({**body, "rules": []}, "/rules"), ({**body, "name": "mine"}, "/name")):
        found = refused(lambda changed=changed: rig.put(candidate, CHANNEL_POLICIES, changed, "-210"))  # type: ignore[misc]
        assert found == [("built_in", f"{CHANNEL_POLICIES}/-210", at)]


@pytest.mark.parametrize(
    ("earlier", "later", "is_shadowed"),
    [
        (rule("session-shell"), rule("session-shell"), True),
        (rule("session-shell"), rule("session-exec"), False),
        (rule("session-shell"), rule("session-shell", gateway_groups=["a"]), True),
        (rule("session-shell", gateway_groups=["a"]), rule("session-shell"), False),
        (rule("session-shell", gateway_groups=["a", "b"]), rule("session-shell", gateway_groups=["b"]), True),
        (rule("session-shell", gateway_groups=["a"]), rule("session-shell", gateway_groups=["a", "b"]), False),
        (rule("session-shell", clients=["10.0.0.0/8"]), rule("session-shell", clients=["10.1.0.0/16"]), True),
        (rule("session-shell", clients=["10.0.0.0/9", "10.128.0.0/9"]), rule("session-shell", clients=["10.0.0.0/8"]), True),
        (rule("session-shell", clients=["10.0.0.0/8"]), rule("session-shell", servers=["10.1.0.0/16"]), False),
        (rule("session-exec", execs=["a"]), rule("session-exec", execs=["a"]), True),
        (rule("session-exec", execs=["a"]), rule("session-exec", execs=["ab"]), False),
        (rule("local-forwards"), rule("local-forwards", local_forwards=[LOCAL_FORWARD]), True),
        (rule("local-forwards", local_forwards=[LOCAL_FORWARD]), rule("local-forwards"), False),
        (
            rule("x11", networks=[{"selection": "address", "value": "10.0.0.0/8"}]),
            rule("x11", networks=[{"selection": "address", "value": "10.1.0.0/16"}]),
            True,
        ),
    ],
)
def test_a_rule_that_never_decides_is_told(rig: Rig, earlier: Any, later: Any, is_shadowed: bool) -> None:
    candidate = rig.candidate()
    key = rig.post(candidate, CHANNEL_POLICIES, policy(earlier, later))
    assert advice(rig, candidate) == ([("shadowed", f"{CHANNEL_POLICIES}/{key}", "/rules/1")] if is_shadowed else [])


def test_hours_keep_a_rule_from_deciding_for_others(rig: Rig) -> None:
    candidate = rig.candidate()
    office = {"time_policy": rig.post(candidate, "policies/time_policies", OFFICE)}
    shell = rule("session-shell")
    rig.post(candidate, CHANNEL_POLICIES, policy({**shell, **office}, shell))
    assert advice(rig, candidate) == []
    key = rig.post(candidate, CHANNEL_POLICIES, {**policy(shell, {**shell, **office}), "name": "y"})
    assert advice(rig, candidate) == [("shadowed", f"{CHANNEL_POLICIES}/{key}", "/rules/1")]
