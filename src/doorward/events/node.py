"""What mails and records say of the node that they come from."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from doorward.configuration.management import email
from doorward.tree.snapshot import Snapshot

_NAMING = "/api/configuration/network/naming"
_ZONE = "/api/configuration/datetime/timezone"


def hostname(snapshot: Snapshot) -> str:
    """Return the name of the node without its domain."""
    return str(snapshot.value(_NAMING)["hostname"])


def full_name(snapshot: Snapshot) -> str:
    """Return the name of the node with its domain, if it has one."""
    value = snapshot.value(_NAMING)
    return ".".join(part for part in (value["hostname"], value["domainname"]) if part)


def sender(snapshot: Snapshot) -> str:
    """Return who mails come from."""
    return str(snapshot.value(email.PATH)["sender_address"] or f"doorward@{full_name(snapshot)}")


def zone(snapshot: Snapshot) -> tzinfo:
    """Return the time zone of the node."""
    try:
        return ZoneInfo(snapshot.value(_ZONE))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return UTC


def local_time(snapshot: Snapshot, at: float) -> str:
    """Return a Unix time for people: date, time, offset, name of the zone."""
    return f"{datetime.fromtimestamp(at, zone(snapshot)):%Y-%m-%d %H:%M:%S %z} ({snapshot.value(_ZONE)})"
