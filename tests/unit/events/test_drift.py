"""What differs on the host: told once it lasts, not in commits, put back where that is wanted, and not for ever."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from doorward.events.drift import EVERY_SECONDS, MAX_REPAIRS, REPAIR_SECONDS, DriftWatch
from doorward.host.files import FileEntry
from doorward.transaction.queue import CommitQueue
from tests.unit.events.parts import Bus
from tests.unit.transaction.rig import SERVERS, SOURCES, WEB, ZONE, Rig, ip

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DRIFT = "management/drift"
NTP = "/api/configuration/datetime/ntp_servers"


class Time:
    """A monotonic clock that is set by hand."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Site:
    """A node whose host is looked at when the test says so."""

    def __init__(self, directory: Path) -> None:
        self.rig, self.bus, self.clock, self.queue = Rig(directory).started(), Bus(), Time(), CommitQueue()
        self.watch = DriftWatch(self.bus, self.rig.pipeline, self.queue, self.clock)
        self.rig.committed((SERVERS, [ip("192.0.2.1")]))
        self.look()

    def look(self, after: float = 1.0) -> float:
        self.clock.now += after
        return self.watch.look(self.clock.now)

    def mode(self, mode: str, *exceptions: str) -> None:
        self.rig.committed((DRIFT, {"exceptions": list(exceptions), "mode": mode}))

    def spoil(self, text: str = "server 192.0.2.66 iburst\n") -> None:
        self.rig.host.files.write(SOURCES, FileEntry(text.encode(), 0o644))

    def lasting(self) -> float:
        """Look twice, so that what differs has lasted."""
        self.look()
        return self.look()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    yield site
    site.queue.close()
    site.rig.close()


def test_a_host_that_differs_is_told_once_and_again_when_it_is_mended(site: Site) -> None:
    assert site.look() == EVERY_SECONDS
    site.rig.host.files.remove(SOURCES)
    assert site.look() < 1, "looked at again soon"
    assert site.bus.keys == [], "it may be about to be written"
    assert site.look() == EVERY_SECONDS
    site.look(60)
    assert site.bus.keys == ["configuration_drift"]
    assert site.bus.events[0].path == NTP
    assert SOURCES in site.bus.events[0].text
    site.rig.pipeline.recover()
    site.look(60)
    assert site.bus.keys == ["configuration_drift", "-configuration_drift"]
    assert site.watch.found() == []


def test_what_was_there_for_a_moment_is_no_drift(site: Site) -> None:
    site.spoil()
    site.look()
    site.rig.pipeline.recover()
    site.lasting()
    assert site.bus.keys == []


def test_what_is_seen_in_the_middle_of_a_commit_does_not_count(site: Site) -> None:
    site.rig.host.files.remove(SOURCES)
    site.rig.pipeline.now_doing["a commit"] = site.rig.committed()
    site.lasting()
    assert site.bus.keys == []
    assert site.watch.found() == []
    site.rig.pipeline.now_doing.clear()
    site.lasting()
    assert site.bus.keys == ["configuration_drift"]


def test_what_differs_is_shown_with_how(site: Site) -> None:
    site.spoil("server 192.0.2.66 iburst key 7\npassword: hunter2\n")
    site.lasting()
    (found,) = site.watch.found()
    assert found.warning.resource == f"file {SOURCES}"
    assert found.warning.expected == "a file of 24 bytes, mode 0644"
    assert found.warning.found.splitlines() == [
        "--- expected", "+++ found", "@@ -1 +1,2 @@", "-server 192.0.2.1 iburst", "+server 192.0.2.66 iburst key ***",
        "+password: ***",
    ]  # fmt: skip
    since = found.since
    site.look(60)
    assert [one.since for one in site.watch.found()] == [since]


def test_what_may_differ_is_neither_told_nor_put_back(site: Site) -> None:
    for exception in (NTP, "/api/configuration/datetime", SOURCES, "/etc/chrony/"):
        site.mode("repair", exception)
        site.spoil()
        site.lasting()
        assert site.bus.keys == [], exception
        assert b"66" in site.rig.sources(), exception
    site.mode("repair", "/etc/chron", "/api/configuration/date")
    site.lasting()
    assert site.bus.keys == ["configuration_drift"]


def test_alert_touches_nothing(site: Site) -> None:
    site.spoil()
    site.lasting()
    assert b"66" in site.rig.sources()


def test_repair_puts_it_back_with_a_record_of_its_own(site: Site) -> None:
    site.mode("repair")
    before = site.rig.number
    site.spoil()
    site.lasting()
    assert site.rig.sources() == b"server 192.0.2.1 iburst\n"
    assert site.rig.number == before, "what is configured did not change"
    record = site.rig.store.commit_records(1)[0]
    assert (record.state, record.user, record.account, record.revision) == ("done", "doorward", "", before)
    assert site.rig.store.intent() is None
    assert site.rig.pipeline.now_doing == {}
    site.look()
    assert site.bus.keys == ["configuration_drift", "-configuration_drift"]


def spoiled_again_and_again(site: Site) -> None:
    for _ in range(MAX_REPAIRS):
        site.spoil()
        site.lasting()
        assert b"66" not in site.rig.sources()
        site.look()
    site.spoil()
    site.lasting()


def test_repairs_that_do_not_last_come_to_an_end(site: Site) -> None:
    site.mode("repair")
    spoiled_again_and_again(site)
    assert b"66" in site.rig.sources()
    assert site.bus.keys.count("drift_loop") == 1
    (issue,) = site.watch.issues()
    assert issue.level == "error"
    assert SOURCES in issue.message
    assert [figure.value for figure in site.watch.metrics()] == [1]
    site.look(REPAIR_SECONDS + 1)
    assert b"66" in site.rig.sources(), "while it differs nobody begins anew"
    site.rig.pipeline.recover()
    site.look()
    assert site.bus.keys[-1] == "-drift_loop"
    assert [figure.value for figure in site.watch.metrics()] == [0]
    site.spoil()
    site.lasting()
    assert b"66" not in site.rig.sources()


def test_who_commits_other_rules_has_repairs_begin_anew(site: Site) -> None:
    site.mode("repair")
    spoiled_again_and_again(site)
    site.mode("repair", "/nowhere")
    site.watch.follow(None, site.rig.store.edits(site.rig.number))
    site.lasting()
    site.look()
    assert b"66" not in site.rig.sources()
    assert site.bus.keys.count("-drift_loop") == 1


def test_what_can_not_be_put_back_is_tried_as_often_and_kept(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.mode("repair")
    write = site.rig.host.files.write

    def refused(path: str, entry: Any) -> None:
        if path == SOURCES and b"192.0.2.1 " in entry.content:
            raise OSError(28, "No space left on device")
        write(path, entry)

    site.spoil()
    monkeypatch.setattr(site.rig.host.files, "write", refused)
    for _ in range(MAX_REPAIRS + 3):
        site.look()
    assert site.bus.keys.count("drift_loop") == 1
    assert [one.state for one in site.rig.store.commit_records(MAX_REPAIRS)] == ["reverted"] * MAX_REPAIRS


def test_commits_are_no_drift(site: Site) -> None:
    for number in range(5):
        site.rig.committed((SERVERS, [ip(f"192.0.2.{number + 10}")]), (ZONE, ("Asia/Tokyo", "Etc/UTC")[number % 2]))
        site.lasting()
    assert site.bus.keys == []


def test_commits_that_ask_nothing_of_the_host_have_nobody_look(site: Site) -> None:
    watch, rig = site.watch, site.rig
    rig.pipeline.subscribers.following.append(watch.follow)
    rig.committed((WEB, {"timeout": 20}))
    assert not watch._worker.is_woken
    rig.committed((ZONE, "Asia/Tokyo"))
    assert watch._worker.is_woken


def test_commits_in_a_row_are_looked_at_once(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = []

    def look(desired: object) -> list[object]:
        looks.append(site.clock.now)
        return []

    monkeypatch.setattr(site.rig.host, "drift", look)
    site.rig.pipeline.subscribers.following.append(site.watch.follow)
    began, pause = site.clock.now, 0.0
    for number in range(10):
        site.rig.committed((SERVERS, [ip(f"192.0.2.{number + 10}")]))
        pause = site.watch._turn()
        site.clock.now += 0.01
    assert looks == []
    site.clock.now += pause
    assert site.watch._turn() == EVERY_SECONDS
    assert looks == [site.clock.now]
    while site.clock.now < began + 2 * EVERY_SECONDS:
        site.watch.follow(None, site.rig.store.edits(site.rig.number))
        site.watch._turn()
        site.clock.now += 0.4
    assert len(looks) == 2, "an endless row of commits is looked at now and then"
