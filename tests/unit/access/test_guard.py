"""Against guessing: a window, a limit, a block; by address, with a clock that the test moves."""

from __future__ import annotations

from typing import Any

import pytest

from doorward.access import guard as module
from doorward.access.guard import Guard
from doorward.configuration.aaa import settings as login_settings
from doorward.listening.sources import source_of
from doorward.tree.models import Off

SETTINGS = {"block_seconds": 300, "enabled": True, "failures": 10, "window_seconds": 60}
HERE, THERE = "192.0.2.1", "192.0.2.2"


def protection(block: dict[str, Any]) -> login_settings.Protection | Off:
    on = block if block["enabled"] else {"enabled": False}
    found = login_settings.NODE.parse({"bruteforce_protection": on, "password_policy": {"enabled": False}})
    return found.bruteforce_protection


class Rig:
    def __init__(self) -> None:
        self.now = 1000.0
        self.settings: dict[str, Any] = dict(SETTINGS)
        self.guard = Guard(lambda: protection(self.settings), lambda: self.now)

    def fail(self, times: int = 1, address: str = HERE) -> None:
        for _ in range(times):
            self.guard.failed(address)

    def blocked(self, address: str = HERE) -> int:
        return self.guard.blocked_for(address)


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_the_tenth_failure_blocks_the_address_and_no_other(rig: Rig) -> None:
    rig.fail(9)
    assert rig.blocked() == 0
    rig.fail()
    assert rig.blocked() == 300
    assert rig.blocked(THERE) == 0


def test_a_block_ends_after_its_time(rig: Rig) -> None:
    rig.fail(10)
    rig.now += 0.5
    assert rig.blocked() == 300
    rig.now += 299
    assert rig.blocked() == 1
    rig.now += 0.49
    assert rig.blocked() == 1
    rig.now += 0.01
    assert rig.blocked() == 0


def test_what_is_tried_while_blocked_does_not_prolong_it(rig: Rig) -> None:
    rig.fail(10)
    for _ in range(29):
        rig.now += 10
        rig.fail(20)
    assert rig.blocked() == 10
    rig.now += 10
    assert rig.blocked() == 0
    rig.fail(9)
    assert rig.blocked() == 0
    rig.fail()
    assert rig.blocked() == 300


def test_only_failures_within_the_window_count(rig: Rig) -> None:
    for _ in range(50):
        rig.now += 6.7
        rig.fail()
    assert rig.blocked() == 0
    rig.now += 60
    rig.fail(9)
    assert rig.blocked() == 0
    rig.now += 59.9
    rig.fail()
    assert rig.blocked() == 300


def test_a_failure_leaves_the_window_at_its_end(rig: Rig) -> None:
    rig.fail(9)
    rig.now += 60
    rig.fail()
    assert rig.blocked() == 0


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8:0:1::1", "2001:DB8:0:1:abcd::", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("fe80::1%eth0", "fe80::2%eth0", True),
        ("", "unix", False),
    ],
)
def test_an_address_of_ipv6_stands_for_its_network(rig: Rig, one: str, other: str, same: bool) -> None:
    assert (source_of(one) == source_of(other)) is same
    rig.fail(10, one)
    assert bool(rig.blocked(other)) is same


def test_switched_off_nothing_is_blocked(rig: Rig) -> None:
    rig.settings["enabled"] = False
    rig.fail(100)
    assert rig.blocked() == 0
    rig.settings["enabled"] = True
    assert rig.blocked() == 0


def test_switching_off_ends_blocks(rig: Rig) -> None:
    rig.fail(10)
    rig.settings["enabled"] = False
    assert rig.blocked() == 0
    rig.settings["enabled"] = True
    assert rig.blocked() == 0


def test_the_figures_are_those_of_the_settings(rig: Rig) -> None:
    rig.settings |= {"failures": 2, "window_seconds": 5, "block_seconds": 7}
    rig.fail()
    rig.now += 5
    rig.fail()
    assert rig.blocked() == 0
    rig.fail()
    assert rig.blocked() == 7


def test_one_failure_can_be_enough(rig: Rig) -> None:
    rig.settings["failures"] = 1
    rig.fail()
    assert rig.blocked() == 300


def test_a_shorter_block_counts_for_those_blocked_already(rig: Rig) -> None:
    rig.fail(10)
    rig.settings["block_seconds"] = 100
    assert rig.blocked() == 100
    rig.settings["block_seconds"] = 1000
    assert rig.blocked() == 300


def test_so_many_sources_are_remembered_and_the_latest_stay(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MAX_SOURCES", 5)
    for number in range(20):
        rig.fail(9, f"198.51.100.{number}")
    assert len(rig.guard._failures) == 5
    rig.fail(1, "198.51.100.19")
    assert rig.blocked("198.51.100.19") == 300
    rig.fail(1, "198.51.100.0")
    assert rig.blocked("198.51.100.0") == 0


def test_blocks_are_limited_in_number_too(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MAX_SOURCES", 5)
    for number in range(20):
        rig.fail(10, f"198.51.100.{number}")
    assert len(rig.guard._blocked) <= 6
    assert rig.blocked("198.51.100.19") == 300


def test_sources_that_no_longer_count_are_forgotten_first(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MAX_SOURCES", 5)
    for number in range(5):
        rig.fail(9, f"198.51.100.{number}")
    rig.now += 61
    rig.fail(1, "198.51.100.99")
    assert list(rig.guard._failures) == ["198.51.100.99"]
