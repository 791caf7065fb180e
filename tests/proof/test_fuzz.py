"""What is made up: no answer of 5xx, nothing logged as an error, no hang, and memory that stays."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

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
    told: list[str] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=SOURCES.parent) as process:
        assert process.stdout
        for line in process.stdout:
            if line.startswith("{"):
                one = json.loads(line)
                told.append(one["part"])
                judge(one, seed)
    assert (process.returncode, told) == (0, list(SHARES)), f"SEED={seed}: what failed stands above"


def judge(one: dict[str, Any], seed: str) -> None:
    """Look at what came of a part, and keep it, whatever becomes of the others."""
    assert one["faults"] == [], f"SEED={seed}"
    half, last = one["memory"][4], one["memory"][-1]
    Outcome(f"fuzz: {one['part']}", one["tried"], {"a second": one["a second"], "half": half, "end": last}).keep()
    if SOAK and one["tried"] >= ENOUGH:
        assert last <= half * GROWTH, one
