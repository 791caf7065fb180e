"""Server processes on a core of their own, and the core that is left for the load."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

START_SECONDS = 60.0
STOP_SECONDS = 20.0


def cores() -> tuple[int, int]:
    """Return the core of the servers and the core of the load; the same one on a machine that has no second."""
    usable = sorted(os.sched_getaffinity(0))
    return usable[0], usable[min(1, len(usable) - 1)]


class Program:
    """A process pinned to the core of the servers. Its log goes to ``log``, and so does its output unless it is piped."""

    def __init__(
        self, command: Sequence[str], core: int, log: Path, environment: Mapping[str, str] | None = None, *, piped: bool = False
    ) -> None:
        self._log = log
        with log.open("ab") as file:
            self.process = subprocess.Popen(
                ["taskset", "--cpu-list", str(core), *command],
                env={**os.environ, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if piped else file,
                stderr=file,
                text=True,
            )

    def failure(self, what: str) -> RuntimeError:
        """Return the error that says what is wrong, with the end of the log."""
        return RuntimeError(f"{what}: {self.process.args!r}\n{self._log.read_text(errors='replace')[-2000:]}")

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Wait until the server answers. Raises RuntimeError when it ends or takes too long."""
        end = time.monotonic() + START_SECONDS
        while not condition():
            if self.process.poll() is not None or time.monotonic() > end:
                self.stop()
                raise self.failure("did not start")
            time.sleep(0.01)

    def stop(self) -> None:
        """End the process, by force if it does not follow."""
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that nobody uses."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def missing(programs: Sequence[str]) -> list[str]:
    """Return the programs that are not installed."""
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"))
    return [program for program in programs if shutil.which(program, path=path) is None]
