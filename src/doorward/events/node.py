"""What mails and records say of the node that they come from."""

from __future__ import annotations

from datetime import datetime, tzinfo

from doorward.configuration.datetime import timezone
from doorward.configuration.management import email
from doorward.configuration.network import naming
from doorward.tree.snapshot import Snapshot
from doorward.tree.times import zone_named


def hostname(snapshot: Snapshot) -> str:
    """Return the name of the node without its domain."""
    return snapshot.read(naming.NODE).hostname


def full_name(snapshot: Snapshot) -> str:
    """Return the name of the node with its domain, if it has one."""
    node = snapshot.read(naming.NODE)
    return ".".join(part for part in (node.hostname, node.domainname) if part)


def sender(snapshot: Snapshot) -> str:
    """Return who mails come from."""
    return snapshot.read(email.NODE).sender_address or f"doorward@{full_name(snapshot)}"


def zone(snapshot: Snapshot) -> tzinfo:
    """Return the time zone of the node."""
    return zone_named(snapshot.read(timezone.NODE))


def local_time(snapshot: Snapshot, at: float) -> str:
    """Return a Unix time for people: date, time, offset, name of the zone."""
    return f"{datetime.fromtimestamp(at, zone(snapshot)):%Y-%m-%d %H:%M:%S %z} ({snapshot.read(timezone.NODE)})"
