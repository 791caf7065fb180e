"""Questions to the network that nobody waits for: asked in the background, remembered for a minute."""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from threading import Lock, Thread
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

_THREADS: Final = 16
_FRESH_SECONDS: Final = 60.0
_REMEMBERED: Final = 256

K = TypeVar("K", bound="Hashable")
R = TypeVar("R")


class BackgroundProber(Generic[K, R]):
    """Probes in the background: `start` and `known` never wait. At most 16 run at a time, the rest queue."""

    def __init__(self, ask: Callable[[K], R]) -> None:
        """`ask` blocks for a bounded time and never raises."""
        self._ask = ask
        self._lock = Lock()
        self._waiting: deque[K] = deque()
        self._busy: set[K] = set()
        self._results: OrderedDict[K, tuple[float, R]] = OrderedDict()
        self._threads = 0

    def start(self, key: K) -> None:
        """Begin a probe unless one of the last 60 s is known or under way."""
        with self._lock:
            if key in self._busy or self._fresh(key) is not None:
                return
            self._busy.add(key)
            self._waiting.append(key)
            if self._threads < _THREADS:
                self._threads += 1
                # Daemon threads: a resolver that hangs must not hold up the end of the process.
                Thread(target=self._work, name="probe", daemon=True).start()

    def known(self, key: K) -> R | None:
        """The result of the last 60 s, None while there is none."""
        with self._lock:
            return self._fresh(key)

    def _fresh(self, key: K) -> R | None:
        found = self._results.get(key)
        return found[1] if found is not None and time.monotonic() - found[0] < _FRESH_SECONDS else None

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._threads -= 1
                    return
                key = self._waiting.popleft()
            result = self._ask(key)
            with self._lock:
                self._busy.discard(key)
                self._results[key] = (time.monotonic(), result)
                self._results.move_to_end(key)
                while len(self._results) > _REMEMBERED:
                    self._results.popitem(last=False)
