"""Old sessions go daily, row, text and trail together, also over a crash in between."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import doorward.configuration
from doorward.host.machine import Machine
from doorward.sessions.audience import PATH
from doorward.sessions.catalogue.query import parsed
from doorward.sessions.retention import OPTIONS, SessionRetention, Terms, terms
from doorward.sessions.trails import Trails
from doorward.tree.jsontext import encode
from doorward.tree.places import Place
from doorward.tree.registry import discover
from doorward.tree.snapshot import Document, Snapshot
from tests.support.catalogues import ENGINES, made, stored
from tests.support.recorded import BEGAN, LINUX, ORACLE, key_of, put_trail, row, tell

OFF = {"enabled": False}
DAY = 86_400_000
NOW = datetime.fromtimestamp(BEGAN / 1000, UTC) + timedelta(days=100)


def kept(days: int) -> dict[str, Any]:
    return {"enabled": True, "days": days}


def snapshot(options: dict[str, Any] = OFF, linux: dict[str, Any] = OFF, oracle: dict[str, Any] = OFF) -> Snapshot:
    found = discover(doorward.configuration).defaults(Machine())
    bodies = {
        Place(OPTIONS): {"channel_database_cleanup": options},
        Place(PATH, LINUX): {"channel_database_cleanup": linux},
        Place(PATH, ORACLE): {"channel_database_cleanup": oracle},
    }
    for place, body in bodies.items():
        stored = encode(body)
        found = found.put(place, Document(stored, stored))
    return found


class Site:
    """A catalogue with its trails. Sessions: of each policy one of 99 days ago and one of 9, and one that goes on since ever."""

    def __init__(self, engine: str, state: Path) -> None:
        self.catalogue = made(engine, state)
        self.directory = state / "trails"
        self.trails = Trails(self.directory)
        self.configuration = snapshot()
        self.retention = SessionRetention(self.catalogue, self.trails, lambda: self.configuration)
        for number, (policy, age) in enumerate([(LINUX, 99), (LINUX, 9), (ORACLE, 99), (ORACLE, 9), ("gone", 99)], 1):
            self.put(number, policy, age)
        tell(self.catalogue, row(6, began=0), end=None)

    def put(self, number: int, policy: str, age: int) -> None:
        began = BEGAN + (100 - age) * DAY
        tell(
            self.catalogue, row(number, policy_key=policy, began=began, trail=put_trail(self.directory, key_of(number), b"trail"))
        )

    @property
    def rows(self) -> list[int]:
        return [number for (number,) in stored(self.catalogue, "SELECT number FROM sessions ORDER BY number")]

    @property
    def files(self) -> list[int]:
        return sorted(int(path.stem[1:]) for path in self.directory.iterdir())

    @property
    def doomed(self) -> list[str]:
        return self.catalogue.doomed()


@pytest.fixture(params=ENGINES)
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    site = Site(request.param, tmp_path)
    yield site
    site.retention.stop()
    site.catalogue.close()


def test_terms_are_those_of_the_configuration() -> None:
    assert terms(snapshot()) == Terms()
    assert terms(snapshot(kept(365), kept(30))) == Terms(365, {LINUX: 30})


@pytest.mark.parametrize(
    ("options", "linux", "left"),
    [
        (OFF, OFF, [1, 2, 3, 4, 5, 6]),
        (OFF, kept(50), [2, 3, 4, 5, 6]),
        (kept(50), OFF, [2, 4, 6]),
        (kept(50), kept(5), [4, 6]),
        (kept(1), OFF, [6]),
        (kept(200), kept(98), [2, 3, 4, 5, 6]),
        (kept(200), kept(99), [1, 2, 3, 4, 5, 6]),
        (kept(200), kept(100), [1, 2, 3, 4, 5, 6]),
    ],
)
def test_row_text_and_trail_go_together(site: Site, options: dict[str, Any], linux: dict[str, Any], left: list[int]) -> None:
    site.configuration = snapshot(options, linux)
    assert site.retention.clean(NOW) == 6 - len(left)
    assert site.rows == left
    assert site.files == [number for number in left if number != 6]
    assert site.doomed == []
    with site.catalogue.looking() as look:
        assert look.count(parsed("notes").criterion) == len(left)


def test_a_trail_whose_row_is_gone_is_deleted_later(site: Site) -> None:
    """The process was killed between the two."""
    site.catalogue.delete([1, 3]).result()
    assert (site.rows, site.files) == ([2, 4, 5, 6], [1, 2, 3, 4, 5])
    site.retention.clean(NOW)
    assert (site.files, site.doomed) == ([2, 4, 5], [])


def test_a_trail_that_can_not_be_deleted_is_tried_again(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(path: str) -> None:
        raise PermissionError(1, "Operation not permitted", path)

    site.configuration = snapshot(kept(50))
    with monkeypatch.context() as patch:
        patch.setattr(site.trails, "delete", fails)
        site.retention.clean(NOW)
    assert (site.rows, len(site.doomed)) == ([2, 4, 6], 3)
    site.retention.clean(NOW)
    assert (site.files, site.doomed) == ([2, 4], [])


def test_it_is_due_at_one_past_ten_in_the_evening(site: Site) -> None:
    noon = datetime(2026, 11, 30, 12, tzinfo=UTC)
    assert site.retention._next(noon) == datetime(2026, 11, 30, 22, 1, tzinfo=UTC)
    night = datetime(2026, 11, 30, 23, tzinfo=UTC)
    site.retention.clean(night)
    assert site.retention._next(night) == datetime(2026, 12, 1, 22, 1, tzinfo=UTC)


def test_what_was_missed_is_made_up_for(site: Site) -> None:
    site.retention.clean(datetime(2026, 11, 27, 22, 1, tzinfo=UTC))
    noon = datetime(2026, 11, 30, 12, tzinfo=UTC)
    assert site.retention._next(noon) <= noon
    site.retention.clean(noon)
    assert site.retention._next(noon) == datetime(2026, 11, 30, 22, 1, tzinfo=UTC)


def test_a_clock_that_was_stepped_ahead_deletes_nothing_before_it_stood_for_a_day(site: Site) -> None:
    site.configuration = snapshot(kept(200))
    for days in (2, 1):
        site.retention.clean(NOW - timedelta(days=days))
    years = NOW + timedelta(days=5 * 365)
    assert site.retention._next(years) <= years  # by that clock it was missed for long
    assert site.retention.clean(years) == 0
    assert site.retention.clean(site.retention._next(years)) == 0
    assert (site.rows, site.files) == ([1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 5])
    assert site.retention.clean(years + timedelta(days=2)) == 5


def test_a_clock_that_was_set_back_and_right_again_deletes_what_is_old_a_day_later(site: Site) -> None:
    site.configuration = snapshot(kept(50))
    for days in (-99, -5 * 365, 0, 1):
        assert site.retention.clean(NOW + timedelta(days=days)) == 0
    assert site.retention.clean(NOW + timedelta(days=2)) == 3


def test_a_clock_that_was_ahead_does_not_stop_it(site: Site) -> None:
    site.retention.clean(datetime(2040, 1, 1, tzinfo=UTC))
    noon = datetime(2026, 11, 30, 12, tzinfo=UTC)
    assert site.retention._next(noon) == datetime(2026, 11, 30, 22, 1, tzinfo=UTC)


def test_what_is_kept_against_repetition_goes_a_day_after_the_end(site: Site) -> None:
    site.retention.clean(NOW)
    assert {number for (number,) in stored(site.catalogue, "SELECT session FROM marks")} == {6}
