"""Against guessing: too many refused logins from one address block logins from it for a while (protocol, section 7.7)."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable

from doorward.configuration.aaa.settings import Protection
from doorward.listening.sources import source_of
from doorward.tree.models import Off

_MAX_SOURCES = 50_000


class Guard:
    """Counts refused logins by source. ``settings`` returns ``bruteforce_protection`` of ``aaa/settings`` as it is now."""

    def __init__(self, settings: Callable[[], Protection | Off], clock: Callable[[], float] = time.monotonic) -> None:
        self._settings, self._clock = settings, clock
        self._failures: dict[str, deque[float]] = {}
        self._blocked: dict[str, tuple[float, float]] = {}
        """Since when and until when; a time that was made shorter meanwhile counts."""

    def blocked_for(self, address: str) -> int:
        """Return for how many more seconds logins from an address are blocked; 0: they are not."""
        source, settings = source_of(address), self._settings()
        block = self._blocked.get(source)
        if block is None:
            return 0
        since, until = block
        left = min(until, since + settings.block_seconds) - self._clock() if isinstance(settings, Protection) else 0
        if left <= 0:
            del self._blocked[source]
            return 0
        return math.ceil(left)

    def failed(self, address: str) -> None:
        """Count a refused login."""
        settings = self._settings()
        if not isinstance(settings, Protection) or self.blocked_for(
            address
        ):  # what was under way when the block began does not count
            return
        source, now = source_of(address), self._clock()
        times = self._failures.setdefault(source, deque())
        times.append(now)
        while times[0] <= now - settings.window_seconds:
            times.popleft()
        if len(times) >= settings.failures:
            self._blocked[source] = now, now + settings.block_seconds
            del self._failures[source]
        if len(self._failures) > _MAX_SOURCES or len(self._blocked) > _MAX_SOURCES:
            self._forget(now - settings.window_seconds)

    def _forget(self, before: float) -> None:
        """Forget sources that no longer count; when all do, those that came first."""
        self._failures = {source: times for source, times in self._failures.items() if times[-1] > before}
        self._blocked = {source: block for source, block in self._blocked.items() if block[1] > self._clock()}
        for sources in (self._failures, self._blocked):
            while len(sources) > _MAX_SOURCES:
                del sources[next(iter(sources))]
