"""The bus: events reach their listeners from any thread, and the log."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from structlog.testing import capture_logs

from doorward.events.events import Event, Events
from doorward.events.tap import LogRecord, LogTap
from tests.support.server import until

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def events() -> Iterator[Events]:
    made = Events(clock=lambda: 12.0)
    yield made
    made.stop()


def test_an_event_reaches_every_listener_in_another_thread(events: Events) -> None:
    heard: list[tuple[str, Event, int]] = []

    def hear(name: str, event: Event) -> None:
        heard.append((name, event, threading.get_ident()))

    events.listeners += [partial(hear, "one"), partial(hear, "two")]
    events.start()
    with capture_logs() as logs:
        events.raise_("login", "jane logged in", "/api/authentication", user="jane")
    until(lambda: len(heard) == 2)
    event = heard[0][1]
    assert (event.key, event.id, event.text, event.path, event.at) == (
        "login", "xcbLogin", "jane logged in", "/api/authentication", 12.0,
    )  # fmt: skip
    assert event.details == {"user": "jane"}
    assert {thread for _, _, thread in heard}.isdisjoint({threading.get_ident()})
    assert logs == [
        {
            "event": "login", "id": "xcbLogin", "log_level": "info", "path": "/api/authentication", "text": "jane logged in",
            "user": "jane",
        }
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("key", "ended", "level"),
    [("login", False, "info"), ("login_failure", False, "warning"), ("disk_full", False, "warning"), ("disk_full", True, "info")],
)
def test_the_level_of_an_event_in_the_log(events: Events, key: str, ended: bool, level: str) -> None:
    with capture_logs() as logs:
        events.raise_(key, "x", ended=ended)
    assert [entry["log_level"] for entry in logs] == [level]


def test_what_was_raised_before_the_start_is_told_after_it(events: Events) -> None:
    heard: list[str] = []
    events.listeners.append(lambda event: heard.append(event.text))
    for number in range(100):
        events.raise_("error", str(number))
    events.start()
    events.stop()
    assert heard == [str(number) for number in range(100)]


def test_a_listener_that_fails_stops_neither_the_others_nor_itself(events: Events) -> None:
    heard: list[str] = []

    def failing(event: Event) -> None:
        raise RuntimeError(event.text)

    events.listeners += [failing, lambda event: heard.append(event.text)]
    events.start()
    events.raise_("login", "one")
    events.raise_("login", "two")
    until(lambda: heard == ["one", "two"])


@pytest.mark.parametrize(("level", "keys"), [("info", []), ("warning", []), ("error", ["error"]), ("critical", ["alert"])])
def test_records_of_level_error_and_critical_are_events(events: Events, level: str, keys: list[str]) -> None:
    heard: list[Event] = []
    events.listeners.append(heard.append)
    events.noticed(LogRecord(5.0, level, "commit failed", {"path": "/api/x", "reason": "no room"}))
    events.start()
    events.stop()
    assert [event.key for event in heard] == keys
    assert all((event.text, event.path, event.at) == ("commit failed", "/api/x", 5.0) for event in heard)


def test_an_error_while_telling_is_no_event_of_its_own(events: Events) -> None:
    heard: list[str] = []

    def complains(event: Event) -> None:
        heard.append(event.text)
        events.noticed(LogRecord(0.0, "error", "again", {}))

    events.listeners.append(complains)
    events.start()
    for text in ("once", "and the next one"):
        events.raise_("login", text)
        until(partial(heard.__contains__, text))
    assert heard == ["once", "and the next one"]


def logged(tap: LogTap) -> Any:
    """A logger that runs through the tap and writes nowhere."""

    def swallow(_logger: Any, _method: str, values: Any) -> str:
        return repr(values)

    return structlog.wrap_logger(structlog.ReturnLogger(), processors=[structlog.processors.add_log_level, tap, swallow])


def test_the_tap_hands_every_record_on_and_changes_none() -> None:
    tap, records = LogTap(), list[LogRecord]()
    log = logged(tap)
    assert log.info("quiet") == "{'event': 'quiet', 'level': 'info'}"
    tap.listeners.append(records.append)
    assert log.warning("host differs", path="/etc/x") == "{'path': '/etc/x', 'event': 'host differs', 'level': 'warning'}"
    [record] = records
    assert (record.level, record.name, record.fields) == ("warning", "host differs", {"path": "/etc/x"})


def test_of_an_exception_only_its_type_leaves() -> None:
    tap, records = LogTap(), list[LogRecord]()
    tap.listeners.append(records.append)
    try:
        raise KeyError("the secret")
    except KeyError:
        logged(tap).exception("it failed", exc_info=True)
    [record] = records
    assert (record.level, record.fields) == ("error", {"exception": "KeyError"})
    logged(tap).error("it failed", exception="Traceback: the secret", stack="the secret", stack_info=True)
    assert records[1].fields == {}
