"""Unix sockets between our own processes: how one is listened on and found, and who is behind the other end."""

from __future__ import annotations

import os
import socket
import stat
import struct
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

_CREDENTIALS = struct.Struct("3i")


class StrangerError(Exception):
    """The process behind the other end runs as somebody who has no business here."""


def listen(path: Path) -> socket.socket:
    """Listen on a Unix socket that whoever may write in its directory can reach; one that nobody listens on is replaced."""
    # It gets its name only once it listens: whoever finds it can connect, and is never told that nobody is there.
    hidden = path.with_name(f"{path.name}.new")
    hidden.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with short(hidden) as name:
        listener.bind(name)
    hidden.chmod(0o660 if path.parent.stat().st_mode & stat.S_IWGRP else 0o600)
    listener.listen(16)
    hidden.rename(path)
    listener.setblocking(False)  # noqa: FBT003 - the standard library's signature
    return listener


def dial(path: Path, seconds: float = 5.0) -> socket.socket:
    """Connect to a Unix socket, blocking. Raises OSError."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(seconds)
    try:
        with short(path) as name:
            connection.connect(name)
    except BaseException:
        connection.close()
        raise
    return connection


def check_peer(connection: socket.socket, users: Collection[int] | None = None) -> int:
    """Return the process behind a connection, which must run as one of some users. Raises StrangerError."""
    pid, user, _ = peer_of(connection)
    if user not in (users if users is not None else (os.geteuid(),)):
        raise StrangerError(f"user {user} has no business here")
    return pid


def peer_of(connection: socket.socket) -> tuple[int, int, int]:
    """Return process, user and group of the other end (unix(7), SO_PEERCRED)."""
    pid, user, group = _CREDENTIALS.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return pid, user, group


@contextmanager
def short(path: Path) -> Iterator[str]:
    """Give a path to a socket that fits into the 107 bytes of its address, however long that of its directory is."""
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)
