"""Everything of the floor together, over a real store and pipeline: commits, the store that refuses, health."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from doorward.events.notifications import Notifications
from doorward.events.syslog import FORMS, Origin
from doorward.events.tap import TAP, LogRecord
from doorward.store.anchor import anchors_in
from tests.support.areas import follow
from tests.support.server import until
from tests.unit.events.parts import SERVER
from tests.unit.transaction.rig import WEB, Rig

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from doorward.events.events import Event

ALERTS, EMAIL, SYSLOG = "alerting/system_alerts", "management/email", "management/syslog"


@pytest.fixture
def notifications(rig: Rig, tmp_path: Path) -> Iterator[Notifications]:
    made = follow(Notifications(rig.pipeline, tmp_path), rig.pipeline)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def heard(notifications: Notifications) -> list[Event]:
    found: list[Event] = []
    notifications.events.listeners.append(found.append)
    return found


def test_the_senders_work_by_a_revision_before_its_commit_answers(rig: Rig, notifications: Notifications) -> None:
    assert notifications.revision == rig.number
    receiver = {"address": {"selection": "ip", "value": "127.0.0.1"}, "port": 9, "transport": {"selection": "udp"}}
    rig.committed((SYSLOG, {"receivers": [receiver]}))
    assert notifications.revision == rig.number
    assert [one.address for one in notifications.syslog.receivers] == [("127.0.0.1", 9)]


def test_a_commit_is_an_event(rig: Rig, heard: list[Event]) -> None:
    rig.committed((WEB, {"timeout": 5}), user="jane", message="shorter")
    [event] = until(lambda: list(heard))
    assert (event.key, event.text, event.path) == (
        "config_change",
        f"Revision {rig.number} by jane",
        f"/api/revisions/{rig.number}",
    )
    assert event.details == {
        "address": "192.0.2.9", "changed": ["/api/configuration/management/webinterface"], "changes": 1, "message": "shorter",
    }  # fmt: skip


def test_the_signed_head_is_told_after_each_commit_and_every_hour(rig: Rig, notifications: Notifications) -> None:
    with capture_logs() as told:
        rig.committed((WEB, {"timeout": 5}))
        notifications.tidy()
    heads = [one["head"] for one in told if one["event"] == "history head"]
    assert [head["number"] for head in heads] == [rig.number] * 2
    records = [LogRecord(0.0, "info", "history head", {"head": head}) for head in heads]
    found = list(anchors_in("\n".join(form(one, Origin("node")).decode() for one in records for form in FORMS.values())))
    assert len(found) == 2 * len(FORMS)
    assert all(rig.store.check_anchor(anchor) == [] for anchor in found)


def test_a_commit_that_changes_nothing_is_none(rig: Rig, heard: list[Event], notifications: Notifications) -> None:
    rig.committed((WEB, {"timeout": 10}))
    notifications.events.raise_("login", "the next one")
    assert [event.key for event in until(lambda: list(heard))] == ["login"]


def test_a_store_that_refuses_is_an_event(rig: Rig, heard: list[Event]) -> None:
    rig.store._writer.execute("PRAGMA query_only = ON")
    with pytest.raises(sqlite3.OperationalError):
        rig.store.forget_commit_records("")
    rig.store._writer.execute("PRAGMA query_only = OFF")
    [event] = until(lambda: list(heard))
    assert (event.key, event.details) == ("db_error", {"reason": "attempt to write a readonly database"})


def test_an_alert_about_a_store_that_refuses_does_not_go_round(
    rig: Rig, heard: list[Event], notifications: Notifications
) -> None:
    rig.committed((EMAIL, {"admin_address": "a@example.com", "smtp_server": SERVER}))
    until(lambda: heard)
    sent: list[str] = []
    notifications.mails._deliver = lambda mail: sent.append(mail.subject)
    rig.store._writer.execute("PRAGMA query_only = ON")
    with pytest.raises(sqlite3.OperationalError):
        rig.store.forget_commit_records("")
    until(lambda: len(sent) == 1)
    until(lambda: len(notifications.mails) == 0)
    rig.store._writer.execute("PRAGMA query_only = OFF")
    notifications.events.stop()
    assert "xcbDBError" in sent[0]
    assert len([event for event in heard if event.key == "db_error"]) <= 3


def test_health_tells_when_notifications_lag_behind(
    rig: Rig, notifications: Notifications, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [issue.level for issue in notifications.issues()] == []

    def failing(_snapshot: Any) -> None:
        raise OSError("no more threads")

    monkeypatch.setattr(notifications.syslog, "configure", failing)
    with capture_logs():
        rig.committed((WEB, {"timeout": 5}))
    [issue] = notifications.issues()
    assert (issue.level, issue.message) == ("error", f"Mail and syslog still work by revision {rig.number - 1}.")


def test_stopping_leaves_nothing_behind(rig: Rig, tmp_path: Path) -> None:
    before = list(TAP.listeners)
    made = Notifications(rig.pipeline, tmp_path)
    made.start()
    made.stop()
    assert before == TAP.listeners
    made.stop()
    Notifications(rig.pipeline, tmp_path).stop()
