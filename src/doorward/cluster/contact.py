"""How it goes with Central Management, as a node that follows it remembers."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from doorward.tree.times import SystemClock


class Contact(Struct, frozen=True):
    """Times are Unix times. ``reason`` None: well."""

    attempt: float | None = None
    good: float | None = None
    reason: str | None = None
    since: float | None = None
    """Since when it has not answered."""
    moment: float | None = None
    """Of ``since``, or else of ``good``, by the clock that nobody sets."""

    def tried(self, clock: SystemClock) -> Contact:
        """Return what is known once it is asked."""
        return replace(self, attempt=clock.time())

    def well(self, clock: SystemClock) -> Contact:
        """Return what is known once it has answered."""
        now = clock.time()
        return Contact(now, now, moment=clock.monotonic())

    def badly(self, reason: str, clock: SystemClock) -> Contact:
        """Return what is known once it has not answered as it should; since when is kept."""
        since = self.since or self.good or self.attempt or clock.time()
        moment = clock.monotonic() if self.moment is None else self.moment
        return Contact(clock.time(), self.good, reason, since, moment)

    def lost_seconds(self, clock: SystemClock) -> float | None:
        """Return for how long it has not answered; None: it does."""
        return None if self.since is None or self.moment is None else clock.monotonic() - self.moment
