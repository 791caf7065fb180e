"""Settings policies and the options of SSH."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.configuration.policies.checks import advice, problems, stored
from tests.unit.configuration.ssh.checks import OPTIONS, SETTINGS
from tests.unit.configuration.ssh.samples import ON
from tests.unit.configuration.ssh.samples import SETTINGS as OLD_DEVICES
from tests.unit.transaction.rig import Rig


def test_what_is_left_out_is_as_in_the_built_in_policy(rig: Rig) -> None:
    assert stored(SETTINGS, {"name": "default"}) == rig.value(SETTINGS, "-300")


def test_the_defaults_are_none_of_the_weak(rig: Rig) -> None:
    body = rig.value(SETTINGS, "-300")
    assert problems(SETTINGS, {**body, "name": "x"}) == []
    for side in ("client_side_algorithms", "server_side_algorithms"):
        assert body[side]["kex"][0] == "mlkem768x25519-sha256"
        assert not any("sha1" in name or "cbc" in name or "md5" in name for names in body[side].values() for name in names)


@pytest.mark.parametrize(
    ("at", "value", "code", "pointer"),
    [
        ("client_side_algorithms", {"kex": []}, "length", "/kex"),
        ("client_side_algorithms", {"kex": ["x"]}, "enum", "/kex/0"),
        ("client_side_algorithms", {"cipher": ["aes128-ctr", "aes128-ctr"]}, "duplicate", "/cipher/1"),
        ("client_side_algorithms", {"cipher": ["aes128-ctr", "3des-cbc"]}, "contradiction", "/cipher/1"),
        ("server_side_algorithms", {"mac": ["hmac-md5"]}, "contradiction", "/mac/0"),
        ("greeting", "x" * 4097, "length", ""),
        ("greeting", "\x1b[2J", "format", ""),
        ("idle_timeout", 0, "range", ""),
        ("session_timeout", 0, "range", ""),
        ("keepalive", {"interval": 4}, "range", "/interval"),
        ("rekey", {"bytes": 1 << 33}, "range", "/bytes"),
    ],
)
def test_what_is_refused(at: str, value: Any, code: str, pointer: str) -> None:
    assert problems(SETTINGS, {"name": "x", at: value}) == [(code, f"/{at}{pointer}")]


def test_weak_algorithms_are_taken_if_asked_for_and_told(rig: Rig) -> None:
    assert problems(SETTINGS, OLD_DEVICES) == []
    candidate = rig.candidate()
    key = rig.post(candidate, SETTINGS, OLD_DEVICES)
    weak = [f"/{side}_side_algorithms/{at}/1" for side in ("client", "server") for at in ("kex", "host_key", "cipher")]
    assert sorted(advice(rig, candidate)) == sorted(("weak_algorithm", f"{SETTINGS}/{key}", at) for at in weak)


def test_the_options_are_those_of_the_samples(rig: Rig) -> None:
    default = {"channel_database_cleanup": {"enabled": False}, "gssapi": {"enabled": False}, "service": {"enabled": False}}
    assert rig.value(OPTIONS) == default == stored(OPTIONS, {})
    assert stored(OPTIONS, ON)["service"] == {"enabled": True, "log_level": 4}
    assert stored(OPTIONS, {"limits": {"sessions": 500, "per_address": 10}}) == default
    assert stored(OPTIONS, {"limits": {"sessions": 2}})["limits"] == {"per_address": 10, "sessions": 2}


@pytest.mark.parametrize(
    ("body", "code", "at"),
    [
        ({"gssapi": {"enabled": True}}, "not_supported", "/gssapi/enabled"),
        ({"service": {"enabled": True, "log_level": 11}}, "range", "/service/log_level"),
        ({"service": {"enabled": True, "log_level": 5}}, "not_supported", "/service/log_level"),
        ({"channel_database_cleanup": {"enabled": True}}, "missing", "/channel_database_cleanup/days"),
        ({"channel_database_cleanup": {"enabled": True, "days": 0}}, "range", "/channel_database_cleanup/days"),
        ({"limits": {"sessions": 0}}, "range", "/limits/sessions"),
        ({"limits": {"per_address": 100_001}}, "range", "/limits/per_address"),
    ],
)
def test_options_that_are_refused(body: dict[str, Any], code: str, at: str) -> None:
    assert problems(OPTIONS, body) == [(code, at)]
