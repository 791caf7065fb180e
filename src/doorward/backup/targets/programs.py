"""Running a program of the machine to its end, or to the end of the attempt. Never through a shell, never with root's rights."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from msgspec import Struct

from doorward.backup.targets.attempt import TargetAttempt
from doorward.host import unprivileged

_TICK_SECONDS = 0.02
_GRACE_SECONDS = 0.5
_MAX_READ = 64 * 1024
"""Bytes of what a program says that are read."""
HOME = "/nonexistent"
"""The home directory of the programs: they have no settings of anybody's."""


class ProgramResult(Struct, frozen=True):
    """How a program ended: exit code (negative: a signal), and the beginning of what it said."""

    code: int
    out: str
    err: str


def need(attempt: TargetAttempt, *programs: str) -> None:
    """Raise ``program_absent`` unless all programs are installed, and what starts them without privileges."""
    if absent := [program for program in (*programs, "setpriv", "prlimit") if shutil.which(program) is None]:
        raise attempt.failed("program_absent", "Looking for programs", f"{' and '.join(absent)} not installed")


def environment() -> dict[str, str]:
    """Return next to no environment."""
    return {"PATH": os.environ.get("PATH", os.defpath), "HOME": HOME, "LC_ALL": "C", "TZ": "UTC0"}


def run(  # noqa: PLR0913 - the limits have defaults
    attempt: TargetAttempt,
    doing: str,
    command: Sequence[str],
    directory: Path,
    *,
    out: IO[bytes] | None = None,
    max_file: int = unprivileged.MAX_FILE,
    watch: Callable[[], None] | None = None,
    privileged: bool = False,
) -> ProgramResult:
    """Run a program in a directory. Raises ``cancelled`` and ``timeout``, and what ``watch`` raises, which is called all along.

    ``out`` takes what it says on its standard output, else the beginning of that is returned. ``max_file``: bytes that it may
    write into one file, what it says among them. ``privileged``: with all rights that this process has.
    """
    attempt.check(doing)
    whole = list(command) if privileged else unprivileged.command(command, max_file)
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as err:
        process = subprocess.Popen(
            whole, cwd=directory, env=environment(), stdin=subprocess.DEVNULL, stdout=out or said, stderr=err,
            umask=0o077, start_new_session=True, restore_signals=False,
        )  # fmt: skip
        try:
            while process.poll() is None:
                attempt.check(doing)
                if watch is not None:
                    watch()
                with suppress(subprocess.TimeoutExpired):
                    process.wait(_TICK_SECONDS)
        finally:
            end(process)
        return ProgramResult(process.returncode, _read(said), _read(err))


def _read(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read(_MAX_READ).decode("utf-8", "replace")


def end(process: subprocess.Popen[bytes]) -> None:
    """Leave no process of the group behind. One that ended by itself may have a child that still has something to say."""
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
    until = time.monotonic() + _GRACE_SECONDS
    with suppress(ProcessLookupError):
        while time.monotonic() < until:
            process.poll()
            os.killpg(process.pid, 0)
            time.sleep(_TICK_SECONDS)
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
