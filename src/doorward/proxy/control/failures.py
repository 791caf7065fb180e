"""Against guessing at the gateway: refused logins block their address, as at the API, and slow down tries for their user.

A user is never locked out, which anybody could bring about; whoever tries for one that many have tried for waits a few seconds.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

from doorward.access.guard import Guard

MAX_USERS = 50_000
WINDOW_SECONDS = 600.0
FREE = 10
"""So many failures in the window cost nobody any time."""
MAX_WAIT = 5.0
FLOOR_SECONDS, MAX_PAUSE = 1.0, 8.0
"""Seconds that a refusal takes, whatever it was about, so that its time tells nothing; each further one takes twice as long."""


class Failures:
    """Counts refused logins. ``guard`` does so by address. Lives in the event loop; ``clock`` is monotonic."""

    def __init__(self, guard: Guard, clock: Callable[[], float] = time.monotonic) -> None:
        self._guard, self._clock = guard, clock
        self._users: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def blocked_for(self, address: str) -> int:
        """Return for how many more seconds logins from an address are blocked; 0: they are not."""
        return self._guard.blocked_for(address)

    def failed(self, address: str, user: str) -> None:
        """Count a refused login."""
        self._guard.failed(address)
        self._users[user] = self._count(user) + 1, self._clock()
        self._users.move_to_end(user)
        while len(self._users) > MAX_USERS:
            self._users.popitem(last=False)

    def wait_for(self, user: str) -> float:
        """Return how many seconds a try for a user has to wait before it is looked at."""
        count = self._count(user)
        return 0.0 if count < FREE else min(MAX_WAIT, count / FREE)

    def _count(self, user: str) -> int:
        count, last = self._users.get(user, (0, 0.0))
        return count if self._clock() - last < WINDOW_SECONDS else 0


def pause(tries: int, elapsed: float) -> float:
    """Return how much longer a refusal waits that is the so-many-th of its connection and took so long to find."""
    return max(0.0, min(MAX_PAUSE, FLOOR_SECONDS * 2.0 ** (tries - 1)) - elapsed)
