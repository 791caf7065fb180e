"""Running a program of the machine to its end, or to the end of the attempt. Never through a shell."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from doorward.backup.targets.attempt import Attempt

_TICK_SECONDS = 0.02
_GRACE_SECONDS = 0.5
_MOST_BYTES = 16 * 1024 * 1024
"""What a program may say; a server that lists more has no directory of ours."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended: exit code (negative: a signal), and what it said."""

    code: int
    out: str
    err: str


def need(attempt: Attempt, *programs: str) -> None:
    """Raise ``program_absent`` unless all programs are installed."""
    if absent := [program for program in programs if shutil.which(program) is None]:
        raise attempt.failed("program_absent", "Looking for programs", f"{' and '.join(absent)} not installed")


def run(attempt: Attempt, doing: str, command: Sequence[str], directory: Path) -> Ended:
    """Run a program in a directory of ours, with next to no environment. Raises ``cancelled`` and ``timeout``."""
    attempt.check(doing)
    environment = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(directory), "LC_ALL": "C", "TZ": "UTC0"}
    files = [directory / "out", directory / "err"]
    with files[0].open("wb") as out, files[1].open("wb") as err:
        process = subprocess.Popen(
            command, cwd=directory, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
            umask=0o077, start_new_session=True,
        )  # fmt: skip
        try:
            while process.poll() is None:
                attempt.check(doing)
                if max(file.stat().st_size for file in files) > _MOST_BYTES:
                    raise attempt.failed("server_busy", doing, "the server says far too much")
                with suppress(subprocess.TimeoutExpired):
                    process.wait(_TICK_SECONDS)
        finally:
            _end(process)
    said = [file.read_text(encoding="utf-8", errors="replace") for file in files]
    return Ended(process.returncode, said[0], said[1])


def _end(process: subprocess.Popen[bytes]) -> None:
    """Leave no process of the group behind. One that ended by itself may have a child that still has something to say."""
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
    end = time.monotonic() + _GRACE_SECONDS
    with suppress(ProcessLookupError):
        while time.monotonic() < end:
            process.poll()
            os.killpg(process.pid, 0)
            time.sleep(_TICK_SECONDS)
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
