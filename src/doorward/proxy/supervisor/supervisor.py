"""The supervisor of the workers: a process of its own, never a child of control, that keeps as many of them as there are cores.

It is the zygote too: it has imported everything, has one thread and no event loop, and a fork of it is a worker in two
milliseconds. It looks after workers by descriptors of their processes, also after those that another supervisor left when it
died. It ends when it is told (SIGTERM, or `ending.stop`), or when one of its directories vanishes, and takes the workers with it.
"""

from __future__ import annotations

import fcntl
import gc
import os
import secrets
import selectors
import signal
import socket
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import structlog

from doorward.host.notify import notify
from doorward.proxy.local_sockets import StrangerError, check_peer, dial, listen
from doorward.proxy.worker import crashed, process
from doorward.proxy.worker.process import WorkerSettings

LOOK_SECONDS: Final = 1.0
END_SECONDS: Final = 20.0
"""How long workers may take to end."""
MAX_PAUSE: Final = 10.0
"""Seconds before another worker is started, where they die as soon as they live."""

log = structlog.get_logger()


class AlreadyRunningError(Exception):
    """Another supervisor looks after these places."""


@dataclass(slots=True)
class _Worker:
    name: str
    pid: int
    descriptor: int
    is_child: bool
    began: float = field(default_factory=time.monotonic)


class Supervisor:
    """Keeps ``count`` workers alive."""

    def __init__(self, settings: WorkerSettings, count: int) -> None:
        self._settings, self._count = settings, count
        self._places = settings.places
        self._workers: dict[int, _Worker] = {}
        self._selector = selectors.DefaultSelector()
        self._is_stopping = False
        self._ready: int | None = None
        self._pause = 0.0
        self._next = 0.0
        self._lock = os.open(self._places.lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise AlreadyRunningError(str(self._places.sockets)) from None
        self._stands = self._places.stand()
        self._listener = listen(self._places.supervisor)
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._wakeup = socket.socketpair()
        for end in self._wakeup:
            end.setblocking(False)  # noqa: FBT003 - the name says it
        self._selector.register(self._wakeup[0], selectors.EVENT_READ)

    def run(self, ready: int | None = None) -> None:
        """Keep workers until told to stop. ``ready``: a descriptor to write to once they run."""
        signal.set_wakeup_fd(self._wakeup[1].fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._told)
        self._settings.protocols()  # has imported what sessions need: workers have it from their first moment
        self._ready = ready
        self._adopt()
        self._recover()
        gc.collect()
        gc.freeze()
        self._fill()
        if ready is not None:
            os.write(ready, b"ready\n")
            os.close(ready)
            self._ready = None
        notify("READY=1")
        log.info("workers run", count=len(self._workers))
        while not self._is_stopping and self._places.stand() == self._stands:
            for key, _ in self._selector.select(LOOK_SECONDS):
                self._look(key.fileobj)
            self._fill()
        self._end()

    def _told(self, number: int, frame: object) -> None:
        del number, frame
        self._is_stopping = True

    def _look(self, found: object) -> None:
        if found is self._wakeup[0]:
            with suppress(BlockingIOError):
                self._wakeup[0].recv(4096)
        elif found is self._listener:
            self._greet()
        elif isinstance(found, int):
            self._bury(found)

    def _greet(self) -> None:
        """Take a connection, which tells nothing but who is here: whoever wants the end of it sends a signal."""
        with suppress(OSError):
            connection, _ = self._listener.accept()
            connection.close()

    def _adopt(self) -> None:
        """Find the workers that live already; remove the sockets of those that don't."""
        for name, path in self._places.workers().items():
            try:
                with dial(path) as connection:
                    pid = check_peer(connection)
                    self._watch(_Worker(name, pid, os.pidfd_open(pid), is_child=False))
            except (OSError, StrangerError):
                path.unlink(missing_ok=True)

    def _watch(self, worker: _Worker) -> None:
        self._workers[worker.descriptor] = worker
        self._selector.register(worker.descriptor, selectors.EVENT_READ)

    def _bury(self, descriptor: int) -> None:
        """Take the death of a worker, or of a recovery."""
        worker = self._workers.pop(descriptor)
        self._selector.unregister(descriptor)
        os.close(descriptor)
        code = os.waitstatus_to_exitcode(os.waitpid(worker.pid, 0)[1]) if worker.is_child else None
        if self._is_stopping:
            return
        self._places.socket(worker.name).unlink(missing_ok=True)
        if code == 0:
            log.info("worker ended", worker=worker.name)
            return
        log.error("worker died", worker=worker.name, code=code)
        quick = time.monotonic() - worker.began < LOOK_SECONDS
        self._pause = min(MAX_PAUSE, max(0.1, 2 * self._pause)) if quick else 0.0
        self._next = time.monotonic() + self._pause
        self._recover()

    def _recover(self) -> None:
        """Bring the trails of dead workers to their last safe frame, in a child: its memory goes with it."""
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                crashed.recover_all(self._places.trails)
                code = 0
            except OSError as error:
                log.error("recovery failed", reason=error.strerror, file=error.filename)
            finally:
                os._exit(code)
        os.waitpid(pid, 0)

    def _fill(self) -> None:
        """Start workers until there are enough."""
        while len(self._workers) < self._count and not self._is_stopping and time.monotonic() >= self._next:
            name = f"w{secrets.token_hex(4)}"
            pid = os.fork()
            if pid == 0:
                self._become(name)
            self._watch(_Worker(name, pid, os.pidfd_open(pid), is_child=True))

    def _become(self, name: str) -> None:
        """Be a worker from here on. Does not return."""
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_DFL)
            self._selector.close()
            for worker in self._workers.values():
                os.close(worker.descriptor)
            for end in (*self._wakeup, self._listener):
                end.close()
            os.close(self._lock)
            if self._ready is not None:
                os.close(self._ready)
            process.run(name, self._settings)
            code = 0
        except Exception as error:  # noqa: BLE001 - a worker that can't start says why and is tried again
            log.error("worker failed", worker=name, error=type(error).__name__, reason=str(error))
        finally:
            os._exit(code)

    def _end(self) -> None:
        """End all workers, by force those that take too long."""
        self._is_stopping = True
        notify("STOPPING=1")
        for number, seconds in ((signal.SIGTERM, END_SECONDS), (signal.SIGKILL, END_SECONDS)):
            for descriptor in self._workers:
                with suppress(ProcessLookupError):
                    signal.pidfd_send_signal(descriptor, number)
            end = time.monotonic() + seconds
            while self._workers and time.monotonic() < end:
                for key, _ in self._selector.select(LOOK_SECONDS):
                    self._look(key.fileobj)
        with suppress(OSError):
            self._recover()  # of those that had to be killed
        self._places.supervisor.unlink(missing_ok=True)
        os.close(self._lock)
