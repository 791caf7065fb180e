"""Starts servers by forking: a process that has imported Doorward, and for each server a child of its own.

Most of what a start costs is imports, and the tests start several hundred servers. A forked one is a real process, with a
session, a working directory, an environment and pipes of its own. Its command line and its first environment are those of the
parent, so is its network namespace, and its password hashes, though argon2id, take no time: tests of such things start their
server plainly.
"""

from __future__ import annotations

import atexit
import fcntl
import functools
import gc
import importlib
import json
import os
import pkgutil
import runpy
import select
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from tests.support.waiting import until

ROOT = Path(__file__).parents[2]
UNMEASURED = {"COVERAGE_PROCESS_CONFIG": "", "COVERAGE_PROCESS_START": ""}
"""A process with this environment measures no coverage: what is killed writes none, and measuring takes time."""
IMPORTED = (
    "argon2", "coverage", "doorward.appliance.running", "doorward.cli.logging", "encodings.ascii", "encodings.idna", "httpcore2",
    "httptools", "inotify_simple", "pyroute2", "truststore", "typer._adapters", "typer._click.decorators", "uvicorn.lifespan.off",
    "uvloop", "tests.support.network",
)  # fmt: skip
"""What servers and commands import, sooner or later."""
_LARGEST = 1 << 20
_STREAMS = 4
"""Standard input, output and error, and where the end is reported."""
_SHIM = Path(__file__).with_name("forked.py")


class Ended:
    """How a process ends that the zygote forked, as ``subprocess.Popen`` shows it of one that was executed."""

    def __init__(self, pid: int, report: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._report = report
        self._lock = threading.Lock()

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end; returns the exit code, or the negative number of the signal. Raises TimeoutExpired."""
        with self._lock:
            if self.returncode is None:
                if not select.select([self._report], [], [], timeout)[0]:
                    raise subprocess.TimeoutExpired(["doorward"], timeout or 0)
                self.returncode = int(os.read(self._report, 16))
                os.close(self._report)
            return self.returncode

    def poll(self) -> int | None:
        """Return how it ended, None while it runs."""
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """kill -9."""
        self.send_signal(signal.SIGKILL)


class Forked(Ended):
    """A process whose output is read here."""

    def __init__(self, pid: int, report: int, stdout: IO[str], stderr: IO[str]) -> None:
        super().__init__(pid, report)
        self.stdout, self.stderr = stdout, stderr


class Zygote:
    """The process that forks. It ends with this one. ``commands``: a directory with a ``doorward`` that it runs.

    Processes that are forked from this one share it.
    """

    def __init__(self) -> None:
        self._owner = self._user = os.getpid()
        self.commands = Path(tempfile.mkdtemp(prefix="zygote"))
        shim = self.commands / "doorward"
        shim.write_text(f"#!{sys.executable} -IS\n{_SHIM.read_text()}")
        shim.chmod(0o700)
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for end in (self._control, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _LARGEST)
        environment = {**os.environ, **UNMEASURED}
        with theirs:
            command = [sys.executable, "-m", "tests.support.zygote", str(self.commands / "zygote")]
            self._process = subprocess.Popen(command, env=environment, cwd=ROOT, stdin=theirs.fileno())
        self._lock = threading.Lock()
        atexit.register(self._end)

    def _end(self) -> None:
        self._control.close()
        if os.getpid() != self._owner:
            self._process.returncode = 0  # not a child of this process, which else complains that it runs
            return
        self._process.wait()
        shutil.rmtree(self.commands)

    def fork(self, order: dict[str, Any], streams: list[int]) -> tuple[int, int]:
        """Run an order on open files; returns the process, and where its end is told."""
        told, report = os.pipe()
        try:
            with self._lock:
                if self._user != os.getpid():
                    self._control.close()
                    self._control, self._user = self._connected(), os.getpid()
                socket.send_fds(self._control, [json.dumps(order).encode()], [*streams, report])
                return int(self._control.recv(16)), told
        finally:
            os.close(report)

    def _connected(self) -> socket.socket:
        """Return a way to it for a process that was forked from its owner, which the owner's is not."""
        until((self.commands / "zygote").exists, what="the process that forks")
        made = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _LARGEST)
        made.connect(str(self.commands / "zygote"))
        return made


@functools.cache
def zygote() -> Zygote:
    """Return the zygote of this process and of those that it forks, which is made when there is none yet."""
    return Zygote()


def fork(arguments: list[str], environment: dict[str, str]) -> Forked:
    """Run Python with these arguments: ``-m`` and a module, or a script, and what it gets."""
    order = {"arguments": arguments, "environment": environment, "directory": str(Path.cwd()), "terminal": False}
    nothing, (stdout, out), (stderr, err) = os.open(os.devnull, os.O_RDONLY), os.pipe(), os.pipe()
    try:
        pid, told = zygote().fork(order, [nothing, out, err])
    finally:
        for end in (nothing, out, err):
            os.close(end)
    return Forked(pid, told, os.fdopen(stdout, encoding="utf-8"), os.fdopen(stderr, encoding="utf-8"))


def fork_on_terminal(arguments: list[str], environment: dict[str, str], directory: Path, terminal: int) -> Ended:
    """Run Python with these arguments on a terminal, which becomes its own."""
    order = {"arguments": arguments, "environment": environment, "directory": str(directory), "terminal": True}
    return Ended(*zygote().fork(order, [terminal] * 3))


def _next(listener: socket.socket, control: socket.socket, orders: selectors.BaseSelector) -> dict[str, Any] | None:
    """Fork for one order after the other, and report who ended. Returns in each child, with its order; None at the end."""
    for each in (listener, control):
        orders.register(each, selectors.EVENT_READ)
    while True:
        for key, _ in orders.select():
            if key.data is not None:
                _report(*key.data)
                orders.unregister(key.fd)
                os.close(key.fd)
            elif key.fileobj is listener:
                orders.register(listener.accept()[0], selectors.EVENT_READ)
            elif isinstance(key.fileobj, socket.socket):
                data, streams, _, _ = socket.recv_fds(key.fileobj, _LARGEST, _STREAMS)
                if data:
                    if _fork(key.fileobj, orders, streams) == 0:
                        found: dict[str, Any] = json.loads(data)
                        return found
                elif key.fileobj is control:
                    return None
                else:
                    orders.unregister(key.fileobj)
                    key.fileobj.close()


def _fork(asker: socket.socket, orders: selectors.BaseSelector, streams: list[int]) -> int:
    """Fork, as ``os.fork``; the child has the streams, the asker is told of it."""
    pid = os.fork()
    for number, stream in enumerate(streams[:3]):
        if pid == 0:
            os.dup2(stream, number)
        os.close(stream)
    if pid != 0:
        orders.register(os.pidfd_open(pid), selectors.EVENT_READ, (pid, streams[3]))
        asker.send(b"%d" % pid)
    return pid


def _report(pid: int, report: int) -> None:
    """Say how a process ended to who asked for it, if anybody still reads."""
    _, status = os.waitpid(pid, 0)
    with suppress(BrokenPipeError):
        os.write(report, b"%d" % os.waitstatus_to_exitcode(status))
    os.close(report)


def _become(order: dict[str, Any]) -> None:
    """Go on as if Python had been started with the arguments of the order."""
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    os.setsid()
    if order["terminal"]:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    os.chdir(order["directory"])
    os.environ.clear()
    os.environ.update(order["environment"])
    time.tzset()
    tempfile.tempdir = None
    encoding = os.environ.get("PYTHONIOENCODING", "utf-8")
    # Other files than at the start of Python.
    sys.stdin = open(0, encoding=encoding, closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", encoding=encoding, closefd=False)  # noqa: SIM115
    if any(map(os.environ.get, UNMEASURED)):
        importlib.import_module("coverage").process_startup()
    first, *rest = order["arguments"]
    with _noted_end():
        if first == "-m":
            sys.argv = rest
            runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
        else:
            sys.argv = [first, *rest]
            sys.path[0] = str(Path(first).absolute().parent)
            runpy.run_path(first, run_name="__main__")


_ends: list[int] = []
"""The exit code of this process, once it is known."""


@contextmanager
def _noted_end() -> Iterator[None]:
    """Note how a program ends; nothing where Python has more to say about it."""
    try:
        yield
    except SystemExit as ended:
        if ended.code is None or isinstance(ended.code, int):
            _ends.append(ended.code or 0)
        raise
    _ends.append(0)


def _end_at_once() -> None:
    """End behind everything that runs at an exit: taking apart what was imported would take as long as a start."""
    if _ends:
        with suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(_ends[0])


def _prepare() -> None:
    """Do once what every start does: validators, the command line, a cheap hash of passwords."""
    from argon2 import PasswordHasher
    from typer import main as typer

    import doorward.cli
    from doorward.access import passwords

    run = doorward.cli.main
    for name in _modules("doorward.cli", "doorward.client"):
        importlib.import_module(name)
    from doorward.cli.main import app
    from doorward.transaction.startup import whole_tree
    from doorward.tree.nodes import Valued

    for endpoint in whole_tree():
        if isinstance(endpoint.node, Valued):
            endpoint.node.adapter.rebuild()
    _build_validators()
    passwords._hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    doorward.cli.main = run  # hidden by the module of the same name, once that is imported
    command = typer.get_command(app)
    _build_options(command)
    typer.get_command = lambda typer_instance: command


def _build_validators() -> None:
    """Build those of all bodies and places, which a server builds when the first value of their kind comes."""
    from pydantic import TypeAdapter

    from doorward.tree.described import At
    from doorward.tree.models import Body

    for kind in _below(Body):
        kind.model_rebuild()
    for place in [each for each in gc.get_objects() if isinstance(each, At)]:
        place._adapter.rebuild()
    for adapter in [each for each in gc.get_objects() if isinstance(each, TypeAdapter)]:
        adapter.rebuild()


def _below(kind: type[Any]) -> Iterator[type[Any]]:
    for each in kind.__subclasses__():
        yield each
        yield from _below(each)


def _build_options(command: Any) -> None:
    """Build what reads the options of a command, and of those below it."""
    for option in command.params:
        if hasattr(option, "get_runtime_param"):
            option.get_runtime_param()
    for each in getattr(command, "commands", {}).values():
        _build_options(each)


def _modules(*packages: str) -> Iterator[str]:
    """Yield the names of all modules in packages."""
    for package in packages:
        for found in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
            yield found.name


def _live() -> None:
    atexit.register(_end_at_once)  # the first, so that it runs last
    with (
        selectors.DefaultSelector() as orders,
        socket.socket(fileno=os.dup(0)) as control,
        socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener,
    ):
        listener.bind(f"{sys.argv[1]}.new")
        listener.listen()
        Path(f"{sys.argv[1]}.new").rename(sys.argv[1])
        _import()
        order = _next(listener, control, orders)
    if order is not None:
        _become(order)


def _import() -> None:
    """Import and make what every server and command has."""
    for name in IMPORTED:
        importlib.import_module(name)
    _prepare()
    assert threading.active_count() == 1, "a fork would lose a thread"
    gc.collect()
    gc.freeze()  # what never goes away is not looked through again, so that its pages stay shared


if __name__ == "__main__":
    _live()
