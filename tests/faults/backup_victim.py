"""Doorward that is killed with SIGKILL at a step of a backup run."""

from __future__ import annotations

import runpy
from pathlib import Path

from doorward.backup.parts import NodeParts
from doorward.backup.records import Log
from doorward.backup.targets import port
from doorward.backup.targets.rsync import RsyncDirectory
from tests.faults.named_trap import around


def _put(_target: port.Target, name: str, _content: Path) -> str:
    return "manifest" if name.endswith(".manifest") else "archive"


around(NodeParts, "prepare", lambda *_: "prepare")
around(RsyncDirectory, "put", _put)
around(NodeParts, "drill", lambda *_: "drill")
around(NodeParts, "clean_up", lambda *_: "clean_up")
around(Log, "save", lambda _log, kept: f"save {getattr(kept, 'status', 'drill')}")

runpy.run_path(str(Path(__file__).parents[1] / "support" / "launcher.py"), run_name="__main__")
