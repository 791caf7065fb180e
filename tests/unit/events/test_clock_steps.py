"""A clock that somebody steps is told of, once, with what it met."""

from __future__ import annotations

import pytest

from doorward.events.clock_steps import MIN_STEP_SECONDS, ClockSteps
from tests.unit.events.parts import Bus

NTP = "/api/configuration/datetime/ntp_servers"


class Stepped:
    """A clock that can be stepped, looked at every minute."""

    def __init__(self, *going_on: str) -> None:
        self.bus, self.wall, self.steady = Bus(), 1_800_000_000.0, 100.0
        self.watch = ClockSteps(self.bus, lambda: going_on, lambda: self.wall, lambda: self.steady)

    def minute(self, step: float = 0.0, *, lasting: float = 60.0) -> None:
        self.wall += lasting + step
        self.steady += lasting
        self.watch.look(self.steady)

    @property
    def issues(self) -> list[str]:
        return [issue.message for issue in self.watch.issues()]


@pytest.mark.parametrize("step", [0.0, 0.02, MIN_STEP_SECONDS, -MIN_STEP_SECONDS])
def test_corrections_are_no_steps(step: float) -> None:
    clock = Stepped("2 sessions")
    clock.minute(step)
    clock.minute(lasting=7 * 86_400)
    assert (clock.bus.keys, clock.issues) == ([], [])


@pytest.mark.parametrize(("step", "text"), [(3600.0, "+3600 s"), (-10.6, "-11 s"), (20 * 365 * 86_400.0, "+630720000 s")])
def test_a_step_is_told_once_with_what_it_met(step: float, text: str) -> None:
    clock = Stepped("2 sessions", "a commit that awaits its confirmation")
    clock.minute(step)
    clock.minute()
    expected = f"The clock was stepped by {text} while there were 2 sessions and a commit that awaits its confirmation."
    assert clock.bus.raised == [("clock_stepped", expected, False)]
    assert clock.bus.events[0].path == NTP
    assert clock.issues == [expected]


def test_health_tells_of_it_for_an_hour() -> None:
    clock = Stepped()
    clock.minute(-86_400)
    for _ in range(60):
        clock.minute()
    assert clock.issues == ["The clock was stepped by -86400 s."]
    clock.minute()
    assert clock.issues == []


def test_each_step_is_told() -> None:
    clock = Stepped()
    clock.minute(3600)
    clock.minute(-3600)
    assert clock.bus.keys == ["clock_stepped"] * 2
