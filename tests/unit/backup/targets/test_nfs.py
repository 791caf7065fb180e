"""What an NFS server refuses with, and which code that is; the talk with the child that has libnfs."""

from __future__ import annotations

import ctypes
import errno
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any, cast

import pytest

from doorward.backup.failure import BackupError
from doorward.backup.targets.attempt import TargetAttempt
from doorward.backup.targets.files import ExportFiles, LocalStorageError
from doorward.backup.targets.libnfs import LibnfsFiles
from doorward.backup.targets.libnfs_child import NfsExport
from doorward.backup.targets.nfs import NfsDirectory


def attempt(**changed: Any) -> TargetAttempt:
    usual = {"node": "46f97a58", "per_node": False, "stop": threading.Event(), "workdir": Path("/nowhere")}
    return TargetAttempt(**{**usual, "deadline": time.monotonic() + 60, "stall": 60.0, "label": "nfs://x/y", **changed})


class Refusing:
    """Files that always fail in one way."""

    def __init__(self, error: OSError) -> None:
        self.error = error

    def __getattr__(self, name: str) -> Any:
        def fail(*_: Any, **__: Any) -> None:
            raise self.error

        return fail


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ENOSPC, "no_space"),
        (errno.EDQUOT, "quota"),
        (errno.EROFS, "read_only_target"),
        (errno.EACCES, "permission_denied"),
        (errno.EPERM, "permission_denied"),
        (errno.ENOENT, "no_such_path"),
        (errno.ESTALE, "no_such_path"),
        (errno.ETIMEDOUT, "stalled"),
        (errno.EBUSY, "server_busy"),
        (errno.EIO, "connection_lost"),
    ],
)
def test_a_number_tells_the_code(number: int, code: str) -> None:
    with pytest.raises(BackupError) as caught:
        NfsDirectory(cast("ExportFiles", Refusing(OSError(number, os.strerror(number)))), attempt()).prepare()
    assert caught.value.code == code


def test_a_full_disk_here_is_not_one_there() -> None:
    with pytest.raises(BackupError) as caught:
        NfsDirectory(cast("ExportFiles", Refusing(LocalStorageError(errno.ENOSPC, "No space"))), attempt()).prepare()
    assert caught.value.code == "no_local_space"


@pytest.mark.parametrize(
    ("words", "result", "number"),
    [
        (b'pwrite call failed with "\x1c"', -14, errno.ENOSPC),
        (b'pwrite call failed with "E"', -14, errno.EDQUOT),
        (b'stat call failed with "NFS: Lookup of /x failed with NFS3ERR_NOENT(-2)"', -2, errno.ENOENT),
    ],
)
def test_the_bare_status_of_libnfs_is_understood(words: bytes, result: int, number: int) -> None:
    class Library:
        def nfs_get_error(self, _context: object) -> bytes:
            return words

    export = NfsExport(cast("ctypes.CDLL", Library()), lambda _count: None)
    with pytest.raises(OSError, match=r".") as caught:
        export._check(result)
    assert caught.value.errno == number


def child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    """Have another program answer in the place of the child."""
    interpreter = tmp_path / "python"
    interpreter.write_text(f"#!/bin/sh\n{program}\n")
    interpreter.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(interpreter))


@pytest.mark.parametrize(
    ("program", "changed", "expected"),
    [
        ("read line; echo '{\"moved\": 1}'; kill -SEGV $$", {}, ConnectionResetError),
        ("read line; echo '{\"moved\": 1}'; sleep 60", {"stall": 0.2}, "stalled"),
        ("sleep 60", {"deadline": 0.0}, "timeout"),
        ("while true; do echo '{\"moved\": 1}'; sleep 0.05; done", {"stall": 0.5, "seconds": 1.5}, "timeout"),
        ('read line; echo \'{"errno": 28, "words": "full", "here": true}\'', {}, LocalStorageError),
        ('read line; echo \'{"errno": 17, "words": "", "here": false}\'', {}, FileExistsError),
    ],
)
def test_the_child_may_do_what_it_likes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, changed: dict[str, Any], expected: Any
) -> None:
    child(tmp_path, monkeypatch, program)
    if "seconds" in changed:  # moving all the time does not make it last longer
        changed = {"stall": changed["stall"], "deadline": time.monotonic() + changed["seconds"]}
    files = LibnfsFiles(attempt(**changed))
    try:
        with pytest.raises(BackupError if isinstance(expected, str) else expected) as caught:
            files.exports("127.0.0.1")
        if isinstance(expected, str):
            assert cast("BackupError", caught.value).code == expected
    finally:
        files.close()
