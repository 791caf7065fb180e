"""Runs a module whose changes of the disk are written down by the shim, and notes where in the sources each of them is asked for.

``python tests/proof/sites.py LOG MODULE ARGUMENT...``; the notes stand in the log, ahead of what they are about.
"""

from __future__ import annotations

import functools
import os
import runpy
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.proof.boundaries import HELPERS
from tests.proof.disk_log import mark

_PASSED_OVER = {"Database._write"}


def site() -> str:
    """Return module and line of the nearest call in the sources that is no helper's."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        module = str(frame.f_globals.get("__name__", ""))
        if module.startswith("doorward.") and frame.f_code.co_qualname not in HELPERS | _PASSED_OVER:
            return f"{module}:{frame.f_lineno}"
        frame = frame.f_back
    return ""


def _noting(log: Path, owner: Any, name: str, about: Callable[..., str]) -> None:
    original = getattr(owner, name)

    @functools.wraps(original)
    def noted(*arguments: Any, **options: Any) -> Any:
        if found := site():
            mark(log, site=found, path=about(*arguments, **options))
        return original(*arguments, **options)

    setattr(owner, name, noted)


def _of_descriptor(descriptor: int) -> str:
    return str(Path(f"/proc/self/fd/{descriptor}").readlink())


def _renamed(_old: Any, new: Any, *, dst_dir_fd: int | None = None, **_options: Any) -> str:
    at = "" if dst_dir_fd is None else f"{_of_descriptor(dst_dir_fd)}/"
    return f"{at}{os.fspath(new)}"


class _Connection(sqlite3.Connection):
    """A connection whose commits are noted."""

    log: Path

    def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        if sql == "COMMIT" and (found := site()):
            path = next(file for _, name, file in super().execute("PRAGMA database_list") if name == "main")
            mark(self.log, site=found, path=f"{path}-wal")
        return super().execute(sql, *values)


def note(log: Path) -> None:
    """Begin to note."""
    _noting(log, os, "fsync", _of_descriptor)
    _noting(log, os, "fdatasync", _of_descriptor)
    _noting(log, os, "rename", _renamed)
    _noting(log, os, "replace", _renamed)
    _Connection.log = log
    setattr(sqlite3, "connect", functools.partial(sqlite3.connect, factory=_Connection))  # noqa: B010 - a type of its own


if __name__ == "__main__":
    note(Path(sys.argv[1]))
    module = sys.argv[2]
    sys.argv[:] = [module, *sys.argv[3:]]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
