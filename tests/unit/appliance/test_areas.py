"""The areas of a node: their order, commits, what is wrong, and what one of them does wrong."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from doorward.appliance.areas import Areas
from doorward.areas.area import Area, Issue, Metric
from tests.unit.transaction.rig import WEB, Rig


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with contextlib.closing(Rig(tmp_path).started()) as made:
        yield made


class Recording(Area):
    """Keeps what is asked of it."""

    def __init__(self, name: str, asked: list[str], *, early: bool = False, fails: str = "") -> None:
        self._name, self._asked, self.is_early, self._fails = name, asked, early, fails

    def _note(self, what: str) -> None:
        self._asked.append(f"{self._name} {what}")
        if what == self._fails:
            raise OSError(what)

    def start(self) -> None:
        self._note("start")

    def stop(self) -> None:
        self._note("stop")

    def published(self, before: Any, after: Any, edits: Any) -> None:
        self._note(f"published {after.number - before.number} {len(edits)}")

    def issues(self) -> Iterable[Issue]:
        return [Issue(self._name)]

    def metrics(self) -> Iterable[Metric]:
        return [Metric(self._name, "", 1.0)]

    def tidy(self) -> None:
        self._note("tidy")


def test_areas_start_in_their_order_and_stop_in_the_opposite_one(rig: Rig) -> None:
    asked: list[str] = []
    areas = Areas(rig.pipeline, [Recording(name, asked, early=name == "e") for name in ("a", "e", "b")])
    areas.start(early=True)
    areas.start(early=False)
    assert asked == ["e start", "a start", "b start"]
    asked.clear()
    for _ in range(2):  # the second time there is nothing to stop
        areas.stop(early=False)
        areas.stop(early=True)
    assert asked == ["b stop", "a stop", "e stop"]


def test_areas_follow_commits_between_start_and_stop(rig: Rig) -> None:
    asked: list[str] = []
    areas = Areas(rig.pipeline, [Recording("a", asked)])
    rig.committed((WEB, {"timeout": 20}))
    areas.start(early=False)
    rig.committed((WEB, {"timeout": 30}))
    areas.stop(early=False)
    rig.committed((WEB, {"timeout": 40}))
    assert asked == ["a start", "a published 1 1", "a stop"]


def test_what_one_area_does_wrong_leaves_the_others_alone(rig: Rig) -> None:
    asked: list[str] = []
    areas = Areas(rig.pipeline, [Recording("a", asked), Recording("b", asked, fails="stop"), Recording("c", asked, fails="tidy")])
    areas.start(early=False)
    asked.clear()
    with capture_logs() as logs:
        areas.tidy()
        areas.stop(early=False)
    assert asked == ["a tidy", "b tidy", "c tidy", "c stop", "b stop", "a stop"]
    assert [log["event"] for log in logs] == ["an area could not be tidied", "an area could not be stopped"]


def test_one_that_can_not_start_is_stopped_with_those_before_it(rig: Rig) -> None:
    asked: list[str] = []
    areas = Areas(rig.pipeline, [Recording("a", asked), Recording("b", asked, fails="start"), Recording("c", asked)])
    with pytest.raises(OSError, match="start"):
        areas.start(early=False)
    areas.stop(early=False)
    assert asked == ["a start", "b start", "b stop", "a stop"]


def test_all_areas_are_asked(rig: Rig) -> None:
    areas = Areas(rig.pipeline, [Recording("a", []), Recording("b", []), Area()])
    assert [issue.message for issue in areas.issues()] == ["a", "b"]
    assert [metric.name for metric in areas.metrics()] == ["a", "b"]
