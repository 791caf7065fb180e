"""Doorward that is killed with SIGKILL at a step of a backup run: the one that the file ``BACKUP_TRAP`` names, once."""

from __future__ import annotations

import functools
import os
import runpy
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from doorward.backup.parts import NodeParts
from doorward.backup.records import Log
from doorward.backup.targets import port
from doorward.backup.targets.rsync import RsyncDirectory

_TRAP = Path(os.environ["BACKUP_TRAP"])


def step(name: str) -> None:
    """Die if it is the one."""
    if _TRAP.exists() and _TRAP.read_text() == name:
        _TRAP.unlink()
        os.kill(os.getpid(), signal.SIGKILL)
        threading.Event().wait()  # the signal is on its way


def around(owner: Any, name: str, what: Callable[..., str]) -> None:
    """Put a step ahead of a function and one behind it."""
    original = getattr(owner, name)

    @functools.wraps(original)
    def stepped(*arguments: Any, **options: Any) -> Any:
        described = what(*arguments)
        step(f"before {described}")
        result = original(*arguments, **options)
        step(f"after {described}")
        return result

    setattr(owner, name, stepped)


def _put(_target: port.Target, name: str, _content: Path) -> str:
    return "manifest" if name.endswith(".manifest") else "archive"


around(NodeParts, "prepare", lambda *_: "prepare")
around(RsyncDirectory, "put", _put)
around(NodeParts, "drill", lambda *_: "drill")
around(NodeParts, "clean_up", lambda *_: "clean_up")
around(Log, "save", lambda _log, kept: f"save {getattr(kept, 'status', 'drill')}")

runpy.run_path(str(Path(__file__).parents[1] / "support" / "launcher.py"), run_name="__main__")
