"""When backups are due: against a plain model of local time, over every kind of change of the clock."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from doorward.backup.schedule import Due, JobMemory, dues, last_dues, unserved, upcoming
from doorward.host.resources import Job

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
# Europe; half an hour of summer time; gaps at and over midnight; a zone that moves back for Ramadan; none at all.
ZONES = ["Europe/Budapest", "America/New_York", "Australia/Lord_Howe", "America/Nuuk", "Africa/Cairo", "Africa/Casablanca", "UTC"]
TIMES = st.builds(lambda minutes: f"{minutes // 60:02d}:{minutes % 60:02d}", st.integers(0, 24 * 60 - 1))


def job(*times: str, zone: str = "Europe/Budapest", subject: str = "policy") -> Job:
    return Job("system_backup", times, zone, subject)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def instant(day: date, time: str, zone: ZoneInfo) -> datetime:
    """The first minute whose local time is not before the wanted one, found by counting."""
    wanted = f"{day} {time}"
    found = datetime(day.year, day.month, day.day, tzinfo=UTC) - 15 * HOUR
    while f"{found.astimezone(zone):%Y-%m-%d %H:%M}" < wanted:
        found += MINUTE
    return found


@given(zone=st.sampled_from(ZONES), time=TIMES, day=st.dates(date(2025, 1, 1), date(2028, 1, 1)))
@example("Europe/Budapest", "02:30", date(2026, 3, 29))
@example("Europe/Budapest", "02:30", date(2026, 10, 25))
@example("America/Nuuk", "23:30", date(2026, 3, 28))
@example("Australia/Lord_Howe", "02:15", date(2026, 10, 4))
@example("Africa/Cairo", "00:00", date(2026, 4, 24))
def test_every_date_has_each_time_once_at_its_first_instant_or_after_the_gap(zone: str, time: str, day: date) -> None:
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    found = dues(job(time, zone=zone), noon - 2 * DAY, noon + 2 * DAY)
    assert [due.at for due in found if due.local == f"{day} {time}"] == [instant(day, time, ZoneInfo(zone))]
    assert len({due.local for due in found}) == len(found)


def seen(*times: str, since: str = "2026-01-01T00:00:00+00:00") -> JobMemory:
    return JobMemory("policy", dict.fromkeys(times, at(since)))


def walk(memory: JobMemory, wanted: Job, clock: list[datetime]) -> tuple[JobMemory, list[str]]:
    """What had its run when the clock showed these times one after the other."""
    runs: list[str] = []
    for now in clock:
        memory = memory.adopted(wanted, now)
        found = unserved(wanted, memory, now)
        if found:
            runs.append(found[-1].local)
            memory = memory.with_served(found)
    return memory, runs


def minutes(begin: str, end: str) -> list[datetime]:
    first, last = at(begin), at(end)
    return [first + n * MINUTE for n in range(int((last - first) / MINUTE) + 1)]


def test_in_spring_two_times_that_fall_on_one_instant_are_both_served_by_it() -> None:
    after_the_gap = at("2026-03-29T01:00:00+00:00")
    since = seen("02:30", "03:00", since="2026-03-29T00:00:00+00:00")
    assert not unserved(job("02:30", "03:00"), since, after_the_gap - timedelta(seconds=1))
    found = unserved(job("02:30", "03:00"), since, after_the_gap)
    assert found == [Due(after_the_gap, "2026-03-29 02:30"), Due(after_the_gap, "2026-03-29 03:00")]


@pytest.mark.parametrize("day", ["2026-03-29", "2026-10-25", "2026-06-01"])
def test_a_day_has_one_run_however_long_it_is(day: str) -> None:
    clock = minutes(f"{day}T00:00:00+01:00", f"{day}T12:00:00+01:00")
    assert walk(seen("02:30", since=f"{day}T00:00:00+01:00"), job("02:30"), clock)[1] == [f"{day} 02:30"]


def test_a_clock_that_is_set_back_runs_nothing_again() -> None:
    since = "2026-06-01T00:00:00+02:00"
    clock = [*minutes("2026-06-01T02:00:00+02:00", "2026-06-01T02:40:00+02:00"), at("2026-06-01T02:00:00+02:00")]
    memory, runs = walk(seen("02:30", since=since), job("02:30"), clock)
    assert runs == ["2026-06-01 02:30"]
    assert upcoming(job("02:30"), memory, clock[-1]) == Due(at("2026-06-02T02:30:00+02:00"), "2026-06-02 02:30")


def test_a_clock_that_is_set_ahead_over_a_due_time_makes_up_for_it() -> None:
    clock = [at("2026-06-01T02:00:00+02:00"), at("2026-06-01T09:00:00+02:00")]
    assert walk(seen("02:30", since="2026-06-01T00:00:00+02:00"), job("02:30"), clock)[1] == ["2026-06-01 02:30"]


@pytest.mark.parametrize("days", [1, 400, 5 * 365])
def test_a_clock_that_jumps_ahead_and_back_makes_one_run_and_repeats_none(days: int) -> None:
    now = at("2026-06-01T12:00:00+02:00")
    clock = [now, now + days * DAY, now + days * DAY + MINUTE, now, now + MINUTE]
    memory, runs = walk(seen("02:30", since="2026-06-01T03:00:00+02:00"), job("02:30"), clock)
    assert len(runs) == 1
    night = minutes("2026-06-02T02:00:00+02:00", "2026-06-02T02:31:00+02:00")
    assert walk(memory, job("02:30"), night)[1] == ([] if days == 1 else ["2026-06-02 02:30"])


def test_only_the_last_day_is_made_up_for() -> None:
    assert unserved(job("02:30"), seen("02:30"), at("2026-06-04T09:00:00+02:00")) == [
        Due(at("2026-06-04T02:30:00+02:00"), "2026-06-04 02:30")
    ]


def test_a_time_counts_from_when_it_was_set() -> None:
    now = at("2026-06-01T12:00:00+02:00")
    assert walk(JobMemory(), job("02:30"), [now])[1] == []
    memory, runs = walk(seen("02:30"), job("02:30", "11:00"), [now])
    assert runs == ["2026-06-01 02:30"]
    assert memory.since["11:00"] == now
    assert walk(seen("02:30"), job("02:30", subject="another"), [now])[1] == []


def test_a_zone_that_moves_over_a_start_time_loses_no_run_and_doubles_none() -> None:
    """East over 02:30: made up for at once. West back over it: not again for the same date."""
    before, _ = walk(seen("02:30"), job("02:30", zone="America/New_York"), [at("2026-05-31T12:00:00-04:00")])
    memory, runs = walk(before, job("02:30"), [at("2026-06-01T01:00:00-04:00")])
    assert runs == ["2026-06-01 02:30"]
    west = minutes("2026-06-01T01:00:00-04:00", "2026-06-01T06:00:00-04:00")
    assert walk(memory, job("02:30", zone="America/New_York"), west)[1] == []


@given(
    zones=st.lists(st.sampled_from(ZONES), min_size=1, max_size=4),
    steps=st.lists(st.integers(-180, 600), min_size=1, max_size=30),
    times=st.lists(TIMES, min_size=1, max_size=3, unique=True),
)
def test_no_local_date_and_time_is_ever_served_twice(zones: list[str], steps: list[int], times: list[str]) -> None:
    now, memory, served = at("2026-10-24T00:00:00+00:00"), seen(*times), list[str]()
    for index, step in enumerate(steps):
        now += step * MINUTE
        wanted = job(*times, zone=zones[index * len(zones) // len(steps)])
        memory = msgspec.json.decode(msgspec.json.encode(memory.adopted(wanted, now)), type=JobMemory)
        found = unserved(wanted, memory, now)
        assert all(now - DAY < due.at <= now for due in found)
        served += [due.local for due in found]
        memory = memory.with_served(found)
        assert not unserved(wanted, memory, now)
        following = upcoming(wanted, memory, now)
        assert following is not None
        assert following.at > now
        assert following.local not in served
    assert len(served) == len(set(served))


def test_a_clock_that_came_back_from_the_future_leaves_nothing_stuck() -> None:
    memory = JobMemory().adopted(job("02:30"), at("2031-01-01T00:00:00+00:00"))
    clock = minutes("2026-06-01T02:00:00+02:00", "2026-06-01T02:31:00+02:00")
    assert walk(memory, job("02:30"), clock)[1] == ["2026-06-01 02:30"]


def test_the_last_due_times_are_those_that_count() -> None:
    now = at("2026-06-03T12:00:00+02:00")
    assert last_dues(job("02:30"), seen("02:30"), now, 2) == [at("2026-06-03T02:30:00+02:00"), at("2026-06-02T02:30:00+02:00")]
    assert last_dues(job("02:30"), seen("02:30", since="2026-06-03T00:00:00+00:00"), now, 2) == [at("2026-06-03T02:30:00+02:00")]


def test_a_job_without_times_is_never_due() -> None:
    now = at("2026-06-03T12:00:00+02:00")
    assert upcoming(job(), JobMemory(), now) is None
    assert dues(job(), now - DAY, now) == []
