"""What a disk refused is not there after a kill that follows at once; where nobody can know, that is said."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

from tests.proof.boundaries import SOURCES
from tests.proof.effort import Outcome
from tests.proof.shim import Shim


def test_a_refused_write_is_never_there_and_an_undecided_one_is_called_so(tmp_path: Path) -> None:
    shim = Shim(tmp_path, tmp_path / "disk")
    shim.root.mkdir()
    command = [sys.executable, "-m", "tests.proof.refused_writes", str(shim.root)]
    environment = {**os.environ, **shim.environment, "PYTHONPATH": f"{SOURCES}:{SOURCES.parent}"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=SOURCES.parent)
    assert done.returncode == 0, done.stderr[-3000:]
    tried = [json.loads(line) for line in done.stdout.splitlines()]
    found = Counter((one["what"], one["times"], one["said"], one["there"]) for one in tried)
    known = {("untouched", True), ("done", True), ("refused", False), ("undecided", True), ("undecided", False)}
    assert {(said, there) for what, _, said, there in found if what == "record"} <= known
    # The disk took all of a transaction and refused its sync: once, so that it is written over; for good, so that nobody can.
    assert found["record", 1, "undecided", True] == 0
    assert found["record", -1, "undecided", True] == 1
    # A session is refused in any case. A row of one that never was is there in the second case alone.
    assert found["session", 1, "refused", True] == 0
    assert found["session", -1, "refused", True] <= 1
    for what in ("record", "session"):
        assert found[what, 1, "untouched", True] == found[what, -1, "untouched", True] == 1
    Outcome("disk: writes that are refused, and a kill at once", len(tried)).keep()
