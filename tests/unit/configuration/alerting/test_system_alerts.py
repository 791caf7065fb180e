"""Which events send a mail: defaults, what is not supported, and the warning about mails that nobody would get."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from doorward.tree.problems import InvalidBody, SemanticError
from tests.unit.configuration.management.samples import MAILED, NEVER, QUIET
from tests.unit.transaction.rig import Rig

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ALERTS, EMAIL = "alerting/system_alerts", "management/email"
PATH = f"/api/configuration/{ALERTS}"


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path).started()
    yield made
    made.close()


def warned(rig: Rig, value: Any) -> list[str]:
    return [warning["code"] for warning in rig.committed((ALERTS, value)).warnings]


def test_the_defaults_are_those_of_the_contract(rig: Rig) -> None:
    expected = {key: {"email": key in MAILED, "snmp": False} for key in sorted((*MAILED, *QUIET, *NEVER))}
    assert rig.value(ALERTS) == expected
    assert len(expected) == 22


def test_a_missing_key_and_a_missing_member_take_the_default_of_the_key(rig: Rig) -> None:
    rig.committed((ALERTS, {"disk_full": {"email": False}, "login": {"email": True}}))
    rig.committed((ALERTS, {"disk_full": {"snmp": False}}))
    assert rig.value(ALERTS)["disk_full"] == {"email": True, "snmp": False}
    assert rig.value(ALERTS)["login"] == {"email": False, "snmp": False}


@pytest.mark.parametrize("key", [*MAILED, *QUIET, *NEVER])
def test_snmp_is_refused_at_the_write(rig: Rig, key: str) -> None:
    candidate = rig.candidate()
    with pytest.raises(SemanticError) as caught:
        rig.put(candidate, ALERTS, {key: {"email": False, "snmp": True}})
    assert [(p.code, p.path, p.pointer) for p in caught.value.problems] == [("not_supported", PATH, f"/{key}/snmp")]
    assert not candidate.changed


@pytest.mark.parametrize("key", NEVER)
def test_a_mail_about_what_is_never_raised_is_refused_at_the_write(rig: Rig, key: str) -> None:
    with pytest.raises(SemanticError) as caught:
        rig.put(rig.candidate(), ALERTS, {key: {"email": True}})
    assert [(p.code, p.pointer) for p in caught.value.problems] == [("not_supported", f"/{key}/email")]


def test_a_wrong_shape_is_told_before_what_is_not_supported(rig: Rig) -> None:
    with pytest.raises(InvalidBody) as caught:
        rig.put(rig.candidate(), ALERTS, {"login": {"email": 1, "snmp": True}, "limit_reached": {"email": True}})
    assert [(p.code, p.pointer) for p in caught.value.problems] == [("type", "/login/email")]


def test_switching_on_a_mail_that_nobody_would_get_is_a_warning(rig: Rig) -> None:
    server = {"selection": "ip", "value": "192.0.2.25"}
    on = {"login": {"email": True}}
    assert warned(rig, on) == ["mail_not_configured"]
    assert warned(rig, {**on, "disk_full": {"email": False}}) == [], "nothing more is switched on"
    assert warned(rig, {}) == ["mail_not_configured"], "disk_full is on again"
    rig.committed((EMAIL, {"smtp_server": server}))
    assert warned(rig, on) == ["mail_not_configured"]
    rig.committed((EMAIL, {"admin_address": "a@example.com"}), (ALERTS, {}))
    assert warned(rig, on) == ["mail_not_configured"]
    rig.committed((EMAIL, {"smtp_server": server, "admin_address": "a@example.com"}), (ALERTS, {}))
    assert warned(rig, on) == []
    rig.committed((EMAIL, {"smtp_server": server, "alerting_address": "a@example.com"}), (ALERTS, {}))
    assert warned(rig, on) == []


def test_nothing_switched_on_needs_no_mail(rig: Rig) -> None:
    assert warned(rig, {key: {"email": False} for key in MAILED}) == []
