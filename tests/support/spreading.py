"""Spreads tests over processes that are forked when all tests have been found: finding them takes longer than most files of them.

A worker takes the next file when it is through with one, so that the fixtures of a module are made once. What it reports comes
back through a pipe, and is told to pytest as if it had happened here.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import selectors
import signal
import struct
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.support.server import WORKER_VARIABLE

_FILE = struct.Struct("<I")
"""How the number of a file is written, in a pipe that the workers share: a small read of a pipe is never torn."""
_MAX_FILES = 4096 // _FILE.size
"""As many as any pipe holds."""


@dataclass
class Worker:
    """A forked process: what it told and nobody has read yet, and the test that it is at."""

    pid: int
    unread: bytes = b""
    running: str | None = None


@dataclass(eq=False)  # pytest keeps plugins in sets
class Teller:
    """Tells the first process what happens in this one, a line of JSON for each."""

    config: pytest.Config
    pipe: int

    def tell(self, kind: str, value: Any) -> None:
        """Write a line, whole."""
        line = json.dumps([kind, value]).encode() + b"\n"
        while line:
            line = line[os.write(self.pipe, line) :]

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Say which test begins."""
        self.tell("begins", nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Say how a phase of it went."""
        self.tell("report", self.config.hook.pytest_report_to_serializable(config=self.config, report=report))

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """Say that it is over."""
        self.tell("ends", nodeid)

    def pytest_warning_recorded(self, warning_message: warnings.WarningMessage, when: str, nodeid: str) -> None:
        """Say what it was warned of; what was said while tests were found is known."""
        if when == "runtest":
            self.tell("warning", [str(warning_message.message), nodeid, warning_message.filename, warning_message.lineno])


@dataclass(eq=False)
class Spread:
    """The plugin, for so many workers."""

    count: int
    workers: dict[int, Worker] = field(default_factory=dict)
    """By the pipe of each."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        """Run all tests in workers; returns in each of them as well, whose session ends like any other."""
        if session.testsfailed or session.config.option.collectonly:
            return None
        files = [list(group) for _, group in itertools.groupby(session.items, lambda item: item.path)]
        assert len(files) <= _MAX_FILES, "so many files do not fit into a pipe"
        assert threading.active_count() == 1, "a fork would lose a thread"
        files_left, fill = os.pipe()
        os.write(fill, b"".join(map(_FILE.pack, range(len(files)))))
        os.close(fill)
        session.config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined]
        for number in range(self.count):
            reads, writes = os.pipe()
            pid = os.fork()
            if pid == 0:
                _settle(session.config, number, writes)
                for each in (reads, *self.workers):
                    os.close(each)
                return _work(session, files, files_left)
            os.close(writes)
            self.workers[reads] = Worker(pid)
        try:
            self._listen(session)
        finally:
            ends = self._end()
            os.close(files_left)
        if set(ends) - {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}:
            raise session.Failed(f"the processes that ran the tests ended with {ends}")
        return True

    def _listen(self, session: pytest.Session) -> None:
        """Tell pytest what the workers tell, until all have ended."""
        left = {item.nodeid: item for item in session.items}
        with selectors.DefaultSelector() as selector:
            for pipe in self.workers:
                selector.register(pipe, selectors.EVENT_READ)
            while selector.get_map():
                for key, _ in selector.select():
                    worker, told = self.workers[key.fd], os.read(key.fd, 1 << 20)
                    if not told:
                        selector.unregister(key.fd)
                        if worker.running:
                            _report(session, left.pop(worker.running), "the process that ran it has ended")
                    *lines, worker.unread = (worker.unread + told).split(b"\n")
                    for line in lines:
                        self._hear(session, worker, left, *json.loads(line))
                if session.shouldfail:
                    raise session.Failed(session.shouldfail)
                if session.shouldstop:
                    raise session.Interrupted(session.shouldstop)
        for item in left.values():
            _report(session, item, "nobody ran it")

    def _hear(self, session: pytest.Session, worker: Worker, left: dict[str, pytest.Item], kind: str, value: Any) -> None:
        """Pass on one thing that a worker told."""
        config = session.config
        if kind == "begins":
            worker.running = value
        elif kind == "report":
            if isinstance(value["longrepr"], list):
                value["longrepr"] = tuple(value["longrepr"])  # where something was skipped; JSON has lists alone
            report = config.hook.pytest_report_from_serializable(config=config, data=value)
            config.hook.pytest_runtest_logreport(report=report)
        elif kind == "warning":
            text, nodeid, file, line = value
            message = warnings.WarningMessage(UserWarning(text), UserWarning, file, line)
            said = {"warning_message": message, "when": "runtest", "nodeid": nodeid, "location": None}
            config.hook.pytest_warning_recorded.call_historic(kwargs=said)
        else:
            worker.running = None
            del left[value]
            config.hook.pytest_runtest_logfinish(nodeid=value, location=("", None, ""))

    def _end(self) -> list[int]:
        """Interrupt the workers that have not ended, as somebody at a terminal does; return the exit codes of all."""
        for pipe, worker in self.workers.items():
            os.close(pipe)
            with suppress(ProcessLookupError):
                os.kill(worker.pid, signal.SIGINT)
        return [os.waitstatus_to_exitcode(os.waitpid(worker.pid, 0)[1]) for worker in self.workers.values()]


def _report(session: pytest.Session, item: pytest.Item, why: str) -> None:
    """Report the failure of a test that could not report itself."""
    report = pytest.TestReport(item.nodeid, item.location, {}, "failed", f"{item.nodeid}: {why}", "call")
    session.config.hook.pytest_runtest_logreport(report=report)


def _settle(config: pytest.Config, number: int, pipe: int) -> None:
    """Be a process of its own: with a number, directories, chance and captured output; it prints nothing."""
    os.environ[WORKER_VARIABLE] = str(number)
    random.seed()
    factory = config._tmp_path_factory  # type: ignore[attr-defined]
    factory._basetemp = factory.getbasetemp() / f"w{number}"
    factory._basetemp.mkdir(mode=0o700)
    captured: Any = config.pluginmanager.getplugin("capturemanager")
    captured.stop_global_capturing()
    captured.start_global_capturing()
    captured.suspend_global_capture()
    config.pluginmanager.unregister(name="terminalreporter")
    config.pluginmanager.register(Teller(config, pipe))


def _work(session: pytest.Session, files: list[list[pytest.Item]], files_left: int) -> bool:
    """Run the tests of one file after the other, as long as some are left."""
    for item, following in _with_following(lambda: _next(files, files_left)):
        session.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if session.shouldfail or session.shouldstop:
            break
    return True


def _next(files: list[list[pytest.Item]], files_left: int) -> list[pytest.Item]:
    """Take a file; empty when none is left."""
    number = os.read(files_left, _FILE.size)
    return files[_FILE.unpack(number)[0]] if number else []


def _with_following(take: Callable[[], list[pytest.Item]]) -> Iterator[tuple[pytest.Item, pytest.Item | None]]:
    """Yield each test with the one that follows. A file is taken when the last test of the one before begins, not sooner."""
    items = take()
    while items:
        yield from itertools.pairwise(items)
        last, items = items[-1], take()
        yield last, items[0] if items else None
