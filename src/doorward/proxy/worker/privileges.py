"""What a supervisor and its workers may do: they run as an account of their own if started as root, and can gain nothing."""

from __future__ import annotations

import ctypes
import os
import pwd
import resource

_PR_SET_NO_NEW_PRIVS = 38
"""From <linux/prctl.h>."""


def user_named(name: str) -> tuple[int, int]:
    """Return user and group of an account, given by name or number. Raises OSError."""
    try:
        found = pwd.getpwuid(int(name)) if name.isdecimal() else pwd.getpwnam(name)
    except KeyError:
        raise OSError(f"there is no account {name}") from None
    return found.pw_uid, found.pw_gid


def drop(user: int, group: int) -> None:
    """Become another user, for good; capabilities go with root (capabilities(7)). In a process with one thread."""
    os.setgroups([])
    os.setresgid(group, group, group)
    os.setresuid(user, user, user)


def limit() -> None:
    """Rule out new privileges and dumps of memory, and take as many descriptors as there may be: a session has several."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "new privileges can't be ruled out")
