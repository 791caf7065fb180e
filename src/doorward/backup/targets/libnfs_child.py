"""NFSv3 in user space: the C library libnfs, called through ctypes, in a process of its own.

libnfs 4.0 can bring its process down when a connection breaks with several writes on the way, and knows no time limit at
some calls; so nothing else lives in that process, and it is killed when it has to end. Version 3 only: libnfs 4.0 fails on
NFSv4 writes of 4 KiB and more (its pull request 319).

Run as a module it takes calls (``calls``); what NFS refuses with is told by its number.

The process has no root and no capability but that of low ports, which NFS servers ask for; to servers it is still the user that
started it (``nfs_set_uid``).
"""

from __future__ import annotations

import ctypes
import errno
import hashlib
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any

from doorward.backup.targets import calls
from doorward.backup.targets.limits import MAX_ARCHIVE, MAX_FILES, MAX_LISTING
from doorward.host import unprivileged

_SONAMES = ("libnfs.so.13", "libnfs.so.14")
"""Releases 4 and 5; release 6 has other arguments."""
_CHUNK = 1024 * 1024
_MAX_EXPORTS = 1000
_REGULAR = 1
"""Type of a directory entry that is a file (RFC 1813)."""


_STATUS = re.compile(r'\w+ call failed with "([\x01-\x7f])"', re.DOTALL)
_ERRNO = {69: errno.EDQUOT, 70: errno.ESTALE}
"""Status codes of NFSv3 that have another number here."""


class _Export(ctypes.Structure):
    """``struct exportnode``."""

    _fields_ = [("path", ctypes.c_char_p), ("groups", ctypes.c_void_p), ("next", ctypes.c_void_p)]


class _Stat(ctypes.Structure):
    _names = (
        "dev ino mode nlink uid gid rdev size blksize blocks atime mtime ctime atime_nsec mtime_nsec ctime_nsec used".split()  # noqa: SIM905
    )
    _fields_ = [(name, ctypes.c_uint64) for name in _names]


class _Time(ctypes.Structure):
    _fields_ = [("seconds", ctypes.c_long), ("microseconds", ctypes.c_long)]


class _Entry(ctypes.Structure):
    """The beginning of ``struct nfsdirent``."""

    _fields_ = [
        ("next", ctypes.c_void_p), ("name", ctypes.c_char_p), ("inode", ctypes.c_uint64), ("type", ctypes.c_uint32),
        ("mode", ctypes.c_uint32), ("size", ctypes.c_uint64), ("atime", _Time), ("mtime", _Time),
    ]  # fmt: skip


_POINTER, _INT, _LONG, _TEXT = ctypes.c_void_p, ctypes.c_int, ctypes.c_uint64, ctypes.c_char_p
_OUT = ctypes.POINTER(ctypes.c_void_p)
_FUNCTIONS: dict[str, tuple[Any, list[Any]]] = {
    "nfs_init_context": (_POINTER, []),
    "nfs_destroy_context": (None, [_POINTER]),
    "nfs_get_error": (_TEXT, [_POINTER]),
    "nfs_get_fd": (_INT, [_POINTER]),
    "nfs_set_version": (_INT, [_POINTER, _INT]),
    "nfs_set_uid": (None, [_POINTER, _INT]),
    "nfs_set_gid": (None, [_POINTER, _INT]),
    "nfs_set_timeout": (None, [_POINTER, _INT]),
    "nfs_set_autoreconnect": (None, [_POINTER, _INT]),
    "nfs_mount": (_INT, [_POINTER, _TEXT, _TEXT]),
    "nfs_lstat64": (_INT, [_POINTER, _TEXT, ctypes.POINTER(_Stat)]),
    "nfs_stat64": (_INT, [_POINTER, _TEXT, ctypes.POINTER(_Stat)]),
    "nfs_fstat64": (_INT, [_POINTER, _POINTER, ctypes.POINTER(_Stat)]),
    "nfs_mkdir2": (_INT, [_POINTER, _TEXT, _INT]),
    "nfs_opendir": (_INT, [_POINTER, _TEXT, _OUT]),
    "nfs_readdir": (ctypes.POINTER(_Entry), [_POINTER, _POINTER]),
    "nfs_closedir": (None, [_POINTER, _POINTER]),
    "nfs_open": (_INT, [_POINTER, _TEXT, _INT, _OUT]),
    "nfs_creat": (_INT, [_POINTER, _TEXT, _INT, _OUT]),
    "nfs_pread": (_INT, [_POINTER, _POINTER, _LONG, _LONG, _POINTER]),
    "nfs_pwrite": (_INT, [_POINTER, _POINTER, _LONG, _LONG, _TEXT]),
    "nfs_fsync": (_INT, [_POINTER, _POINTER]),
    "nfs_close": (_INT, [_POINTER, _POINTER]),
    "nfs_link": (_INT, [_POINTER, _TEXT, _TEXT]),
    "nfs_rename": (_INT, [_POINTER, _TEXT, _TEXT]),
    "nfs_unlink": (_INT, [_POINTER, _TEXT]),
    "mount_getexports": (ctypes.POINTER(_Export), [_TEXT]),
    "mount_free_export_list": (None, [_POINTER]),
}


@cache
def library() -> ctypes.CDLL | None:
    """Return libnfs, None when no release that we know is installed."""
    for name in _SONAMES:
        with suppress(OSError, AttributeError):
            found = ctypes.CDLL(name)
            for function, (result, arguments) in _FUNCTIONS.items():
                getattr(found, function).restype = result
                getattr(found, function).argtypes = arguments
            return found
    return None


class NfsExport:
    """An export of an NFS server, by its paths from the root of the export. Refusals are OSError."""

    def __init__(self, nfs: ctypes.CDLL, moved: Callable[[int], None], user: tuple[int, int] = (0, 0)) -> None:
        self._nfs, self._moved, self._user = nfs, moved, user
        self._context = ctypes.c_void_p()

    def connect(self, server: str, path: str, seconds: float) -> None:
        """Mount, which in NFSv3 is asking for the root of the export. ``seconds``: how long any answer may take."""
        self._context = ctypes.c_void_p(self._nfs.nfs_init_context())
        self._nfs.nfs_set_version(self._context, 3)
        self._nfs.nfs_set_uid(self._context, self._user[0])
        self._nfs.nfs_set_gid(self._context, self._user[1])
        self._nfs.nfs_set_autoreconnect(self._context, 0)
        self._nfs.nfs_set_timeout(self._context, int(seconds * 1000))
        self._check(self._nfs.nfs_mount(self._context, server.encode(), os.fsencode(path)))

    def status(self, path: str, follow: bool) -> tuple[int, int, int] | None:  # noqa: FBT001 - called by position
        """Return mode, size and owner of a path, None when there is nothing."""
        found = _Stat()
        ask = self._nfs.nfs_stat64 if follow else self._nfs.nfs_lstat64
        try:
            self._check(ask(self._context, os.fsencode(path), ctypes.byref(found)))
        except FileNotFoundError:
            return None
        return found.mode, found.size, found.uid

    def make_directory(self, path: str) -> None:
        """Make a directory, mode 0700."""
        self._check(self._nfs.nfs_mkdir2(self._context, os.fsencode(path), 0o700))

    def entries(self, path: str) -> list[tuple[str, int, float]]:
        """Return name, size and time of the files in a directory, one more than there may be at most. Raises OSError."""
        directory, found, size = ctypes.c_void_p(), list[tuple[str, int, float]](), 0
        self._check(self._nfs.nfs_opendir(self._context, os.fsencode(path), ctypes.byref(directory)))
        while (entry := self._nfs.nfs_readdir(self._context, directory)) and len(found) <= MAX_FILES and size <= MAX_LISTING:
            held = entry.contents
            if held.type == _REGULAR:
                when = held.mtime.seconds + held.mtime.microseconds / 1e6
                found.append((os.fsdecode(held.name), held.size, when))
                size += len(held.name)
        self._nfs.nfs_closedir(self._context, directory)
        if size > MAX_LISTING:
            raise OSError(errno.EMSGSIZE, "the server lists far too much")
        return found

    def write(self, path: str, local: int) -> int:
        """Write an open local file, mode 0600, have the server put it on its disk, and return the size that it has there."""
        with calls.local_file(local, "rb") as source, self._file(self._nfs.nfs_creat, path, 0o600) as file:
            offset = 0
            while chunk := source.read(_CHUNK):
                while chunk:
                    count = self._check(self._nfs.nfs_pwrite(self._context, file, offset, len(chunk), chunk))
                    offset, chunk = offset + count, chunk[count:]
                    self._moved(offset)
            found = _Stat()
            self._check(self._nfs.nfs_fsync(self._context, file))
            self._check(self._nfs.nfs_fstat64(self._context, file, ctypes.byref(found)))
        return int(found.size)

    def read(self, path: str, most: int, local: int) -> None:
        """Copy a file of so many bytes at most into an open local one, which is empty."""
        with calls.local_file(local, "wb") as sink:
            for chunk in self._chunks(path, most):
                calls.keep(sink, chunk)

    def digest(self, path: str, size: int) -> str:
        """Return the SHA-256 of a file of so many bytes at most."""
        found = hashlib.sha256()
        for chunk in self._chunks(path, size):
            found.update(chunk)
        return found.hexdigest()

    def publish(self, temporary: str, final: str) -> None:
        """Give a file its final name, if that is free: FileExistsError. A rename would replace, so it is linked first."""
        names = os.fsencode(temporary), os.fsencode(final)
        try:
            self._check(self._nfs.nfs_link(self._context, *names))
        except OSError as error:
            if error.errno not in {errno.EOPNOTSUPP, errno.ENOSYS, errno.EPERM, errno.EMLINK, errno.EXDEV}:
                raise
            if self.status(final, follow=False) is not None:
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from None
            self._check(self._nfs.nfs_rename(self._context, *names))
        else:
            self.unlink(temporary)

    def unlink(self, path: str) -> None:
        """Delete a file; FileNotFoundError when there is none."""
        self._check(self._nfs.nfs_unlink(self._context, os.fsencode(path)))

    def exports(self, server: str) -> list[str]:
        """Return the paths that a server exports."""
        first = held = self._nfs.mount_getexports(server.encode())
        found = list[str]()
        while held and len(found) < _MAX_EXPORTS:
            found.append(os.fsdecode(held.contents.path))
            held = ctypes.cast(held.contents.next, ctypes.POINTER(_Export))
        if first:
            self._nfs.mount_free_export_list(first)
        return found

    def _chunks(self, path: str, most: int) -> Iterator[bytes]:
        buffer = ctypes.create_string_buffer(_CHUNK)
        with self._file(self._nfs.nfs_open, path, os.O_RDONLY) as file:
            offset = 0
            while count := self._check(self._nfs.nfs_pread(self._context, file, offset, _CHUNK, buffer)):
                offset += count
                if offset > most:
                    raise OSError(errno.EMSGSIZE, "the server sends more than was ever written there")
                self._moved(offset)
                yield buffer.raw[:count]

    @contextmanager
    def _file(self, opens: Any, path: str, how: int) -> Iterator[ctypes.c_void_p]:
        file = ctypes.c_void_p()
        self._check(opens(self._context, os.fsencode(path), how, ctypes.byref(file)))
        yield file
        self._nfs.nfs_close(self._context, file)  # not after a failure: the connection may be gone, and libnfs with it

    def _check(self, result: int) -> int:
        """Return the result of a call that went well."""
        if result < 0:
            words = (self._nfs.nfs_get_error(self._context) or b"").decode(errors="replace")
            if told := _STATUS.fullmatch(words):  # of several writes at once libnfs shows the bare status
                result = -_ERRNO.get(ord(told[1]), ord(told[1]))
                words = f"write failed: {os.strerror(-result)}"
            raise OSError(-result, words or os.strerror(-result))
        return result


def main() -> None:
    """Answer calls until there are no more."""
    nfs, user = library(), (os.geteuid(), os.getegid())
    if nfs is None:
        sys.exit("libnfs is not installed")
    unprivileged.drop(MAX_ARCHIVE + 1)
    calls.serve(NfsExport(nfs, calls.moved, user))


if __name__ == "__main__":
    main()
