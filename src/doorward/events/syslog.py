"""Log records in the forms of syslog: RFC 5424, and RFC 3164 for old receivers."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from typing import Any

from msgspec import Struct

from doorward import __version__
from doorward.events.tap import LogRecord
from doorward.tree.jsontext import encode

MAX_MESSAGE = 8192
"""Bytes of a message; what is longer is cut. Receivers take this much by default."""

_AUTHPRIV, _DAEMON = 10, 3
_ACCESS_AND_CHANGE = frozenset(
    {"config_change", "login", "login refused", "login_failure", "logout", "request", "request refused"},
)
_SEVERITIES = {"critical": 2, "error": 3, "warning": 4, "info": 6, "debug": 7}
_NOTICE = 5
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_NOT_A_NAME = re.compile(r"[^\x21-\x7e]")
_MAX_MSGID = 32


class Origin(Struct, frozen=True):
    """Where records come from: full name of the node, its time zone."""

    host: str
    zone: tzinfo = UTC
    process: int = os.getpid()


Form = Callable[[LogRecord, Origin], bytes]


def rfc5424(record: LogRecord, origin: Origin) -> bytes:
    """Return a record in the form of RFC 5424."""
    at = datetime.fromtimestamp(record.at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    name = _NOT_A_NAME.sub("", str(record.fields.get("id", "")))[:_MAX_MSGID] or "-"
    head = f"<{_priority(record)}>1 {at} {origin.host[:255]} doorward {origin.process} {name} "
    data = f'[origin software="doorward" swVersion="{__version__}"] '
    text = _text(record)
    mark = "" if text.isascii() else "\ufeff"  # tells a receiver that the text is UTF-8
    return _cut(head + data + mark + text)


def rfc3164(record: LogRecord, origin: Origin) -> bytes:
    """Return a record in the form of RFC 3164; its time is that of the node's zone."""
    at = datetime.fromtimestamp(record.at, origin.zone)
    month = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")[at.month - 1]
    host = origin.host.partition(".")[0]
    return _cut(f"<{_priority(record)}>{month} {at.day:2} {at:%H:%M:%S} {host} doorward[{origin.process}]: {_text(record)}")


FORMS: dict[str, Form] = {"rfc3164": rfc3164, "rfc5424": rfc5424}


def framed(message: bytes) -> bytes:
    """Return a message for a stream: octet counting, RFC 6587."""
    return b"%d %s" % (len(message), message)


def _priority(record: LogRecord) -> int:
    facility = _AUTHPRIV if record.name in _ACCESS_AND_CHANGE else _DAEMON
    return facility * 8 + _SEVERITIES.get(record.level, _NOTICE)


def _text(record: LogRecord) -> str:
    """Return what happened and the facts as ``name=value``, all on one line whatever they hold."""
    facts = [f"{_NOT_A_NAME.sub('_', name)}={_value(value)}" for name, value in record.fields.items() if value is not None]
    return _UNPRINTABLE.sub(" ", " ".join([record.name, *facts]))


def _value(value: Any) -> str:
    try:
        return encode(value).decode()
    except (TypeError, ValueError, UnicodeError):
        return encode(_UNPRINTABLE.sub(" ", str(value)).encode(errors="replace").decode()).decode()


def _cut(message: str) -> bytes:
    encoded = message.encode(errors="replace")
    return encoded if len(encoded) <= MAX_MESSAGE else encoded[:MAX_MESSAGE].decode(errors="ignore").encode()
