"""The two forms of a syslog message, byte for byte."""

from __future__ import annotations

from datetime import UTC
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from doorward import __version__
from doorward.events.syslog import MAX_MESSAGE, Origin, framed, rfc3164, rfc5424
from doorward.events.tap import LogRecord

ORIGIN = Origin("doorward1.example.com", ZoneInfo("Europe/Budapest"), 42)
AT = 1795255200.25  # 2026-11-21 10:00:00.25 UTC


def record(name: str = "serving", level: str = "info", **fields: Any) -> LogRecord:
    return LogRecord(AT, level, name, fields)


def test_rfc5424() -> None:
    login = record("login", id="xcbLogin", text="jane logged in", user="jane", nothing=None)
    assert rfc5424(login, ORIGIN).decode() == (
        f'<86>1 2026-11-21T10:00:00.250000Z doorward1.example.com doorward 42 xcbLogin [origin software="doorward" '
        f'swVersion="{__version__}"] login id="xcbLogin" text="jane logged in" user="jane"'
    )


def test_rfc5424_without_id() -> None:
    assert b" doorward 42 - [origin " in rfc5424(record(), ORIGIN)


def test_rfc3164_is_in_the_zone_of_the_node() -> None:
    assert rfc3164(record("mail sent", mail="1"), ORIGIN) == b'<30>Nov 21 11:00:00 doorward1 doorward[42]: mail sent mail="1"'
    early = LogRecord(1793520000.0, "info", "x", {})
    assert rfc3164(early, Origin("h", UTC, 1)).startswith(b"<30>Nov  1 08:00:00 h doorward[1]: x")


@pytest.mark.parametrize(
    ("name", "level", "priority"),
    [
        ("login", "info", 10 * 8 + 6),
        ("login_failure", "warning", 10 * 8 + 4),
        ("config_change", "info", 10 * 8 + 6),
        ("request", "info", 10 * 8 + 6),
        ("serving", "info", 3 * 8 + 6),
        ("disk_full", "warning", 3 * 8 + 4),
        ("commit failed", "error", 3 * 8 + 3),
        ("host state unknown", "critical", 3 * 8 + 2),
    ],
)
def test_access_and_changes_have_the_facility_authpriv_the_rest_daemon(name: str, level: str, priority: int) -> None:
    for form in (rfc3164, rfc5424):
        assert form(record(name, level), ORIGIN).startswith(b"<%d>" % priority)


@pytest.mark.parametrize("form", [rfc3164, rfc5424])
def test_a_record_stays_one_line_whatever_it_holds(form: Any) -> None:
    odd: dict[str, Any] = {"x y\n": ["\n", {"k": "\n"}]}
    message = form(record("a\nb", text="one\r\n<0>1 two\x00\x1b[0m\u2028", **odd), ORIGIN)
    text = message.decode()
    assert text.isprintable()
    assert "x_y_=" in text


@pytest.mark.parametrize("value", [object(), {1: object()}, b"\xff", "\ud800", float("nan"), {"a": {2, 3}}])
def test_values_of_any_kind_can_be_sent(value: Any) -> None:
    for form in (rfc3164, rfc5424):
        assert b" x=" in form(record(x=value), ORIGIN)


def test_text_beyond_ascii_is_marked_as_utf8() -> None:
    assert b'"] \xef\xbb\xbfserving user="\xc3\x96d\xc3\xb6n"' in rfc5424(record(user="Ödön"), ORIGIN)
    assert b"\xef\xbb\xbf" not in rfc5424(record(user="jane"), ORIGIN)


def test_a_long_record_is_cut_between_characters() -> None:
    for filler in ("é", "€", "x"):
        message = rfc5424(record(text=filler * MAX_MESSAGE), ORIGIN)
        assert MAX_MESSAGE - 4 < len(message) <= MAX_MESSAGE
        message.decode()


def test_octet_counting() -> None:
    assert framed("é".encode()) == b"2 \xc3\xa9"
