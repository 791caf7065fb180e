"""The time: as it is asked for, and as it is kept and shown, in UTC and whole seconds, such as ``2026-11-21T10:00:00Z``."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
"""Where Linux names the boot, since which its monotonic clock counts, for all processes alike."""


_DOUBTED = timedelta(days=3)
"""By how much the time of day may go ahead between two of the daily deletions, one of which may have been missed."""


class SystemClock:
    """The clock of the machine; tests have others."""

    def time(self) -> float:
        """Return the Unix time, which an administrator or a time server may set back or forward."""
        return time.time()

    def monotonic(self) -> float:
        """Return the seconds since some moment; they go on one by one whatever becomes of the time of day."""
        return time.monotonic()

    def boot(self) -> str:
        """Return the name of the machine's boot, "" where it has none: monotonic times of one boot can be compared."""
        try:
            return BOOT_ID.read_text(encoding="ascii").strip()
        except OSError:
            return ""


def zone_named(name: str) -> tzinfo:
    """Return a time zone by its name; UTC where there is none of it."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return UTC


def stamp(at: datetime) -> str:
    """Return a time as a text."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def now() -> str:
    """Return the present time as a text."""
    return stamp(datetime.now(UTC))


def believed(now: datetime, before: datetime) -> datetime:
    """Return the time by which old things may be deleted. ``before`` is a day ago or more, such as the last time but one.

    A clock that is wrong by years makes everything old, and what is deleted stays deleted. So a step ahead counts for no more
    than some days until it has stood for a day; a machine that was off for long deletes a day later than it could.
    """
    return min(now, before + _DOUBTED)
