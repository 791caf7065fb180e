"""The queue of mails: when a mail is tried, when it is dropped, what survives."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from doorward.events.mail import Code, Mail, MailError, NoServerError
from doorward.events.queue import KIND, MailQueue, next_try
from tests.support.server import until
from tests.support.waiting import PATIENCE
from tests.unit.transaction.failing import FailingStore
from tests.unit.transaction.rig import Rig

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from doorward.store.port import Store, StoredRecord

MINUTE, HOUR = 60.0, 3600.0


class Office:
    """A queue whose clock is set by hand and whose mail server fails on request."""

    def __init__(self, rig: Rig) -> None:
        self.now = 1_000_000.0
        self.failure: Exception | None = None
        self.refused: set[str] = set()
        self.tries: list[tuple[float, str]] = []
        self.began = self.now
        self.queue = MailQueue(rig.store, self.deliver, lambda: self.now)

    def deliver(self, mail: Mail) -> None:
        self.tries.append((self.now - self.began, mail.subject))
        if self.failure is not None:
            raise self.failure
        if mail.subject in self.refused:
            raise MailError("rejected", "550 no such user")

    def post(self, *subjects: str) -> None:
        for subject in subjects:
            self.queue.post("a@example.com", subject, "text")

    def until(self, seconds: float) -> None:
        """Let time pass in steps of half a minute, trying what is due."""
        while self.now < self.began + seconds:
            self.queue.try_due()
            self.now += 30
        self.queue.try_due()


def kept(store: Store) -> list[dict[str, Any]]:
    """The mails that wait in the store."""
    return [record.body for record in store.records(KIND)]


@pytest.fixture
def office(rig: Rig) -> Iterator[Office]:
    made = Office(rig)
    yield made
    made.queue.stop()


def test_a_clock_that_is_set_back_keeps_no_mail(office: Office) -> None:
    office.failure = NoServerError()
    office.post("one")
    office.until(120)
    office.now -= 365 * 24 * HOUR
    office.began, office.tries = office.now, []
    office.until(400)
    assert [round(at / MINUTE, 1) for at, _ in office.tries] == [0, 1, 5]
    office.failure = None
    office.until(1000)
    assert len(office.queue) == 0


def test_the_times_of_the_tries() -> None:
    tries, now = [0.0], 0.0
    while (due := next_try(0.0, now)) is not None:
        tries.append(due)
        now = due
    minutes = [0, 1, 5, 15, 60]
    assert tries == [MINUTE * n for n in minutes] + [HOUR * n for n in range(2, 25)]


def test_a_late_try_is_followed_by_the_next_one_of_the_plan() -> None:
    assert next_try(0.0, 10 * MINUTE) == 15 * MINUTE
    assert next_try(100.0, 100.0 + 23.5 * HOUR) == 100.0 + 24 * HOUR
    assert next_try(0.0, 24 * HOUR) is None


def test_a_mail_is_kept_until_it_was_taken(office: Office, rig: Rig) -> None:
    office.failure = MailError("connect", "no route")
    office.post("one")
    office.queue.try_due()
    assert kept(rig.store) == [
        {
            "due": office.began + MINUTE,
            "queued": office.began,
            "recipient": "a@example.com",
            "subject": "one",
            "text": "text",
            "unknown": 0,
        }
    ]
    office.failure = None
    office.until(MINUTE)
    assert office.tries == [(0.0, "one"), (MINUTE, "one")]
    assert kept(rig.store) == []
    assert len(office.queue) == 0


def test_a_mail_is_dropped_after_a_day_with_an_error(office: Office, rig: Rig) -> None:
    office.failure = MailError("tls", "certificate has expired")
    office.post("one")
    with capture_logs() as logs:
        office.until(25 * HOUR)
    minutes = [0, 1, 5, 15, 60]
    assert [at for at, _ in office.tries] == [MINUTE * n for n in minutes] + [HOUR * n for n in range(2, 25)]
    assert kept(rig.store) == []
    errors = [entry for entry in logs if entry["log_level"] == "error"]
    assert [(entry["event"], entry["code"], entry["reason"]) for entry in errors] == [
        ("mail dropped", "tls", "certificate has expired")
    ]


@pytest.mark.parametrize("code", ["resolve", "connect", "tls", "auth"])
def test_while_the_server_is_away_the_others_are_not_tried_in_vain(office: Office, rig: Rig, code: Code) -> None:
    office.failure = MailError(code, "away")
    office.post("one", "two", "three")
    office.queue.try_due()
    assert office.tries == [(0.0, "one")]
    assert {mail["due"] for mail in kept(rig.store)} == {office.began + MINUTE}


def test_without_a_server_mails_wait(office: Office, rig: Rig) -> None:
    office.failure = NoServerError()
    office.post("one", "two")
    office.queue.try_due()
    assert len(kept(rig.store)) == 2


def test_a_mail_that_is_refused_does_not_hold_up_the_others(office: Office, rig: Rig) -> None:
    office.refused = {"one"}
    office.post("one", "two")
    office.queue.try_due()
    assert office.tries == [(0.0, "one"), (0.0, "two")]
    assert [mail["subject"] for mail in kept(rig.store)] == ["one"]


def test_a_mail_that_cannot_be_made_does_not_hold_up_the_others(office: Office, rig: Rig) -> None:
    office.failure = ValueError("Header values may not contain linefeed")
    office.post("one")
    office.queue.try_due()
    office.failure = None
    office.post("two")
    office.queue.try_due()
    assert [mail["subject"] for mail in kept(rig.store)] == ["one"]


def test_what_an_earlier_run_left_is_taken_up(office: Office, rig: Rig, tmp_path: Path) -> None:
    office.post("one", "two")  # the queue was never started: as if killed before the first try
    again = rig.restarted()
    later = Office(again)
    later.queue.start()
    until(lambda: len(later.tries) == 2)
    assert [subject for _, subject in later.tries] == ["one", "two"]
    until(lambda: kept(again.store) == [])
    later.queue.stop()
    again.close()


def test_the_thread_sends_as_soon_as_something_is_posted(office: Office) -> None:
    office.queue.start()
    office.post("one")
    until(lambda: office.tries == [(0.0, "one")])
    until(lambda: len(office.queue) == 0)


def test_a_mail_about_a_full_disk_leaves_all_the_same(tmp_path: Path) -> None:
    class Full(FailingStore):
        def put_record(self, *records: StoredRecord) -> None:
            self._may("put_record")
            super().put_record(*records)

    rig = Rig(tmp_path, make=Full).started()
    office = Office(rig)
    rig.store.fails = frozenset({"put_record"})  # type: ignore[attr-defined]
    office.post("full")
    office.queue.try_due()
    assert office.tries == [(0.0, "full")]
    rig.close()


def test_a_mail_that_comes_before_the_queue_is_ready_is_not_forgotten(tmp_path: Path) -> None:
    """Only the memory has it: the store would not take it, or was read a moment before."""
    rig = Rig(tmp_path).started()
    first = Office(rig)
    first.post("left by an earlier run")
    second = Office(rig)
    read = rig.store.records

    def slow(*page: Any) -> list[StoredRecord]:
        found = read(*page)
        second.post("meanwhile")
        return found

    rig.store.records = slow  # type: ignore[assignment, method-assign]
    second.queue.start()
    until(lambda: len(second.tries) == 2)
    assert [subject for _, subject in second.tries] == ["left by an earlier run", "meanwhile"]
    second.queue.stop()
    rig.close()


def test_no_more_than_a_thousand_mails_wait(office: Office, monkeypatch: Any) -> None:
    monkeypatch.setattr("doorward.events.queue._MAX_WAITING", 3)
    office.failure = MailError("connect", "no route")
    with capture_logs() as logs:
        office.post("1", "2", "3", "4")
    assert len(office.queue) == 3
    assert [entry["event"] for entry in logs] == ["mail dropped"]


def test_the_end_waits_for_the_mail_that_is_being_sent(rig: Rig) -> None:
    going, go = threading.Event(), threading.Event()

    def slow(_mail: Mail) -> None:
        going.set()
        go.wait(PATIENCE)

    queue = MailQueue(rig.store, slow)
    queue.start()
    queue.post("a@example.com", "one", "text")
    assert going.wait(PATIENCE)
    threading.Timer(0.1, go.set).start()
    queue.stop()
    assert kept(rig.store) == []


def test_a_mail_that_may_have_been_taken_goes_out_once_more_and_not_soon(office: Office) -> None:
    office.failure = MailError("connect", "no word", is_unknown=True)
    with capture_logs() as logs:
        office.post("one")
        office.until(24 * HOUR)
    assert [round(at / HOUR, 1) for at, _ in office.tries] == [0.0, 1.0]
    assert len(office.queue) == 0
    assert [one["event"] for one in logs if one["log_level"] == "error"] == ["mail dropped"]


def test_what_the_server_refused_after_all_is_tried_as_before(office: Office) -> None:
    office.failure = MailError("connect", "no word", is_unknown=True)
    office.post("one")
    office.until(30)
    office.failure = MailError("rejected", "451 later")
    office.until(2 * HOUR + 60)
    office.failure = None
    office.until(4 * HOUR)
    assert [round(at / HOUR) for at, _ in office.tries] == [0, 1, 2, 3]
    assert len(office.queue) == 0


def test_the_end_of_the_process_while_a_mail_goes_out_leaves_it_unknown(rig: Rig) -> None:
    """It ends between the end of the mail and the answer: the next process knows, and does not send it at once."""
    office = Office(rig)
    office.post("one")
    for tries in ([1], []):
        (record,) = rig.store.records(KIND)
        office.queue.at_risk(Mail(record.id, **record.body))  # as right before it went out; nothing else came of it
        again = Office(rig)
        again.now = again.began = office.now
        again.queue._mails = {one.id: Mail(one.id, **one.body) for one in rig.store.records(KIND)}
        again.failure = None if not tries else MailError("connect", "refused")
        again.until(HOUR + 60)
        assert [round(at / HOUR) for at, _ in again.tries] == tries
        office = again
    assert rig.store.records(KIND) == []
