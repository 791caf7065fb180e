"""Makes lines for the index out of a screen: what went out of sight, and what stands on it for a while, each line once."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator
from typing import Final

LOOK_EVERY: Final = 10_000
"""Milliseconds between two looks at a screen that stands."""
_MAX_KNOWN: Final = 1_000
"""Lines that are remembered, so that they are not told again."""
BUDGET: Final = 4 << 20
"""Characters of lines that a channel may give at once."""
REFILL: Final = 8
"""Characters that come back in a millisecond. Who fills the index with noise pays with lines that are missing in it, not here."""


class Budget:
    """How much of something may pass: a stock, which fills up again with time."""

    def __init__(self, stock: int, refill: int) -> None:
        self._stock = self._left = stock
        self._refill, self._at = refill, 0

    def take(self, at: int, amount: int) -> bool:
        """Take an amount, if there is so much left. ``at`` in milliseconds."""
        self._left = min(self._stock, self._left + (at - self._at) * self._refill)
        self._at = at
        if amount > self._left:
            return False
        self._left -= amount
        return True


class ScreenText:
    """The lines of one terminal."""

    def __init__(self) -> None:
        self._told: Counter[str] = Counter()
        self._known: OrderedDict[str, None] = OrderedDict()
        self._budget = Budget(BUDGET, REFILL)
        self._looked = 0
        self._last = ""
        self.skipped = 0
        """Lines that were too many for the index."""

    def gone(self, at: int, lines: Iterable[str]) -> Iterator[str]:
        """Yield what is new of lines that went out of sight. A line many times in a row counts once."""
        for line in lines:
            if not line or line == self._last:
                continue
            self._last = line
            if self._told.get(line, 0):
                self._told[line] -= 1
                if not self._told[line]:
                    del self._told[line]
            elif self._budget.take(at, len(line)):
                yield line
            else:
                self.skipped += 1

    def is_due(self, at: int) -> bool:
        """Whether it is time to look at the screen."""
        return at - self._looked >= LOOK_EVERY

    def standing(self, at: int, lines: Iterable[str], *, scrolls: bool = True) -> Iterator[str]:
        """Yield what is new on the screen. ``scrolls``: these lines will go out of sight one day, and are then known."""
        self._looked = at
        for line in lines:
            if not line:
                continue
            if line in self._known:
                self._known.move_to_end(line)
                continue
            if not self._budget.take(at, len(line)):
                self.skipped += 1
                continue
            self._known[line] = None
            if scrolls:
                self._told[line] += 1
            while len(self._known) > _MAX_KNOWN:
                forgotten, _ = self._known.popitem(last=False)
                self._told.pop(forgotten, None)
            yield line
