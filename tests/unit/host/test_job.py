"""Jobs on a host: into the due table, read back, and put back when something else fails."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from doorward.host.engine import ApplyError
from doorward.host.resources import File, Job
from tests.support.fake_host import FakeHost

if TYPE_CHECKING:
    from doorward.host.plan import Plan

NIGHTLY = Job("system_backup", ("02:30",), "Europe/Budapest", "p1", origin="/backup")
HOURLY = Job("system_backup", ("01:00", "02:00"), "Europe/Budapest", "p1", origin="/backup")


def texts(plan: Plan) -> list[str]:
    return [action.action for action in plan.actions]


def test_a_job_comes_into_the_table_moves_and_goes(soon: float) -> None:
    host = FakeHost()
    for old, new, text in (([], [NIGHTLY], "schedule"), ([NIGHTLY], [HOURLY], "schedule"), ([HOURLY], [], "unschedule")):
        plan = host.plan(old, new)
        assert texts(plan) == [f"{text} system_backup"]
        host.apply(plan, deadline=soon)
        assert host.table.job("system_backup") == (new[0] if new else None)
        assert host.drift(new) == []


def test_after_a_start_the_table_is_filled_again_and_then_left_alone(soon: float) -> None:
    host = FakeHost()
    host.apply(host.plan([NIGHTLY], [NIGHTLY], full=True), deadline=soon)
    assert host.table.job("system_backup") == NIGHTLY
    assert host.plan([NIGHTLY], [NIGHTLY], full=True).actions == ()


def test_files_are_written_before_jobs_are_scheduled() -> None:
    assert texts(FakeHost().plan([], [NIGHTLY, File("/a", b"")])) == ["write /a", "schedule system_backup"]


def test_a_job_that_nobody_sees_due_is_refused_and_the_old_one_is_back(soon: float, monkeypatch: pytest.MonkeyPatch) -> None:
    host = FakeHost()
    host.apply(host.plan([], [NIGHTLY]), deadline=soon)
    monkeypatch.setattr(host.table, "next_due", lambda _name: datetime.now(UTC) - timedelta(hours=1))
    with pytest.raises(ApplyError, match="no next time") as failed:
        host.apply(host.plan([NIGHTLY], [HOURLY]), deadline=soon)
    assert (failed.value.action, failed.value.restored) == ("schedule system_backup", True)
    assert host.table.job("system_backup") == NIGHTLY


def test_a_table_that_does_not_take_the_job_is_noticed(soon: float, monkeypatch: pytest.MonkeyPatch) -> None:
    host = FakeHost()
    monkeypatch.setattr(host.table, "put", lambda _job: None)
    with pytest.raises(ApplyError, match="does not show system_backup"):
        host.apply(host.plan([], [NIGHTLY]), deadline=soon)


def test_a_job_that_is_missing_is_drift() -> None:
    assert [(found.code, found.origin) for found in FakeHost().drift([NIGHTLY])] == [("configuration_drift", "/backup")]
