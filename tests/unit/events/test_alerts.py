"""Which event becomes which mail, and what is held back."""

from __future__ import annotations

from typing import Any

import pytest

from doorward.configuration.alerting import system_alerts
from doorward.events.alerts import Alerts
from doorward.events.events import Event
from tests.unit.configuration.management.samples import EXTENDED, MAILED, NEVER, QUIET
from tests.unit.events.parts import SERVER, running

MAIL: dict[str, Any] = {"admin_address": "admin@example.com", "smtp_server": SERVER}
ON = {"login": {"email": True}, "logout": {"email": True}}


class Mails:
    """Alerts with a clock that is set by hand; keeps what was posted."""

    def __init__(self, mail: Any = MAIL, alerts: Any = ON) -> None:
        self.now = 1000.0
        self.mails: list[tuple[str, str, str]] = []
        self.running = running(management__email=mail, alerting__system_alerts=alerts)
        self.alerts = Alerts(lambda: self.running, lambda *mail: self.mails.append(mail), lambda: self.now)

    def raised(self, key: str = "login", text: str = "jane logged in", **others: Any) -> int:
        """Raise an event; return how many mails it made."""
        before = len(self.mails)
        self.alerts(Event(key=key, text=text, at=1795255200.0, **others))
        return len(self.mails) - before


def test_a_mail_tells_time_node_id_cause_resource_and_revision() -> None:
    inbox = Mails()
    assert (
        inbox.raised(
            path="/api/authentication", details={"user": "jane", "address": "192.0.2.9", "nothing": None, "parts": ["a", "b"]}
        )
        == 1
    )
    [(recipient, subject, text)] = inbox.mails
    assert recipient == "admin@example.com"
    assert subject == "[doorward1] xcbLogin: jane logged in"
    assert text.splitlines() == [
        "Time:     2026-11-21 11:00:00 +0100 (Europe/Budapest)",
        "Node:     doorward1.example.com",
        "Event:    xcbLogin",
        "Cause:    jane logged in",
        "Resource: /api/authentication",
        "Revision: 7",
        "",
        "user: jane",
        "address: 192.0.2.9",
        "parts: a, b",
    ]


def test_alerts_have_an_address_of_their_own() -> None:
    inbox = Mails({**MAIL, "alerting_address": "alerts@example.com"})
    assert inbox.raised() == 1
    assert inbox.mails[0][0] == "alerts@example.com"


@pytest.mark.parametrize(
    "mail",
    [
        {},
        {"admin_address": "admin@example.com"},
        {"smtp_server": SERVER},
        {"reporting_address": "r@a.example", "smtp_server": SERVER},
    ],
)
def test_without_server_or_address_there_is_no_mail(mail: Any) -> None:
    assert Mails(mail).raised() == 0


def test_only_what_is_switched_on_is_mailed() -> None:
    inbox = Mails(alerts={})
    assert {key for key in (*MAILED, *EXTENDED, *QUIET) if inbox.raised(key, key)} == {*MAILED, *EXTENDED}


def test_what_counts_is_the_configuration_when_it_happens() -> None:
    inbox = Mails(alerts={})
    assert inbox.raised() == 0
    inbox.running = running(management__email=MAIL, alerting__system_alerts=ON)
    assert inbox.raised() == 1


def test_every_event_that_can_be_switched_on_has_an_id() -> None:
    assert set(system_alerts.IDS) == {*MAILED, *EXTENDED, *QUIET}
    assert not set(system_alerts.IDS) & set(NEVER)
    assert len(set(system_alerts.IDS.values())) == len(system_alerts.IDS)


def test_one_mail_of_a_subject_in_five_minutes_and_the_next_tells_of_the_others() -> None:
    inbox = Mails()
    assert inbox.raised() == 1
    inbox.now += 299
    assert [inbox.raised() for _ in range(4)] == [0, 0, 0, 0]
    inbox.now += 1
    assert inbox.raised() == 1
    assert "Held back" not in inbox.mails[0][2]
    assert inbox.mails[1][2].endswith("\nHeld back since the last mail with this subject: 4\n")
    inbox.now += 300
    assert inbox.raised() == 1
    assert "Held back" not in inbox.mails[2][2]


def test_other_subjects_and_other_keys_are_not_held_back() -> None:
    inbox = Mails()
    assert inbox.raised(text="one") == inbox.raised(text="two") == inbox.raised("logout", "one") == 1
    assert inbox.raised(text="one") == 0


def test_a_held_back_mail_does_not_move_the_time_of_the_next() -> None:
    inbox = Mails()
    inbox.raised()
    inbox.now += 200
    assert inbox.raised() == 0
    inbox.now += 100
    assert inbox.raised() == 1


def test_memory_of_subjects_is_bounded() -> None:
    inbox = Mails()
    for number in range(2500):
        assert inbox.raised(text=f"{number}") == 1
    assert len(inbox.alerts._sent) <= 1000
    assert inbox.raised(text="2499") == 0


def test_a_subject_is_one_line_of_bearable_length() -> None:
    inbox = Mails()
    inbox.raised(text="first\r\nBcc: somebody@example.com\r\n\r\n" + "x" * 1000)
    assert "\r" not in inbox.mails[0][1]
    assert "\n" not in inbox.mails[0][1]
    assert len(inbox.mails[0][1]) == 200
