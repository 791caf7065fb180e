"""Time policies."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.configuration.policies.checks import TIMES, problems, refused, stored
from tests.unit.configuration.policies.samples import ALWAYS, OFFICE
from tests.unit.transaction.rig import ROOT, Rig

BUILT_IN = "-100"
DAYS = ["Fri", "Mon", "Sat", "Sun", "Thu", "Tue", "Wed"]


def test_the_built_in_policy_is_the_one_of_the_contract(rig: Rig) -> None:
    assert rig.value(TIMES, BUILT_IN) == ALWAYS


def test_the_built_in_policy_can_only_be_read(rig: Rig) -> None:
    candidate, path = rig.candidate(), f"{TIMES}/{BUILT_IN}"
    rig.put(candidate, TIMES, ALWAYS, BUILT_IN)
    assert not candidate.changed
    assert refused(lambda: rig.delete(candidate, TIMES, BUILT_IN)) == [("built_in", path, "")]
    assert refused(lambda: rig.put(candidate, TIMES, {**ALWAYS, "name": "x"}, BUILT_IN)) == [("built_in", path, "/name")]
    for day in DAYS:
        assert refused(lambda day=day: rig.put(candidate, TIMES, {**ALWAYS, day: []}, BUILT_IN)) == [  # type: ignore[misc]
            ("built_in", path, f"/{day}")
        ]
    all_of_it = refused(lambda: rig.put(candidate, TIMES, {"name": "x"}, BUILT_IN))
    assert sorted(pointer for _, _, pointer in all_of_it) == sorted(f"/{member}" for member in ("name", *DAYS))
    assert not candidate.changed


def test_times_are_kept_as_they_were_sent(rig: Rig) -> None:
    candidate = rig.candidate()
    made = rig.post(candidate, TIMES, OFFICE)
    rig.commit(candidate)
    assert rig.value(TIMES, made) == OFFICE
    candidate = rig.candidate()
    rig.put(candidate, TIMES, rig.value(TIMES, made), made)
    assert not candidate.changed


def test_a_day_that_is_left_out_is_never() -> None:
    assert stored(TIMES, {"name": "x", "Mon": [["0:00", "23:59"]]}) == {
        **{day: [] for day in DAYS},
        "Mon": [["0:00", "23:59"]],
        "name": "x",
    }


@pytest.mark.parametrize("day", DAYS)
@pytest.mark.parametrize(
    ("times", "found"),
    [
        ([], []),
        ([["0:00", "0:01"]], []),
        ([["9:00", "9:59"], ["10:00", "10:30"]], []),
        ([["09:00", "9:59"], ["9:60", "10:30"]], [("format", "/1/0")]),
        ([["9:00", "9:00"]], [("range", "/0/1")]),
        ([["10:00", "9:00"]], [("range", "/0/1")]),
        ([["9:00", "10:00"], ["10:00", "11:00"]], [("order", "/1/0")]),
        ([["9:00", "17:00"], ["10:00", "11:00"]], [("order", "/1/0")]),
        ([["13:00", "17:00"], ["8:00", "12:00"]], [("order", "/1/0")]),
        ([["10:00", "11:00"], ["9:00", "9:30"], ["9:30", "9:40"]], [("order", "/1/0"), ("order", "/2/0")]),
        ([["9:00"]], [("length", "/0")]),
        ([["9:00", "10:00", "11:00"]], [("length", "/0")]),
        ([["24:00", "9:0"]], [("format", "/0/0"), ("format", "/0/1")]),
        ([["0:00", "\u0661:00"]], [("format", "/0/1")]),
        ([["0:00", "001:00"]], [("length", "/0/1")]),
        ([[540, "10:00"]], [("type", "/0/0")]),
        (["9:00", "10:00"], [("type", "/0"), ("type", "/1")]),
        ("9:00", [("type", "")]),
        (None, [("type", "")]),
    ],
)
def test_the_times_of_a_day(day: str, times: Any, found: list[tuple[str, str]]) -> None:
    assert problems(TIMES, {"name": "x", day: times}) == [(code, f"/{day}{pointer}") for code, pointer in found]


def test_a_day_has_48_times_at_most() -> None:
    times = [[f"{half // 2}:{half % 2 * 30:02}", f"{half // 2}:{half % 2 * 30 + 20}"] for half in range(48)]
    assert problems(TIMES, {"name": "x", "Sun": times}) == []
    more = [*times, ["23:55", "23:56"]]
    assert problems(TIMES, {"name": "x", "Sun": more}) == [("length", "/Sun")]


def test_what_is_wrong_on_several_days_is_said_at_once() -> None:
    policy = {"name": "a b", "Mon": [["2:00", "1:00"], ["x", "y"]], "Tue": [["1:00", "2:00"], ["2:00", "3:00"]]}
    assert problems(TIMES, policy) == [
        ("range", "/Mon/0/1"),
        ("format", "/Mon/1/0"),
        ("format", "/Mon/1/1"),
        ("order", "/Tue/1/0"),
        ("format", "/name"),
    ]


@pytest.mark.parametrize("day", ["mon", "Monday", "MON", "0"])
def test_other_names_of_days_are_unknown(day: str) -> None:
    assert problems(TIMES, {"name": "x", day: []}) == [("unknown_member", f"/{day}")]


def test_names_are_unique_and_required(rig: Rig) -> None:
    assert problems(TIMES, {}) == [("missing", "/name")]
    candidate = rig.candidate()
    made = rig.post(candidate, TIMES, {"name": "7x24"})
    assert refused(lambda: rig.commit(candidate)) == [("duplicate", f"{TIMES}/{made}", "/name")]
    rig.put(candidate, TIMES, {"name": "7X24"}, made)
    rig.commit(candidate)
    assert list(rig.pipeline.running.snapshot.objects(ROOT + TIMES).order) == [BUILT_IN, made]
