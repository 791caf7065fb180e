"""Runs the ``doorward`` command, killed with SIGKILL at the n-th step once a file says so.

A step is a point ahead of something that lasts, and where it makes a difference behind it: a file operation, a statement of the
database, a child process, a part of a commit. While the trap is set, the file named by ``DOORWARD_TRAP`` holds n, or how the name
of the fatal step begins; steps are counted from then on, and written to the same name with ``.steps`` added. Where it holds the
path of a directory, nobody dies: written is also what a kill would leave there at each step. Nothing of this is in the product:
it is laid around it from outside.
"""

from __future__ import annotations

import functools
import hashlib
import os
import runpy
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

_FILE = os.environ["DOORWARD_TRAP"]
_AHEAD_ONLY = bool(os.environ.get("DOORWARD_TRAP_AHEAD"))
"""Don't count the steps behind something that lasts: what lasts is the same as ahead of the next step."""
_LOCK = threading.Lock()
_LOOKING = {"drift", "host changes", "monitor"}
"""Threads that only look, whenever they like: nothing that they do lasts."""
_STATEMENTS = ("BEGIN", "COMMIT", "CREATE", "DELETE", "INSERT", "PRAGMA JOURNAL_MODE", "ROLLBACK", "UPDATE")
_passed = 0
_set_at = 0
"""When the trap was set; another one counts anew."""


def step(name: str) -> None:
    """Count a step, and die when it is the one."""
    global _passed, _set_at  # noqa: PLW0603 - one trap a process
    if threading.current_thread().name in _LOOKING:
        return
    with _LOCK:
        try:
            with open(_FILE) as file:  # noqa: PTH123 - what pathlib does is counted
                fatal, set_at = file.read(), os.fstat(file.fileno()).st_mtime_ns
        except FileNotFoundError:
            return
        _passed = _passed + 1 if set_at == _set_at else 1
        _set_at = set_at
        with open(f"{_FILE}.steps", "a") as file:  # noqa: PTH123
            file.write(f"{_passed} {name}{_left(fatal)}\n")
        if str(_passed) == fatal or name.startswith(fatal):
            os.kill(os.getpid(), signal.SIGKILL)
            threading.Event().wait()  # the signal is on its way


def _left(directory: str) -> str:
    """Describe what lasts in a directory, as the end of a line; nothing unless the path is that of one.

    The index of a database's log is left out: it is made anew when nobody has the database open.
    """
    if not directory.startswith("/"):
        return ""
    found = hashlib.blake2b(digest_size=16)
    for path in sorted(Path(directory).rglob("*")):
        with suppress(FileNotFoundError):  # daemons keep files of theirs there too
            about = path.lstat()
            found.update(f"{path} {about.st_mode} {about.st_uid}\n".encode())
            if stat.S_ISLNK(about.st_mode):
                found.update(bytes(path.readlink()))
            elif stat.S_ISREG(about.st_mode) and not path.name.endswith("-shm"):
                found.update(hashlib.blake2b(path.read_bytes()).digest())
    return f" leaves {found.hexdigest()}"


def _is_there(path: Any, *, dir_fd: int | None = None, **_options: Any) -> bool:
    """Whether something is at a path, also one that begins at an open directory."""
    try:
        os.stat(path, dir_fd=dir_fd, follow_symlinks=False)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def around(owner: Any, name: str, what: Callable[..., str | None], *, behind: bool = False) -> None:
    """Put a step ahead of a function, and one behind it. ``what`` names it by its arguments; None: this call is no step."""
    original = getattr(owner, name)

    @functools.wraps(original)
    def stepped(*arguments: Any, **options: Any) -> Any:
        described = what(*arguments, **options)
        if described is None:
            return original(*arguments, **options)
        step(f"before {described}")
        result = original(*arguments, **options)
        if behind and not (_AHEAD_ONLY and _by_number()):
            step(f"after {described}")
        return result

    setattr(owner, name, stepped)


def _by_number() -> bool:
    """Whether the fatal step is told by its number, or numbers are asked for."""
    try:
        with open(_FILE) as file:  # noqa: PTH123
            fatal = file.read()
            return fatal.isdecimal() or fatal.startswith("/")
    except FileNotFoundError:
        return False


def _named(name: str) -> Callable[..., str]:
    return lambda *_arguments, **_options: name


def _statement(_connection: Any, sql: str, *_values: Any) -> str | None:
    return sql[:60] if sql.upper().startswith(_STATEMENTS) else None


class Connection(sqlite3.Connection):
    """A connection whose writing statements are steps."""


def lay() -> None:
    """Lay the trap around everything that lasts."""
    for name in ("chmod", "fsync"):
        around(os, name, _named(name))
    for name in ("rename", "replace", "symlink"):
        around(os, name, _named(name), behind=True)
    around(os, "mkdir", lambda path, *_rest, **options: None if _is_there(path, **options) else "mkdir")
    around(os, "unlink", lambda path, *_rest, **options: "unlink" if _is_there(path, **options) else None, behind=True)
    around(os, "open", lambda _path, flags, *_rest, **_options: "open a file" if flags & os.O_CREAT else None, behind=True)
    around(Connection, "executemany", _statement)
    around(Connection, "executescript", lambda *_: "script", behind=True)
    around(Connection, "execute", lambda connection, sql, *_: None if sql == "COMMIT" else _statement(connection, sql))
    around(Connection, "execute", lambda _connection, sql, *_: "COMMIT" if sql == "COMMIT" else None, behind=True)
    setattr(sqlite3, "connect", functools.partial(sqlite3.connect, factory=Connection))  # noqa: B010 - a type of its own
    around(subprocess, "run", lambda command, **_options: f"run {' '.join(map(str, command[-2:]))}")
    around(subprocess.Popen, "__init__", _daemon, behind=True)


def lay_in_server() -> None:
    """Lay the trap around the parts of a server. Importing them takes most of a second."""
    from doorward.api.app import Application
    from doorward.host.engine import Host
    from doorward.host.managed import Managed
    from doorward.listening.listeners import Listeners
    from doorward.store.sqlite import SqliteStore
    from doorward.transaction.subscribers import CommitSubscribers

    for owner, names in (
        (SqliteStore, ("begin", "close_journal", "confirmed", "publish", "save_commit_record")),
        (Host, ("_restore", "_step", "start")),
        (CommitSubscribers, ("tell",)),
    ):
        for name in names:
            around(owner, name, _named(f"{owner.__name__}.{name}"))
    around(Managed, "keep", lambda managed, origins: None if managed.origins == set(origins) else "Managed.keep", behind=True)
    for name in ("open", "settle"):
        around(Listeners, name, _named(f"Listeners.{name}"), behind=True)
    _around_answers(Application)


def _daemon(_process: Any, command: list[str], **_options: Any) -> str | None:
    return "daemon chronyd" if any(part.endswith("chronyd") for part in command) and "-d" in command else None


def _around_answers(application: Any) -> None:
    """Make the answer to a commit a step."""
    original = application._send

    async def send(self: Any, request: Any, answer: Any, transmit: Any) -> None:
        commit = (request.method, request.href) in {("PUT", "/api/transaction"), ("POST", "/api/commits")}
        if commit:
            step(f"before answer {answer.status}")
        await original(self, request, answer, transmit)
        if commit:
            step(f"after answer {answer.status}")

    application._send = send


if __name__ == "__main__":
    lay()
    if "serve" in sys.argv:
        lay_in_server()
    if "HASTY" in os.environ:
        runpy.run_module("tests.support.launcher")
    else:
        from doorward.cli import main

        main()
