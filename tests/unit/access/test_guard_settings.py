"""Settings of the protection against guessing that change while it is at work."""

from __future__ import annotations

from typing import Any

import pytest

from doorward.access import guard as guards
from doorward.access.guard import Guard
from doorward.configuration.aaa import settings as login_settings
from doorward.tree.models import Off


def protection(block: dict[str, Any]) -> login_settings.Protection | Off:
    on = block if block["enabled"] else {"enabled": False}
    found = login_settings.NODE.parse({"bruteforce_protection": on, "password_policy": {"enabled": False}})
    return found.bruteforce_protection


class Figures:
    """Settings that change while a guard watches, and its clock."""

    def __init__(self) -> None:
        self.value: dict[str, Any] = {"enabled": True, "failures": 3, "window_seconds": 10, "block_seconds": 100}
        self.now = 1000.0
        self.guard = Guard(lambda: protection(self.value), lambda: self.now)

    def fail(self, times: int = 1, address: str = "192.0.2.1") -> None:
        for _ in range(times):
            self.guard.failed(address)

    def blocked(self, address: str = "192.0.2.1") -> int:
        return self.guard.blocked_for(address)


def test_a_shorter_block_counts_for_who_is_blocked_already() -> None:
    figures = Figures()
    figures.fail(3)
    figures.now += 20
    assert figures.blocked() == 80
    figures.value |= {"block_seconds": 30}
    assert figures.blocked() == 10
    figures.now += 10
    assert figures.blocked() == 0


def test_a_longer_block_does_not_count_for_who_is_blocked_already() -> None:
    figures = Figures()
    figures.fail(3)
    figures.value |= {"block_seconds": 5000}
    assert figures.blocked() == 100
    figures.now += 100
    assert figures.blocked() == 0
    figures.fail(3)
    assert figures.blocked() == 5000


def test_switching_the_protection_off_lets_everybody_in() -> None:
    figures = Figures()
    figures.fail(3)
    on = figures.value
    figures.value = {"enabled": False}
    assert figures.blocked() == 0
    figures.fail(100)
    assert figures.blocked() == 0
    figures.value = on
    assert figures.blocked() == 0


def test_other_figures_count_from_the_next_refusal_on() -> None:
    figures = Figures()
    figures.value |= {"failures": 10}
    figures.fail(5)
    figures.value |= {"failures": 2}
    assert figures.blocked() == 0
    figures.fail()
    assert figures.blocked() == 100


def test_refusals_that_were_under_way_do_not_prolong_a_block() -> None:
    figures = Figures()
    figures.fail(3)
    figures.now += 60
    figures.fail(10)
    assert figures.blocked() == 40


def test_what_is_remembered_of_guessing_addresses_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guards, "_MAX_SOURCES", 5)
    figures = Figures()
    for number in range(20):
        figures.fail(3, f"192.0.2.{number}")
    assert len(figures.guard._blocked) <= 5
    assert figures.blocked("192.0.2.19") == 100
    figures.now += 200
    figures.fail(3, "192.0.2.77")
    for number in range(20):
        figures.fail(1, f"192.0.2.{number}")
    assert len(figures.guard._failures) <= 5
    assert set(figures.guard._blocked) == {"192.0.2.77"}
