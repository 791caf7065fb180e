"""How much a proof tries, by what chance, and what came of it."""

from __future__ import annotations

import json
import os
import random
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

SOAK = bool(os.environ.get("DOORWARD_SOAK"))
"""Whether this is the long form."""
OUTCOMES = Path(__file__).parents[2] / "build" / "soak.jsonl"


def tries(short: int, long: int) -> int:
    """Return how often something is tried: ``TRIES`` wins over both."""
    return int(os.environ.get("TRIES") or (long if SOAK else short))


def chance(row: str) -> random.Random:
    """Return a chance of a row's own. ``SEED`` repeats a run; else a soak takes a new one, and the tests always the same."""
    seed = os.environ.get("SEED") or (str(time.time_ns()) if SOAK else "1")
    print(f"SEED={seed}")  # noqa: T201 - what repeats a failure
    return random.Random(f"{row} {seed}")  # noqa: S311 - a chance that can be repeated


@dataclass
class Outcome:
    """What came of a row. ``figures`` are what was measured."""

    row: str
    tried: int
    figures: dict[str, float] = field(default_factory=dict)

    def keep(self) -> None:
        """Add it to the outcomes of soaks, with the load of the machine; the tests keep nothing."""
        if SOAK:
            OUTCOMES.parent.mkdir(exist_ok=True)
            more = {"at": time.strftime("%F %T", time.gmtime()), "load": os.getloadavg()[0]}
            with OUTCOMES.open("a") as file:
                file.write(json.dumps(asdict(self) | more) + "\n")


def percentile(values: list[float], part: float) -> float:
    """Return the value below which so large a part of the values lies; 0 of none."""
    return sorted(values)[min(len(values) - 1, int(part * len(values)))] if values else 0.0
