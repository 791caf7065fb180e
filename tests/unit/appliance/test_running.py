"""What a process of a node does besides serving."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.support.waiting import PATIENCE

SCRIPT = """
import gc, os, signal, sys
from pathlib import Path
from doorward.cli import lean

def say(line):
    if "is ready" in line:
        print("ready", gc.isenabled(), gc.get_freeze_count() > 50_000)
        os.kill(os.getpid(), signal.SIGTERM)

with lean.start():
    from doorward.appliance import Options, run
    run(Options(Path(sys.argv[1]), port=0, wizard=True), say)
"""


def test_a_node_that_is_ready_looks_for_garbage_again_but_not_among_what_its_start_made(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "state")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=PATIENCE)
    assert "ready True True" in done.stdout.splitlines()
