"""Half an hour of everything at once: memory, descriptors, threads and the logs of SQLite stay what they were."""

from __future__ import annotations

import statistics
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.proof.effort import SOAK, Outcome, tries
from tests.proof.mixed_load import Look, business
from tests.support.members import LEFT_OPEN

pytestmark = pytest.mark.filterwarnings(LEFT_OPEN)

LOOKS = 30 if SOAK else 1
"""How often is looked at what it takes; the first third fills caches and pools of threads."""
GROWTH = 1.1
ROOM = {"memory": 2000, "descriptors": 8, "threads": 4, "logs": 1000}
"""What may be more at any time: connections that are about to close, a thread of a pool, pages."""


def test_what_is_done_all_day_leaves_nothing_behind(tmp_path: Path) -> None:
    """In short only that all of it goes on beside each other: what is left behind shows after many turns."""
    seconds = tries(short=0, long=1800)
    looks: list[Look] = []
    with business(tmp_path) as everything:
        for number in range(LOOKS):
            everything.go_on(seconds / LOOKS)
            looks.append(everything.look())
            print(number + 1, dict(everything.done), asdict(looks[-1]), file=sys.stderr, flush=True)  # noqa: T201 - how far it is
        for member in (everything.central, everything.host):
            assert not [line for line in member.server.errors if "internal" in line]
        done = everything.done
    figures = {"seconds": float(seconds), **{f"{what} done": float(often) for what, often in done.items()}}
    for what, more in ROOM.items():
        for name in sorted(getattr(looks[-1], what)):
            before, after = middle(looks, what, name), end(looks, what, name)
            figures |= {f"{what} of {name} before": before, f"{what} of {name} after": after}
            assert after <= before * GROWTH + more, (what, name, [getattr(look, what).get(name) for look in looks])
    assert set(done) == {"back_up", "commit", "read", "try_out", "work"}
    Outcome("mixed load", sum(done.values()), figures).keep()


def middle(looks: list[Look], what: str, name: str) -> float:
    """Return the median of a figure over the second third."""
    return median(looks[len(looks) // 3 : 2 * len(looks) // 3 + 1], what, name)


def end(looks: list[Look], what: str, name: str) -> float:
    """Return the median of a figure over the last third."""
    return median(looks[2 * len(looks) // 3 :], what, name)


def median(looks: list[Look], what: str, name: str) -> float:
    return float(statistics.median(found.get(name, 0) for found in (getattr(look, what) for look in looks)))
