"""Run a script in the network namespace of a process: PID SCRIPT [ARGUMENT...]."""

from __future__ import annotations

import runpy
import sys

from tests.support.network import enter

enter(int(sys.argv[1]))
sys.argv = sys.argv[2:]
runpy.run_path(sys.argv[0], run_name="__main__")
