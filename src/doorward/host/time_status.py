"""How the host's clock does, in the words of `GET /api/time_status`.

Plain values, and chrony's own figures turned into them.
"""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from msgspec import Struct

_NEVER: Final = 4294967295
"""chrony's age of a sample that does not exist (2^32 - 1)."""

_LEAP: Final = {"Normal": "normal", "Insert second": "insert_second", "Delete second": "delete_second"}
_STATE: Final = {"*": "selected", "+": "combined", "-": "not_combined", "x": "false_ticker", "~": "too_variable"}


class ClockStatus(Struct, frozen=True):
    """The clock: times are ISO 8601 UTC, offsets in seconds (positive = our clock is fast), None while not known."""

    time: str
    synchronised: bool = False
    leap: str = "unsynchronised"
    last_update: str | None = None
    offset_seconds: float | None = None
    root_delay_seconds: float | None = None
    root_dispersion_seconds: float | None = None
    stratum: int | None = None


class DaemonStatus(Struct, frozen=True):
    """The time daemon: `version` "" when it is not installed."""

    name: str
    running: bool
    version: str


class NtsStatus(Struct, frozen=True):
    """How a source authenticates itself by NTS.

    `cookies` it has left for us, bits of the agreed key (0: there is none), `attempts` to agree on keys since that worked last,
    and how many seconds ago that was (None: never). `reason` why it does not, None where it does or that is not known (yet).
    """

    is_authenticated: bool
    cookies: int = 0
    key_bits: int = 0
    attempts: int = 0
    agreed_seconds: int | None = None
    reason: str | None = None
    message: str | None = None


class SourceStatus(Struct, frozen=True):
    """One source; `selection` and `value` as configured, or for a foreign one as the daemon names it.

    Seconds; None before an answer. `nts` is None where the source is not meant to authenticate itself.
    """

    address: str | None
    selection: str
    value: str
    origin: str
    state: str
    reachability: int
    stratum: int | None
    poll_seconds: int | None
    last_sample_seconds: int | None
    offset_seconds: float | None
    error_bound_seconds: float | None
    nts: NtsStatus | None = None

    def as_dict(self) -> dict[str, Any]:
        """The source as it is shown: `nts` only where it means something."""
        body: dict[str, Any] = msgspec.to_builtins(self)
        return body if self.nts is not None else {name: value for name, value in body.items() if name != "nts"}


class ZoneStatus(Struct, frozen=True):
    """The host's time zone now."""

    name: str
    abbreviation: str
    utc_offset_seconds: int


class TimeStatus(Struct, frozen=True):
    """Everything about time on this host."""

    clock: ClockStatus
    daemon: DaemonStatus
    sources: tuple[SourceStatus, ...]
    timezone: ZoneStatus

    def as_dict(self) -> dict[str, Any]:
        """The JSON body of `GET /api/time_status`."""
        body: dict[str, Any] = msgspec.to_builtins(self)
        body["sources"] = [source.as_dict() for source in self.sources]
        return body


class SyncResult(Struct, frozen=True):
    """A finished synchronisation.

    By how many seconds the clock was moved (positive = forward), and the state after it.
    """

    stepped_seconds: float
    status: TimeStatus


def iso(moment: datetime) -> str:
    """ISO 8601 in UTC with whole seconds and Z."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def clock_status(tracking: list[str], sources: tuple[SourceStatus, ...]) -> ClockStatus:
    """From the fields of `chronyc -c tracking`.

    [0] reference id … [2] stratum, [3] last update, [4] offset, [10], [11] root, [13] leap.

    chrony counts the correction still to be made, positive when our clock is slow; here positive is fast.
    """
    now = iso(datetime.now(UTC))
    leap = _LEAP.get(tracking[13])
    synchronised = leap is not None and any(source.state == "selected" for source in sources)
    updated = float(tracking[3])
    if leap is None:
        return ClockStatus(time=now)
    return ClockStatus(
        time=now,
        synchronised=synchronised,
        leap=leap,
        last_update=iso(datetime.fromtimestamp(updated, UTC)) if updated else None,
        offset_seconds=-float(tracking[4]) or 0.0,
        root_delay_seconds=float(tracking[10]),
        root_dispersion_seconds=float(tracking[11]),
        stratum=int(tracking[2]),
    )


def source_status(fields: list[str], name: str, *, configured: bool, keys: list[str] | None = None) -> SourceStatus:
    """From the fields of one line of `chronyc -n -c sources`, and of its line of `authdata`.

    Mode, mark, address, stratum, poll, reach, age, offset, measured, ± bound.
    """
    address = fields[2] if is_address(fields[2]) else None
    # -c prints the reachability register in octal, as the text form does.
    reach, age = int(fields[5], 8), int(fields[6])
    sampled = age != _NEVER
    state = _STATE.get(fields[1])
    if address is None:
        state = "unresolved"
    elif state is None:
        state = "not_selectable" if reach else "unreachable"
    return SourceStatus(
        address=address,
        selection="ip" if is_address(name) else "fqdn",
        value=name,
        origin="configuration" if configured else "foreign",
        state=state,
        reachability=reach,
        stratum=int(fields[3]) or None,
        poll_seconds=None if address is None else round(2 ** int(fields[4])),
        last_sample_seconds=age if sampled else None,
        offset_seconds=float(fields[7]) if sampled else None,
        error_bound_seconds=float(fields[9]) if sampled else None,
        nts=_nts_status(keys) if keys is not None and keys[1] == "NTS" else None,
    )


def _nts_status(keys: list[str]) -> NtsStatus:
    bits, agreed, attempts, cookies = (int(keys[at]) for at in (4, 5, 6, 8))
    known = None if agreed == _NEVER else agreed
    return NtsStatus(bool(bits and cookies), cookies, bits, attempts, known)


def is_address(text: str) -> bool:
    """Whether `text` is an IPv4 or IPv6 address."""
    try:
        ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    return True
