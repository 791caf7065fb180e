"""What a child process that talks to a target does: it takes calls from its standard input, a socket, and answers.

A call is one line of JSON, a name and arguments, and with it the open local file to read or write, if any: a child may open
none itself. Answers are lines on the standard output: ``{"moved": n}`` while it works, then ``{"result": ...}``,
``{"errno": n, "words": "...", "here": bool}`` or ``{"code": "...", "words": "..."}``.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, cast

_MAX_CALL = 1 << 20


class LocalFileError(OSError):
    """Trouble with a file of this machine."""


class TargetRefusedError(Exception):
    """What a target refuses with: one of the codes of failures, and words."""

    def __init__(self, code: str, words: str) -> None:
        super().__init__(words)
        self.code, self.words = code, words


@contextmanager
def local_file(local: int, mode: str) -> Iterator[BinaryIO]:
    """Use an open local file, and close it. What happens in between is not this machine's fault, but for ``keep``."""
    file = os.fdopen(local, mode)
    try:
        yield cast("BinaryIO", file)
    finally:
        try:
            file.close()
        except OSError as error:
            raise LocalFileError(error.errno, error.strerror) from None


def keep(sink: BinaryIO, chunk: bytes) -> None:
    """Write to a local file. Raises LocalFileError."""
    try:
        sink.write(chunk)
    except OSError as error:
        raise LocalFileError(error.errno, error.strerror) from None


def moved(count: int) -> None:
    """Tell that something has moved."""
    _say(moved=count)


def serve(target: object) -> None:
    """Answer calls of the methods of an object until there are no more."""
    with socket.socket(fileno=0) as given:
        for name, *arguments in _calls(given):
            method: Callable[..., Any] = getattr(target, name)
            try:
                _say(result=method(*arguments))
            except TargetRefusedError as error:
                _say(code=error.code, words=error.words)
            except OSError as error:
                here = isinstance(error, LocalFileError)
                _say(errno=error.errno or errno.EIO, words=error.strerror or "", here=here)


def _say(**said: Any) -> None:
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()


def _calls(given: socket.socket) -> Iterator[list[Any]]:
    """Yield calls: the name, then the arguments, last of them the open local file if there is one."""
    heard = bytearray()
    files: list[int] = []
    while True:
        data, passed, _, _ = socket.recv_fds(given, 65536, 1)
        heard += data
        files += passed
        if not data or len(heard) > _MAX_CALL:
            return
        line, found, rest = heard.partition(b"\n")
        if found:
            heard, opened, files = rest, files, []
            yield [*json.loads(line), *opened]
