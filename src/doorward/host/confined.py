"""Runs a program that gets at no file of the state directory: ``python -I -S confined.py STATE ALLOWED -- PROGRAM...``.

For programs that run as the account of the server. What lies in STATE is closed to them, but for the directory ALLOWED in it and
for what is open already: Landlock (landlock(7)), which takes no rights to use and can't be undone. Where the kernel has none of
it, the program runs all the same; exit code 127: it could not be run. Imports little, for the program has to begin at once.
"""

from __future__ import annotations

import ctypes
import os
import sys
from contextlib import suppress

_CREATE, _ADD, _RESTRICT = 444, 445, 446
"""The system calls, which have these numbers on every architecture."""
_VERSION, _PATH_BENEATH = 1, 1
_NO_NEW_PRIVS = 38
_RIGHTS = (13, 14, 15, 15, 16)
"""How many rights of the file system the first versions know; later ones have no more."""
_TO_FILES = 0b1100000000000111
"""Those that a rule for something else than a directory may have: execute, write, read, truncate, ioctl."""
_FD_PATH = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
"""What a link beside the directory leads to has its own rule, or is the directory."""
_DIRECTORY = 0o040000


class _Ruleset(ctypes.Structure):
    _fields_ = (("handled_access_fs", ctypes.c_uint64),)


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32))


def main(arguments: list[str]) -> int:
    """Close the state directory, and be the program. Returns only where that fails."""
    state, allowed, _, *program = arguments
    try:
        confine(state, allowed)
        os.execvp(program[0], program)  # noqa: S606 - no shell
    except OSError as error:
        sys.stderr.write(f"{program[0]}: {error.strerror}\n")
        return 127


def confine(state: str, allowed: str) -> bool:
    """Give up all files below a directory but those below another one; whether the kernel can. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    version = libc.syscall(_CREATE, None, ctypes.c_size_t(0), _VERSION)
    if version < 1:
        return False
    handled = (1 << _RIGHTS[min(version, len(_RIGHTS)) - 1]) - 1
    rules = _call(libc, _CREATE, ctypes.byref(_Ruleset(handled)), ctypes.c_size_t(ctypes.sizeof(_Ruleset)), 0)
    for path in (*beside(os.path.realpath(state)), allowed):
        try:
            found = os.open(path, _FD_PATH)
        except OSError:  # it is not there, or closed to this account anyway
            continue
        rights = handled if os.fstat(found).st_mode & 0o170000 == _DIRECTORY else handled & _TO_FILES
        # What is no place of a file system, such as a pipe, can have no rule and needs none.
        libc.syscall(_ADD, rules, _PATH_BENEATH, ctypes.byref(_Beneath(rights, found)), 0)
        os.close(found)
    if libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "new privileges can't be ruled out")
    _call(libc, _RESTRICT, rules, 0)
    os.close(rules)
    return True


def beside(path: str) -> list[str]:
    """Return what lies beside a directory, and beside those on the way to it: everything but what is in it."""
    found: list[str] = []
    while path != "/":
        above, name = os.path.split(path)
        with suppress(OSError), os.scandir(above) as others:  # it may be closed to this account
            found += [other.path for other in others if other.name != name]
        path = above
    return found


def _call(libc: ctypes.CDLL, number: int, *arguments: object) -> int:
    result = int(libc.syscall(number, *arguments))
    if result < 0:
        raise OSError(ctypes.get_errno(), "the kernel does not confine this program")
    return result


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
