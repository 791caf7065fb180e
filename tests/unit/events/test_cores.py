"""When old core files are cleared away: once a day, from 03:00 of the node's zone on, by the days that are set."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from doorward.events.cores import CoreFiles
from tests.support.cores import core_file
from tests.unit.events.parts import snapshot

if TYPE_CHECKING:
    from pathlib import Path

BUDAPEST = 2  # hours ahead of UTC in summer


class Sweep:
    """A watch with a clock that is set by hand to an hour in Budapest."""

    def __init__(self, state: Path, **settings: Any) -> None:
        self.state, self.at = state, datetime(2026, 7, 1, tzinfo=UTC)
        state.mkdir()
        pattern = state / "pattern"
        pattern.write_text(f"{state}/core.%p\n")
        body = {"core_files": {"retention_days": 14}, "debug_logging": {"enabled": False}, **settings}
        self.snapshot = snapshot(troubleshooting=body)
        self.watch = CoreFiles(lambda: self.snapshot, state, pattern, self._time)

    def _time(self) -> float:
        return self.at.timestamp()

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
    sweep.snapshot = snapshot(troubleshooting={"core_files": {"retention_days": 5}})
    assert sweep.look(2, 3) == set()


def test_it_is_nothing_to_tell_of(sweep: Sweep) -> None:
    assert list(sweep.watch.issues()) == []
