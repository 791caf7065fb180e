"""Results that stay as they were while somebody pages through them: lists of ids, in memory, for some minutes."""

from __future__ import annotations

import dataclasses
import secrets
import threading
import time
from array import array
from collections.abc import Callable, Mapping
from typing import Final

from msgspec import Struct, field

LIFETIME: Final = 300.0
"""Seconds that a snapshot lives, and that each query adds."""
MAX_LIFETIME: Final = 3600.0
"""Seconds that it has left, at most, however much is asked for."""
MAX_OF_ACCOUNT: Final = 10
MAX_SNAPSHOTS: Final = 100
MAX_QUERIES: Final = 4
"""Different queries of one snapshot."""
MAX_IDS: Final = 1_000_000
"""Sessions in one result."""


class SnapshotResult(Struct, frozen=True):
    """Sessions in order, by their ids. Where there are several nodes, ``holders`` tells of each by its place in ``nodes``."""

    ids: array[int]
    holders: array[int] = field(default_factory=lambda: array("H"))
    nodes: tuple[str, ...] = ("",)
    away: tuple[tuple[str, str], ...] = ()
    """Nodes of which nothing is in it: id and name."""

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.ids)

    def part(self, offset: int, limit: int) -> list[tuple[str, int]]:
        """Return a page: the node that has each session, "" being this one, and its id there."""
        ids = self.ids[offset : offset + limit]
        holders = self.holders[offset : offset + limit] or [0] * len(ids)
        return [(self.nodes[holder], number) for holder, number in zip(holders, ids, strict=True)]


class SnapshotQuotaError(Exception):
    """There are as many snapshots as there may be. ``seconds``: after which the first of them ends."""

    def __init__(self, seconds: int) -> None:
        self.seconds = seconds
        super().__init__(f"wait {seconds} s")


@dataclasses.dataclass(slots=True)
class _Snapshot:
    account: str
    client: str
    ends: float
    last: Mapping[str, int]
    """The id of the last session that was there, of each node; "" is this one."""
    results: dict[str, SnapshotResult] = dataclasses.field(default_factory=dict)


class Snapshots:
    """The snapshots of a node, each for the account that asked for it. Safe in any thread. ``clock`` never goes back."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._all: dict[str, _Snapshot] = {}
        self._lock = threading.Lock()

    def open(self, account: str, client: str, last: Mapping[str, int]) -> str:
        """Return the name of a snapshot of the sessions up to an id of each node. Raises SnapshotQuotaError.

        One that nobody used yet is handed out again to the same account at the same client, brought up to date.
        """
        with self._lock:
            now = self._expire()
            for name, unused in self._all.items():
                if (unused.account, unused.client) == (account, client) and not unused.results:
                    unused.ends, unused.last = now + LIFETIME, last
                    return name
            own = [one.ends for one in self._all.values() if one.account == account]
            if len(own) >= MAX_OF_ACCOUNT or len(self._all) >= MAX_SNAPSHOTS:
                ends = min(own if len(own) >= MAX_OF_ACCOUNT else [one.ends for one in self._all.values()])
                raise SnapshotQuotaError(int(ends - now) + 1)
            name = secrets.token_urlsafe(24)
            self._all[name] = _Snapshot(account, client, now + LIFETIME, last)
            return name

    def use(self, name: str, account: str) -> Mapping[str, int] | None:
        """Return the ids of the last sessions of a snapshot, which lives on a little; None: there is none of the account."""
        with self._lock:
            now = self._expire()
            found = self._all.get(name)
            if found is None or found.account != account:
                return None
            found.ends = min(found.ends + LIFETIME, now + MAX_LIFETIME)
            return found.last

    def result(self, name: str, query: str) -> SnapshotResult | None:
        """Return the result of a query that was kept."""
        with self._lock:
            found = self._all.get(name)
            return None if found is None else found.results.get(query)

    def keep(self, name: str, query: str, result: SnapshotResult) -> None:
        """Keep the result of a query; the oldest one goes where there are too many."""
        with self._lock:
            if (found := self._all.get(name)) is not None:
                while len(found.results) >= MAX_QUERIES:
                    del found.results[next(iter(found.results))]
                found.results[query] = result

    def _expire(self) -> float:
        now = self._clock()
        for name in [name for name, one in self._all.items() if one.ends <= now]:
            del self._all[name]
        return now
