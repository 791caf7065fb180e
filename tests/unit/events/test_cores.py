"""When old core files are cleared away: once a day, from 03:00 of the node's zone on, by the days that are set."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from doorward.events.cores import CoreFileRetention
from doorward.host.resources import Job
from tests.support.cores import core_file

if TYPE_CHECKING:
    from pathlib import Path

BUDAPEST = 2  # hours ahead of UTC in summer


class Sweep:
    """A watch with a clock that is set by hand to an hour in Budapest."""

    def __init__(self, state: Path) -> None:
        self.state, self.at = state, datetime(2026, 7, 1, tzinfo=UTC)
        state.mkdir()
        pattern = state / "pattern"
        pattern.write_text(f"{state}/core.%p\n")
        self.watch = CoreFileRetention(state, pattern, self._time)
        self.keep(14)

    def _time(self) -> float:
        return self.at.timestamp()

    def keep(self, days: int) -> None:
        self.watch.put(Job("core_files", ("03:00",), "Europe/Budapest", str(days)))

    def core(self, days: float) -> str:
        """Leave a core file of so many days ago; return its name."""
        name = f"core.{len(list(self.state.iterdir()))}"
        core_file(self.state / name, "doorward", "doorward serve", (self.at - timedelta(days=days)).timestamp())
        return name

    def look(self, day: int, hour: int, minute: int = 0) -> set[str]:
        """Look at an hour of Budapest; return what is left."""
        self.at = datetime(2026, 7, day, tzinfo=UTC) + timedelta(hours=hour - BUDAPEST, minutes=minute)
        self.watch.look(0.0)
        return {path.name for path in self.state.glob("core.*")}


@pytest.fixture
def sweep(tmp_path: Path) -> Sweep:
    return Sweep(tmp_path / "state")


def test_it_is_done_at_three_and_not_before(sweep: Sweep) -> None:
    old, young = sweep.core(20), sweep.core(1)
    assert sweep.look(1, 2, 59) == {old, young}
    assert sweep.look(1, 3) == {young}


def test_it_is_done_once_a_day(sweep: Sweep) -> None:
    assert sweep.look(1, 3) == set()
    late = sweep.core(20)
    assert sweep.look(1, 23) == {late}
    assert sweep.look(2, 2) == {late}
    assert sweep.look(2, 3) == set()


def test_a_day_that_was_missed_is_caught_up_on(sweep: Sweep) -> None:
    sweep.core(20)
    assert sweep.look(1, 17) == set()


def test_the_days_that_are_set_count_from_the_next_time_on(sweep: Sweep) -> None:
    kept = sweep.core(13)
    assert sweep.look(1, 3) == {kept}
    sweep.keep(5)
    assert sweep.look(2, 3) == set()


def test_it_is_nothing_to_tell_of(sweep: Sweep) -> None:
    assert list(sweep.watch.issues()) == []


def test_without_its_job_it_does_nothing(sweep: Sweep) -> None:
    left = sweep.core(20)
    sweep.watch.remove("core_files")
    assert sweep.watch.next_due("core_files") is None
    assert sweep.look(1, 3) == {left}


@pytest.mark.parametrize(
    ("now", "due"),
    [
        ("2026-07-01T00:59:59+00:00", "2026-07-01T01:00:00+00:00"),
        ("2026-07-01T01:00:00+00:00", "2026-07-02T01:00:00+00:00"),
        ("2026-10-24T01:00:00+00:00", "2026-10-25T02:00:00+00:00"),  # the night in which the clock is set back
        ("2026-03-28T02:00:00+00:00", "2026-03-29T01:00:00+00:00"),  # and the one in which it is set forward
    ],
)
def test_the_next_time_is_three_in_the_zone_of_the_node(sweep: Sweep, now: str, due: str) -> None:
    sweep.at = datetime.fromisoformat(now)
    assert sweep.watch.next_due("core_files") == datetime.fromisoformat(due)
