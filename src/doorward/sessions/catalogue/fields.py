"""The fields that sessions can be searched, sorted and counted by, under their names on the wire, and where the tables have them.

Names and meanings as far as known from the model (see ``docs/contract``). What this node never knows is no field.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from enum import StrEnum
from typing import Final

from msgspec import Struct


class FieldKind(StrEnum):
    """What the values of a field are."""

    TEXT = "text"
    """Compared as a whole, whatever the case."""
    NUMBER = "number"
    ADDRESS = "address"
    """An IP address; networks can be asked for."""
    TIME = "time"
    FLAG = "flag"


class Field(Struct, frozen=True):
    """A field. ``sql`` is an expression over the table of sessions that every engine understands."""

    name: str
    kind: FieldKind
    sql: str
    about: str


class ValueUnfitError(Exception):
    """A value that is none of its field; the message says what is."""


_TEXT, _NUMBER, _ADDRESS, _TIME, _FLAG = FieldKind.TEXT, FieldKind.NUMBER, FieldKind.ADDRESS, FieldKind.TIME, FieldKind.FLAG

_ALL = (
    Field("active", _FLAG, "CASE WHEN ended IS NULL THEN 1 ELSE 0 END", "Whether the session goes on."),
    Field("client.ip", _ADDRESS, "client_ip", "Address of the client."),
    Field("client.name", _TEXT, "CASE client_name WHEN '' THEN client_ip ELSE client_name END", "Name of the client."),
    Field("client.port", _NUMBER, "client_port", "Port of the client."),
    Field("creation_time", _TIME, "began", "When the row was made."),
    Field("duration", _NUMBER, "duration", "Seconds that the session took."),
    Field("end_time", _TIME, "ended", "When it ended."),
    Field("hidden", _FLAG, "0", "Always false."),
    Field("node_id", _TEXT, "node", "The node that recorded it."),
    Field("origin", _TEXT, "'RECORDING'", "Always RECORDING."),
    Field("phantom", _FLAG, "0", "Always false."),
    Field("protocol", _TEXT, "protocol", "Such as SSH."),
    Field("recording.archived", _FLAG, "is_archived", "Whether the trail is in the archive."),
    Field("recording.auth_method", _TEXT, "auth_method", "How the user logged in."),
    Field("recording.channel_policy", _TEXT, "channel_policy", "Name of the channel policy."),
    Field("recording.command_extracted", _FLAG, "has_commands", "Whether commands are in the index."),
    Field("recording.connection_policy", _TEXT, "policy", "Name of the connection policy, as it was."),
    Field("recording.connection_policy_id", _TEXT, "policy_key", "Key of the connection policy."),
    Field("recording.content_reference_id", _NUMBER, "id", "Counts the sessions of this node."),
    Field("recording.deny_reason", _TEXT, "reason", "Why it ended, where that was not of its own accord."),
    Field("recording.has_accepted_channel", _FLAG, "has_accepted_channel", "Whether a channel was allowed."),
    Field("recording.index_status", _TEXT, "index_status", "INDEXING, INDEXED or NOT_INDEXED."),
    Field("recording.server_local.ip", _ADDRESS, "local_ip", "The gateway's address towards the server."),
    Field("recording.server_local.name", _TEXT, "CASE local_name WHEN '' THEN local_ip ELSE local_name END", "Its name."),
    Field("recording.server_local.port", _NUMBER, "local_port", "The gateway's port towards the server."),
    Field("recording.session_id", _TEXT, "session_id", "The id that logs show."),
    Field("recording.target.ip", _ADDRESS, "target_ip", "The address that the client connected to."),
    Field("recording.target.name", _TEXT, "CASE target_name WHEN '' THEN target_ip ELSE target_name END", "Its name."),
    Field("recording.target.port", _NUMBER, "target_port", "The port that the client connected to."),
    Field("recording.verdict", _TEXT, "verdict", "How it ended."),
    Field("recording.window_title_extracted", _FLAG, "has_titles", "Whether titles of windows are in the index."),
    Field("server.id", _ADDRESS, "server_ip", "Address of the server."),
    Field("server.ip", _ADDRESS, "server_ip", "Address of the server."),
    Field("server.name", _TEXT, "CASE server_name WHEN '' THEN server_ip ELSE server_name END", "Name of the server."),
    Field("server.port", _NUMBER, "server_port", "Port of the server."),
    Field("start_time", _TIME, "began", "When it began."),
    Field("user.gateway_username", _TEXT, "gateway_user", "The user at the gateway."),
    Field("user.id", _TEXT, '"user"', "Who it was."),
    Field("user.name", _TEXT, '"user"', "Who it was: the user at the gateway, else that on the server."),
    Field("user.server_username", _TEXT, "server_user", "The user on the server."),
    Field("verdict", _TEXT, "verdict", "ACCEPT, AUTH_FAIL, FAIL or TERMINATED."),
)
FIELDS: Final[Mapping[str, Field]] = {field.name: field for field in _ALL}

_WORDS = {"true": 1, "false": 0}
_RELATIVE = re.compile(r"now(?:([+-])(\d{1,6})([smhdw]))?\Z")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_FRACTION = re.compile(r"\.(\d{6})\d+")


def value_of(field: Field, text: str, zone: tzinfo, *, upper: bool = False) -> int | str:
    """Return what a text stands for as a value of a field; times are of a zone. Raises ValueUnfitError.

    ``upper``: the text ends a range, so that a day or an hour counts to its end.
    """
    match field.kind:
        case FieldKind.FLAG:
            if (flag := _WORDS.get(text.lower())) is None:
                raise ValueUnfitError("must be true or false")
            return flag
        case FieldKind.NUMBER:
            if not re.fullmatch(r"-?\d{1,18}", text, re.ASCII):
                raise ValueUnfitError("must be a number")
            return int(text)
        case FieldKind.TIME:
            return moment(text, zone, upper=upper)
        case FieldKind.ADDRESS:
            with_zone = text.partition("%")[0]
            try:
                return str(ipaddress.ip_address(with_zone))
            except ValueError:
                return text
        case FieldKind.TEXT:
            return text


def moment(text: str, zone: tzinfo, *, upper: bool = False) -> int:
    """Return a time as ms since 1970: ISO 8601, a day, or ``now`` with a distance, such as ``now-7d``. Raises ValueUnfitError.

    ``upper``: the last millisecond of a day or minute that is not told more precisely.
    """
    if found := _RELATIVE.match(text):
        sign, count, unit = found.groups()
        at = datetime.now(UTC)
        if sign:
            distance = timedelta(**{_UNITS[unit]: int(count)})
            at = _moved(at, distance if sign == "+" else -distance)
        return _milliseconds(at)
    try:
        at = datetime.fromisoformat(_FRACTION.sub(r".\1", text))
    except ValueError:
        raise ValueUnfitError("must be a time such as 2026-11-21, 2026-11-21T10:00:00Z or now-7d") from None
    if at.tzinfo is None:
        at = at.replace(tzinfo=zone)
    return _milliseconds(at) + (_width(text) if upper else 0)


def _moved(at: datetime, distance: timedelta) -> datetime:
    try:
        return at + distance
    except OverflowError:
        raise ValueUnfitError("is out of all time") from None


def _milliseconds(at: datetime) -> int:
    try:
        return round(at.timestamp() * 1000)
    except (OverflowError, ValueError):
        raise ValueUnfitError("is out of all time") from None


_DAY, _MINUTE, _SECOND = 86_400_000 - 1, 60_000 - 1, 1000 - 1


def _width(text: str) -> int:
    """Return how many milliseconds a time goes on that is not told more precisely."""
    clock = text.replace(" ", "T").partition("T")[2]
    if not clock:
        return _DAY
    if "." in clock:
        return 0
    return _SECOND if clock.count(":") >= 2 and len(clock) >= 8 else _MINUTE  # noqa: PLR2004 - HH:MM:SS
