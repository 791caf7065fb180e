"""The time as the cluster sees it."""

from __future__ import annotations

import time


class Clock:
    """The clock of the machine; tests have others."""

    def time(self) -> float:
        """Return the Unix time, which an administrator or a time server may set back or forward."""
        return time.time()

    def monotonic(self) -> float:
        """Return the seconds since some moment; they go on one by one whatever becomes of the time of day."""
        return time.monotonic()
