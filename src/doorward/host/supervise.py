"""A child process that is kept running.

It is started in its own session, restarted with back-off, logged, and ended cleanly.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Final

import structlog

from doorward.host.errors import HostError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_FIRST_PAUSE: Final = 0.2
_MAX_PAUSE: Final = 30.0
_STOP_SECONDS: Final = 3.0
_ALARMING: Final = ("could not", "fatal", "error", "failed", "wrong", "disabled command socket")

_log = structlog.stdlib.get_logger(__name__)


def find_program(name: str) -> str | None:
    """The absolute path of a program; also looks where an ordinary user's PATH does not ("/usr/sbin")."""
    search = [os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/bin", "/bin"]
    return shutil.which(name, path=os.pathsep.join(part for part in search if part))


class Child:
    """One supervised program.

    `start` and `stop` may be called from any thread. The process is made by one thread that lives as long as the
    supervision, because the kernel's parent-death signal is tied to the thread that forked, not to the process.
    """

    def __init__(self, name: str, argv: Sequence[str], *, before: Callable[[], None] | None = None) -> None:
        """`argv` is the command; `before` runs ahead of every start (removing stale files).

        `name` is for logs and messages.
        """
        self.name = name
        self._argv = _tied(argv)
        self._before = before
        self._lock = Lock()
        self._ending = Event()
        self._thread: Thread | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Process id while the child runs, else None."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def start(self) -> None:
        """Begin to keep it running; returns at once. A child in its back-off pause is tried again now."""
        if self._thread is not None and self.pid is None:
            self.stop()
        with self._lock:
            if self._thread is None:
                self._ending = Event()
                self._thread = Thread(target=self._keep, args=(self._ending,), name=f"supervise-{self.name}", daemon=True)
                self._thread.start()

    def stop(self) -> None:
        """End it: SIGTERM, after 3 s SIGKILL, to its whole process group; returns when it is gone."""
        with self._lock:
            thread, self._thread = self._thread, None
            if thread is None:
                return
            self._ending.set()
        end = time.monotonic() + _STOP_SECONDS
        self._signal(signal.SIGTERM)
        thread.join(max(0.0, end - time.monotonic()))
        if thread.is_alive():
            self._signal(signal.SIGKILL)
            thread.join(_STOP_SECONDS)

    def _signal(self, number: signal.Signals) -> None:
        pid = self.pid
        if pid is not None:
            try:
                os.killpg(pid, number)
            except ProcessLookupError:
                return

    def _keep(self, ending: Event) -> None:
        pause = _FIRST_PAUSE
        while not ending.is_set():
            began = time.monotonic()
            code = self._once(ending)
            if ending.is_set():
                return
            if time.monotonic() - began > _MAX_PAUSE:
                pause = _FIRST_PAUSE
            _log.warning("child process ended", child=self.name, code=code, restart_in_seconds=pause)
            ending.wait(pause)
            pause = min(pause * 2, _MAX_PAUSE)

    def _once(self, ending: Event) -> int | None:
        try:
            if self._before is not None:
                self._before()
            process = subprocess.Popen(
                self._argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except (OSError, HostError) as error:
            _log.warning("child process not started", child=self.name, reason=str(error))
            return None
        self._process = process
        reader = Thread(target=self._read, args=(process,), name=f"log-{self.name}", daemon=True)
        reader.start()
        if ending.is_set():
            # stop() came between the decision to start and the process: it saw nothing to signal.
            process.terminate()
        code = process.wait()
        reader.join(1.0)
        return code

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        if process.stdout is None:
            return
        with process.stdout as stream:
            for raw in stream:
                line = raw.decode(errors="replace").strip()
                alarming = any(word in line.lower() for word in _ALARMING)
                (_log.warning if alarming else _log.debug)("child_says", child=self.name, line=line)


def _tied(argv: Sequence[str]) -> list[str]:
    """The command, wrapped so that the kernel kills the child when we die without a chance to.

    Where there is no setpriv it is the bare command: a later start then ends what is left by its pid file.
    """
    setpriv = find_program("setpriv")
    return [setpriv, "--pdeathsig", "KILL", "--", *argv] if setpriv else list(argv)


def end_stale(pid_file: Path, ours: Callable[[list[str]], bool]) -> None:
    """Clear the way for a start.

    End the process named in `pid_file` when `ours` says yes to its command line, then remove the file.

    The file goes in any case: a daemon refuses to start while the number in it exists, be it a zombie's or, after a
    reboot, a stranger's.
    """
    try:
        pid = int(pid_file.read_text(encoding="ascii").strip())
    except FileNotFoundError:
        return
    except (OSError, ValueError):
        pid = 0
    if pid > 1 and ours(_command(pid)):
        _log.warning("stale process ended", pid=pid)
        _end(pid, ours)
    pid_file.unlink(missing_ok=True)


def _end(pid: int, ours: Callable[[list[str]], bool]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return
        except PermissionError as error:
            raise HostError(f"process {pid} of an earlier run is in the way and belongs to another user") from error
        end = time.monotonic() + _STOP_SECONDS
        while time.monotonic() < end:
            # Asked by command line, not by number: a zombie or a reused number is no longer ours.
            if not ours(_command(pid)):
                return
            time.sleep(0.01)


def _command(pid: int) -> list[str]:
    try:
        raw = Path("/proc", str(pid), "cmdline").read_bytes()
    except OSError:
        return []
    return [part.decode(errors="surrogateescape") for part in raw.split(b"\0") if part]
