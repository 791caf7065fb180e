"""The time: as it is asked for, and as it is kept and shown, in UTC and whole seconds, such as ``2026-11-21T10:00:00Z``."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
"""Where Linux names the boot, since which its monotonic clock counts, for all processes alike."""


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


def stamp(at: datetime) -> str:
    """Return a time as a text."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def now() -> str:
    """Return the present time as a text."""
    return stamp(datetime.now(UTC))
