from __future__ import annotations

import pytest

from doorward.access.guard import Guard
from doorward.configuration.aaa.settings import Protection
from doorward.proxy.control.failures import FLOOR_SECONDS, FREE, MAX_PAUSE, MAX_USERS, MAX_WAIT, Failures, pause
from doorward.tree.models import Off


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def failures(clock: Clock) -> Failures:
    settings = Off(enabled=False)
    return Failures(Guard(lambda: settings, clock), clock)


@pytest.mark.parametrize(
    ("tries", "elapsed", "seconds"), [(1, 0.0, FLOOR_SECONDS), (1, 0.4, 0.6), (1, 3.0, 0.0), (3, 0.5, 3.5), (9, 0, MAX_PAUSE)]
)
def test_a_refusal_takes_its_time_however_long_it_was_looked_for(tries: int, elapsed: float, seconds: float) -> None:
    assert pause(tries, elapsed) == pytest.approx(seconds)


def test_whoever_tries_for_a_user_that_many_try_for_waits_and_is_never_locked_out() -> None:
    clock = Clock()
    known = failures(clock)
    for number in range(1000):
        known.failed(f"192.0.2.{number % 250}", "alice")
        if number < FREE - 1:
            assert known.wait_for("alice") == 0
    assert known.wait_for("alice") == MAX_WAIT
    assert known.wait_for("bob") == 0
    clock.now += 601
    assert known.wait_for("alice") == 0


def test_made_up_users_take_no_memory_without_end() -> None:
    clock = Clock()
    known = failures(clock)
    for number in range(MAX_USERS + 10):
        known.failed("192.0.2.1", f"user {number}")
    assert len(known._users) == MAX_USERS


def test_the_address_is_blocked_as_for_logins_at_the_api() -> None:
    clock = Clock()
    settings = Protection(enabled=True, failures=3, window_seconds=60, block_seconds=60)
    known = Failures(Guard(lambda: settings, clock), clock)
    for _ in range(3):
        known.failed("192.0.2.1", "alice")
    assert known.blocked_for("192.0.2.1") == 60
    assert known.blocked_for("192.0.2.2") == 0
