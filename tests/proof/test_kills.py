"""kill -9 at thousands of random moments while clients commit. Those at every named step are in tests/faults: ``make kills``."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from tests.faults.at_any_time import kill_at_any_time
from tests.faults.victim import Victim
from tests.proof.effort import Outcome, chance, tries

EACH = 200
"""So many kills of one server: each looks at its whole history, which grows."""


def test_kills_at_random_moments_lose_no_acknowledged_commit(tmp_path: Path) -> None:
    dice, count = chance("kills"), tries(short=2, long=10_000)
    began, awaited = time.monotonic(), 0
    for first in range(0, count, EACH):
        directory = tmp_path / f"from-{first}"
        directory.mkdir()
        victim = Victim(directory)
        try:
            for number in range(first, min(first + EACH, count)):
                awaited += kill_at_any_time(victim, dice)
                if (number + 1) % 100 == 0:
                    print(number + 1, awaited, f"{time.monotonic() - began:.0f} s", flush=True)  # noqa: T201
        finally:
            victim.stop()
        # Kept where a check failed, since then nobody gets here.
        shutil.rmtree(directory)
    Outcome("kills", count, {"commits_awaited": awaited, "seconds": time.monotonic() - began}).keep()
