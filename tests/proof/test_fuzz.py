"""What is made up: no answer of 5xx, nothing logged as an error, no hang, and memory that stays."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.proof.boundaries import SOURCES
from tests.proof.effort import SOAK, Outcome, tries
from tests.proof.fuzz.__main__ import SHARES

GROWTH = 1.1
"""By how much memory may grow over the second half."""
ENOUGH = 20_000
"""From so many on memory is judged: less only fills caches."""


def test_nothing_that_is_made_up_is_a_fault_of_the_server(tmp_path: Path) -> None:
    count = tries(short=1000, long=1_000_000)
    seed = os.environ.get("SEED", "1")
    command = [sys.executable, "-m", "tests.proof.fuzz", str(count), str(tmp_path), seed]
    environment = {**os.environ, "PYTHONPATH": f"{SOURCES}:{SOURCES.parent}"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=SOURCES.parent)
    assert done.returncode == 0, f"SEED={seed}: {done.stderr[-3000:]}"
    told = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert [one["part"] for one in told] == list(SHARES)
    for one in told:
        assert one["faults"] == [], f"SEED={seed}"
        half, last = one["memory"][4], one["memory"][-1]
        if SOAK and one["tried"] >= ENOUGH:
            assert last <= half * GROWTH, one
        Outcome(f"fuzz: {one['part']}", one["tried"], {"a second": one["a second"], "half": half, "end": last}).keep()
