"""Rows of sessions that need not be read again: those that are open, and those that were closed last."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, NamedTuple

from doorward.sessions.catalogue.rows import SessionRow

MAX_CLOSED: Final = 256
"""Rows that are remembered though they are closed: something may be told of a session a moment after its end."""


class KnownRow(NamedTuple):
    """A row, its id, and whether a recovery closed it."""

    number: int
    row: SessionRow
    recovered: bool


class KnownRows:
    """Rows by the keys of their sessions. Belongs to one thread."""

    def __init__(self) -> None:
        self._open: dict[str, KnownRow] = {}
        self._closed: dict[str, KnownRow] = {}
        """Who came first is the first to go."""

    def find(self, key: str) -> KnownRow | None:
        """Return a row that is known."""
        return self._open.get(key) or self._closed.get(key)

    def remember(self, key: str, known: KnownRow) -> None:
        """Take a row, or what became of it."""
        if known.row.ended is None:
            self._open[key] = known
            return
        self._open.pop(key, None)
        self._closed[key] = known
        while len(self._closed) > MAX_CLOSED:
            del self._closed[next(iter(self._closed))]

    def forget(self, ids: Collection[int]) -> None:
        """Let go of rows that were deleted."""
        for rows in (self._open, self._closed):
            for key in [key for key, known in rows.items() if known.number in ids]:
                del rows[key]

    def clear(self) -> None:
        """Let go of all: some of them may not be what is kept."""
        self._open.clear()
        self._closed.clear()
