"""Who is told of a run, and what."""

from __future__ import annotations

from typing import Any

import pytest

import doorward.configuration
from doorward.backup.notices import RunNotices
from doorward.backup.records import Drill, Run
from doorward.configuration.management import email
from doorward.events.events import Event, Events
from doorward.host.machine import Machine
from doorward.tree.places import Place
from doorward.tree.registry import discover
from tests.unit.backup.fakes import Clock

TREE = discover(doorward.configuration)
SETTINGS = {
    "admin_address": "admin@example.com",
    "alerting_address": "alerts@example.com",
    "smtp_server": {"selection": "ip", "value": "127.0.0.1"},
}
FILE = {"name": "doorward-x.config.gpg", "sha256": "ab" * 32, "size": 51_877}
PATHS = ("MANIFEST.json", "configuration/tree.json", "history/revisions.jsonl")


class Rig:
    def __init__(self, **settings: Any) -> None:
        self.mails: list[tuple[str, str, str]] = []
        self.events: list[Event] = []
        events = Events()
        self.bus = events
        events.listeners.append(self.events.append)
        document = TREE.load(Place(email.PATH), SETTINGS | settings)
        snapshot = TREE.defaults(Machine()).put(Place(email.PATH), document)
        self.notices = RunNotices(events, lambda *mail: self.mails.append(mail), lambda: snapshot)

    def told(self, run: Run, event: dict[str, Any], drill: Drill | None = None) -> list[str]:
        """Tell of a run; return who got a mail."""
        self.notices(run, {"name": "nightly", "notification_event": event}, drill, PATHS)
        return [recipient for recipient, _, _ in self.mails]

    def raised(self) -> list[str]:
        self.bus.start()
        self.bus.stop()
        return [event.id for event in self.events]


def run(result: Any, code: str | None = None) -> Run:
    made = Run(policy="p1", target="rsync://backup.example.com/srv", revision={"hash": "cd", "number": 118}, files=[FILE])
    message = "Connecting: no route." if code else None
    return made.end(result, Clock()(), code, message).with_warning("retention_failed", "Deleting did not work.")


@pytest.mark.parametrize(
    ("result", "event", "recipients"),
    [
        ("failed", {"type": "errors-only"}, ["alerts@example.com"]),
        ("failed", {"type": "all", "send_filelist": False}, ["alerts@example.com"]),
        ("failed", {"type": "none"}, []),
        ("succeeded", {"type": "errors-only"}, []),
        ("succeeded", {"type": "all", "send_filelist": False}, ["admin@example.com"]),
        ("cancelled", {"type": "all", "send_filelist": False}, ["alerts@example.com"]),
        ("cancelled", {"type": "errors-only"}, []),
        ("skipped", {"type": "all", "send_filelist": False}, ["alerts@example.com"]),
    ],
)
def test_a_mail_goes_to_whom_the_policy_says_and_an_alert_whatever_it_says(
    result: str, event: dict[str, Any], recipients: list[str]
) -> None:
    rig = Rig()
    assert rig.told(run(result, "connect" if result == "failed" else None), event) == recipients
    assert rig.raised() == (["xcbBackupFailed"] if result == "failed" else [])


@pytest.mark.parametrize("settings", [{"smtp_server": None}, {"admin_address": None, "alerting_address": None}])
def test_a_run_whose_mail_nobody_gets_says_so(settings: dict[str, Any]) -> None:
    for rig, warned in ((Rig(), False), (Rig(**settings), True)):
        for event, result in (("all", "succeeded"), ("errors-only", "succeeded"), ("errors-only", "failed"), ("none", "failed")):
            checked = rig.notices.checked(run(result), {"name": "nightly", "notification_event": {"type": event}})
            wanted = warned and (event, result) not in {("errors-only", "succeeded"), ("none", "failed")}
            assert ("mail_not_configured" in [warning["code"] for warning in checked.warnings]) == wanted
            assert checked.result == result


def test_the_mail_tells_everything_about_the_run() -> None:
    rig = Rig()
    passed = {"basis": "target", "passed": True}
    drill = Drill(result="passed", levels={"stored": passed, "readable": {**passed, "basis": "before_encryption"}})
    rig.told(run("succeeded"), {"type": "all", "send_filelist": True, "file_count_limit": 2}, drill)
    [(_, subject, text)] = rig.mails
    assert subject.endswith("Backup succeeded: nightly")
    for told in (
        "rsync://backup.example.com/srv", "Duration: 0 s", "118 (cd)", "doorward-x.config.gpg, 51877 bytes", "ab" * 32,
        "readable (before_encryption), stored (target)", "Deleting did not work.", "  configuration/tree.json",
        "and 1 more, left out by file_count_limit",
    ):  # fmt: skip
        assert told in text
    assert "history/revisions.jsonl" not in text


def test_without_the_list_no_file_of_the_archive_is_named() -> None:
    rig = Rig()
    rig.told(run("failed", "connect"), {"type": "all", "send_filelist": False})
    [(_, _, text)] = rig.mails
    assert "configuration/tree.json" not in text
    assert "Code:     connect" in text
    assert "Connecting: no route." in text
