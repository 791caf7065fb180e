"""What the monitor watches: limits, certificates; and the monitor itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from doorward.areas.area import Issue
from doorward.events.certificates import CertificateWatch, Expiring, in_use
from doorward.events.limits import Limits, figures_of
from doorward.events.monitor import Monitor
from tests.support import openpgp
from tests.support.server import until
from tests.unit.events.parts import Bus, snapshot
from tests.unit.transaction.rig import Rig

if TYPE_CHECKING:
    from collections.abc import Iterator

DAY = 86_400.0
DISK = "maximum_disk_utilization_ratio"


class Machine:
    """Limits over figures that are set by hand."""

    def __init__(self, bus: Bus, **limits: Any) -> None:
        self.bus, self.now = bus, 0.0
        self.figures = dict.fromkeys([DISK, "maximum_load1", "maximum_load15", "maximum_load5"], 0.0)
        self.figures["maximum_swap_utilization_ratio"] = 0.0
        self.set(**limits)
        self.watch = Limits(bus, lambda: self.snapshot, lambda: self.figures)

    def set(self, **limits: Any) -> None:
        self.snapshot = snapshot(management__health_monitoring=limits)

    def look(self, seconds: float = 60.0, **figures: float) -> list[str]:
        """Let time pass, look, and return the keys that were raised."""
        before = len(self.bus.keys)
        self.now += seconds
        self.figures |= figures
        self.watch.look(self.now)
        return self.bus.keys[before:]


@pytest.mark.parametrize(
    ("member", "limit", "key"),
    [
        (DISK, 80, "disk_full"),
        ("maximum_swap_utilization_ratio", 70, "swap_full"),
        ("maximum_load1", 4, "load_high"),
        ("maximum_load5", 4, "load_high"),
        ("maximum_load15", 2.5, "load_high"),
    ],
)
def test_a_limit_that_is_crossed_is_told_once_and_ends_below_95_percent(bus: Bus, member: str, limit: float, key: str) -> None:
    machine = Machine(bus, **{member: limit})
    assert machine.look(**{member: limit}) == []
    assert machine.look(**{member: limit * 1.01}) == [key]
    assert machine.look() == []
    assert machine.look(**{member: limit * 0.96}) == []
    [issue] = machine.watch.issues()
    assert str(limit) in issue.message
    assert issue.path == "/api/configuration/management/health_monitoring"
    assert machine.look(**{member: limit * 0.94}) == [f"-{key}"]
    assert list(machine.watch.issues()) == []
    assert machine.look(**{member: limit * 1.01}) == [key]


def test_it_is_told_again_every_24_hours(bus: Bus) -> None:
    machine = Machine(bus)
    assert machine.look(**{DISK: 81.0}) == ["disk_full"]
    assert machine.look(DAY - 1) == []
    assert machine.look(1) == ["disk_full"]
    assert machine.look(DAY, **{DISK: 77.0}) == ["disk_full"], "between 95 % and the limit it lasts"


def test_without_limit_there_is_no_alert(bus: Bus) -> None:
    machine = Machine(bus, **{DISK: None})
    assert machine.look(**{DISK: 100.0, "maximum_load1": 1000.0}) == []


def test_taking_the_limit_away_ends_the_alert(bus: Bus) -> None:
    machine = Machine(bus)
    machine.look(**{DISK: 99.0})
    machine.set(**{DISK: None})
    assert machine.look() == ["-disk_full"]


def test_a_new_limit_counts_at_the_next_look(bus: Bus) -> None:
    machine = Machine(bus)
    assert machine.look(**{DISK: 50.0}) == []
    machine.set(**{DISK: 40})
    assert machine.look() == ["disk_full"]


def test_the_figures_of_this_machine(tmp_path: Path) -> None:
    found = figures_of(tmp_path)()
    assert set(found) == set(snapshot().value("/api/configuration/management/health_monitoring"))
    assert 0 < found[DISK] <= 100


TODAY = datetime(2026, 11, 21, tzinfo=UTC)


class Calendar:
    """A certificate whose end is ``days`` away."""

    def __init__(self, bus: Bus, days: float) -> None:
        self.bus, self.today = bus, TODAY
        self.found = [Expiring("The certificate", "/api/x", TODAY + timedelta(days=days), "server")]
        self.watch = CertificateWatch(bus, lambda: self.found, lambda: self.today)

    def pass_days(self, days: float) -> int:
        before = len(self.bus.raised)
        self.today += timedelta(days=days)
        self.watch.look(0.0)
        return len(self.bus.raised) - before


def test_a_certificate_is_told_of_30_14_7_and_1_days_before_its_end_and_after_it(bus: Bus) -> None:
    calendar = Calendar(bus, 40)
    told = [day for day in range(60) if calendar.pass_days(0 if day == 0 else 1)]
    assert told == [10, 26, 33, 39, 40]
    assert set(bus.keys) == {"certificate_expiring"}
    assert bus.events[0].text == "The certificate ends on 2026-12-31 00:00 UTC."
    assert bus.events[-1].text == "The certificate ended on 2026-12-31 00:00 UTC."
    assert bus.events[0].path == "/api/x"


def test_health_tells_of_it_as_long_as_it_lasts(bus: Bus) -> None:
    calendar = Calendar(bus, 31)
    calendar.pass_days(0)
    assert list(calendar.watch.issues()) == []
    calendar.pass_days(1)
    assert [issue.level for issue in calendar.watch.issues()] == ["warning"]
    calendar.pass_days(30)
    assert [issue.level for issue in calendar.watch.issues()] == ["error"]
    calendar.found = []
    calendar.pass_days(0)
    assert list(calendar.watch.issues()) == []


def test_metrics_tell_of_ends_that_are_far_as_well(bus: Bus) -> None:
    calendar = Calendar(bus, 300)
    assert list(calendar.watch.metrics()) == []
    calendar.pass_days(0)
    (figure,) = calendar.watch.metrics()
    end = (TODAY + timedelta(days=300)).timestamp()
    assert (figure.name, figure.value, figure.labels) == (
        "doorward_certificate_end_timestamp_seconds",
        end,
        {"certificate": "server"},
    )


def test_a_new_certificate_is_another_one(bus: Bus) -> None:
    calendar = Calendar(bus, 5)
    assert calendar.pass_days(0) == 1
    calendar.found = [Expiring("The certificate", "/api/x", TODAY + timedelta(days=6), "server")]
    assert calendar.pass_days(0) == 1


def test_the_certificates_of_the_configuration_are_watched(rig: Rig) -> None:
    found = list(in_use(rig.pipeline.running.snapshot))
    assert [one.name for one in found] == [
        "The certificate of the appliance's own authority",
        "The TLS certificate of the server",
        "The certificate of the time stamping authority",
    ]
    assert [one.label for one in found] == ["ca", "server", "tsa"]
    assert {one.path for one in found} == {"/api/configuration/management/certificates"}
    years = {(one.end - datetime.now(UTC)).days / 365 for one in found}
    assert all(9.9 < left <= 10 for left in years)


def test_the_key_of_backups_is_watched_too(rig: Rig) -> None:
    public_key = openpgp.public_key("soon")
    candidate = rig.candidate()
    key = {"enabled": True, "gpg_public_key": {"public_key": public_key}}
    rig.put(candidate, "management/exported_configuration_encryption", {"encryption": key})
    rig.commit(candidate)
    [*_, found] = in_use(rig.pipeline.running.snapshot)
    assert found.name == "The OpenPGP key of backups and exports"
    assert found.path == "/api/configuration/management/exported_configuration_encryption"
    assert 18 < (found.end - datetime.now(UTC)) / timedelta(days=1) <= 20


class Watched:
    def __init__(self) -> None:
        self.looks = 0

    def look(self, now: float) -> None:
        self.looks += 1

    def issues(self) -> Iterator[Issue]:
        yield Issue(f"{self.looks}")


class Failing(Watched):
    def look(self, now: float) -> None:
        raise OSError("no such device")


def test_a_watch_that_fails_leaves_the_others_alone() -> None:
    watches = [Failing(), Watched()]
    monitor = Monitor(watches)
    monitor.look()
    assert [watch.looks for watch in watches] == [0, 1]
    assert [issue.message for issue in monitor.issues()] == ["0", "1"]


def test_the_monitor_looks_at_once_and_ends_when_told(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched()
    monitor = Monitor([watched])
    monitor.start()
    until(lambda: watched.looks == 1)
    monitor.stop()
    assert not monitor._worker._thread.is_alive()
    monkeypatch.setattr("doorward.events.monitor.EVERY_SECONDS", 0.01)
    again = Monitor([watched])
    again.start()
    until(lambda: watched.looks >= 4)
    again.stop()
