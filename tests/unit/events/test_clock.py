"""When the clock counts as lost, and when as found again (time contract, section 6)."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from doorward.events.clock import TimeWatch
from doorward.host.time_status import ClockStatus, DaemonStatus, SourceStatus, TimeStatus, ZoneStatus
from tests.unit.events.parts import Bus, snapshot
from tests.unit.transaction.rig import ip

SERVERS = (ip("192.0.2.1"),)
SOURCE = SourceStatus(
    "192.0.2.1", "fqdn", "ntp.example.com", "configuration", "unreachable", 0, None, None, None, None, None
)  # fmt: skip


class Clock:
    """A clock that is looked at every minute."""

    def __init__(self, bus: Bus, servers: Any = SERVERS) -> None:
        self.bus, self.now = bus, 0.0
        self.synchronised, self.offset, self.running = True, 0.0, True
        self.sources: tuple[SourceStatus, ...] = (SOURCE,)
        self.snapshot = snapshot(datetime__ntp_servers=list(servers))
        self.watch = TimeWatch(bus, lambda: self.snapshot, self.status)

    def status(self) -> TimeStatus:
        clock = ClockStatus("2026-11-21T10:00:00Z", self.synchronised, offset_seconds=self.offset)
        return TimeStatus(clock, DaemonStatus("chrony", self.running, "4.3"), self.sources, ZoneStatus("Etc/UTC", "UTC", 0))

    def minutes(self, count: int) -> list[int]:
        """Look so often; return after how many minutes something was raised."""
        told = []
        for minute in range(count):
            before = len(self.bus.raised)
            self.watch.look(self.now)
            told += [minute] * (len(self.bus.raised) - before)
            self.now += 60
        return told


def test_a_clock_that_is_well_is_nothing_to_tell_of(bus: Bus) -> None:
    assert Clock(bus).minutes(120) == []


def test_not_synchronised_for_15_minutes(bus: Bus) -> None:
    clock = Clock(bus)
    clock.synchronised = False
    assert clock.minutes(60) == [15]
    event = bus.events[0]
    assert (event.key, event.path) == ("time_sync_lost", "/api/configuration/datetime/ntp_servers")
    assert event.text == "The clock is not synchronised."
    assert event.details == {"source ntp.example.com 192.0.2.1": "unreachable"}


def test_fewer_than_three_servers_that_answer_show_in_health_after_15_minutes(bus: Bus) -> None:
    clock, answering = Clock(bus), replace(SOURCE, state="selected", reachability=255)
    clock.sources = (answering, answering, SOURCE)
    assert clock.minutes(15) == []
    assert list(clock.watch.issues()) == []
    assert clock.minutes(1) == [], "no alert: nothing is lost"
    [issue] = clock.watch.issues()
    assert issue.message.startswith("Of the time servers 2 answer; ")
    clock.sources = (answering,) * 3
    clock.minutes(1)
    assert list(clock.watch.issues()) == []


def test_an_outage_that_is_shorter_does_not_count(bus: Bus) -> None:
    clock = Clock(bus)
    for synchronised in (False, True, False):
        clock.synchronised = synchronised
        assert clock.minutes(14) == []


def test_without_servers_nobody_expects_a_synchronised_clock(bus: Bus) -> None:
    clock = Clock(bus, ())
    clock.synchronised = False
    assert clock.minutes(60) == []


@pytest.mark.parametrize("offset", [1.01, -1.01])
def test_off_by_more_than_a_second_for_5_minutes(bus: Bus, offset: float) -> None:
    clock = Clock(bus)
    clock.offset = offset
    assert clock.minutes(60) == [5]
    assert bus.events[0].text.startswith("The clock is off by ")


def test_off_by_a_second_is_bearable(bus: Bus) -> None:
    clock = Clock(bus)
    clock.offset = 1.0
    assert clock.minutes(60) == []


def test_a_daemon_that_is_down_for_a_minute(bus: Bus) -> None:
    clock = Clock(bus)
    clock.running = False
    assert clock.minutes(10) == [1]


def test_it_is_over_after_5_good_minutes(bus: Bus) -> None:
    clock = Clock(bus)
    clock.synchronised = False
    clock.sources = (replace(SOURCE, reachability=255),) * 3
    clock.minutes(20)
    [issue] = clock.watch.issues()
    assert issue.message == "The clock is not synchronised."
    clock.synchronised, clock.offset = True, 0.2
    assert clock.minutes(20) == [], "not good enough"
    clock.offset = 0.05
    assert clock.minutes(20) == [5]
    assert bus.keys == ["time_sync_lost", "-time_sync_lost"]
    assert list(clock.watch.issues()) == []


def test_taking_the_servers_away_ends_it(bus: Bus) -> None:
    clock = Clock(bus)
    clock.synchronised = False
    clock.minutes(20)
    clock.snapshot = snapshot(datetime__ntp_servers=[])
    assert clock.minutes(20) == [5]
    assert bus.keys[-1] == "-time_sync_lost"
