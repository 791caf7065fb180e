"""When copies on the node are looked through: the start times of the archive policies that are in use."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from doorward.archiving.policies import UsedPolicy
from doorward.backup.schedule import dues
from doorward.configuration.datetime import timezone
from doorward.host.resources import Job
from doorward.store.port import Store
from doorward.store.records import Records
from doorward.tree.jsontext import prepared
from doorward.tree.snapshot import Snapshot

LOOK_BACK: Final = timedelta(days=1)
"""How old a start time may be to be made up for."""


@prepared
@dataclass(frozen=True, slots=True)
class PolicyMemory:
    """When the copies of a policy were last looked through. ``id`` is its key."""

    id: str
    at: datetime


class StartTimes:
    """The start times of the policies, and when each was last served; kept in the store."""

    def __init__(self, store: Store) -> None:
        self._kept = Records(store, "archive_cleanup", PolicyMemory)
        self._last: dict[str, datetime] = {}

    def is_due(self, used: UsedPolicy, snapshot: Snapshot, now: datetime) -> bool:
        """Whether a start time has passed that was not served. One that is new counts from now on."""
        if used.key not in self._last:
            found = self._kept.get(used.key)
            if found is None:
                self.served(used, now)
            else:
                self._last[used.key] = found.at
        last = min(self._last[used.key], now)
        return bool(dues(_job(used, snapshot), max(last, now - LOOK_BACK), now))

    def served(self, used: UsedPolicy, now: datetime) -> None:
        """Note that the copies of a policy were looked through."""
        self._last[used.key] = now
        self._kept.put(PolicyMemory(used.key, now))


def _job(used: UsedPolicy, snapshot: Snapshot) -> Job:
    return Job(f"archive {used.key}", tuple(sorted(used.policy.start_times)), snapshot.read(timezone.NODE), used.key)
