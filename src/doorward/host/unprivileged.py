"""Programs that are started with no more than they need: without root, without capabilities, with limits of files and memory.

Where this process is root they run as another account, elsewhere as the same one, to which the state directory is closed then
(`confined`); in both cases nothing that they start can gain rights again. What a program has to read or write is given to it:
open files, or directories that belong to its account.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import resource
import shutil
import sys
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from msgspec import Struct

ACCOUNTS = ("_doorward", "nobody")
"""Who programs run as where this process is root: the first that the machine has. One of their own is shared with nobody else."""

_CONFINED = str(Path(__file__).with_name("confined.py"))
_PLACE, _PREFIX = Path("/var/tmp"), "doorward-"  # noqa: S108 - what is made there has a name that nobody can foresee
"""On a disk: what lies there for a while can be as large as an archive, and would take memory elsewhere."""

MAX_MEMORY = 256 << 20
"""Bytes of memory that a program may take (RLIMIT_DATA), whatever the other side sends it."""
MAX_FILE = 1 << 20
"""Bytes that a program may write into one file, where nothing else is said."""

_PR_SET_KEEPCAPS, _PR_SET_NO_NEW_PRIVS = 8, 38
_CAPABILITY_VERSION_3, _CAP_NET_BIND_SERVICE = 0x20080522, 10
"""From <linux/prctl.h> and <linux/capability.h>."""


class UnprivilegedAccount(Struct, frozen=True):
    """User and group by their numbers."""

    uid: int
    gid: int


_hidden: list[tuple[Path, Path]] = []
"""The state directory that programs of this account do not get at, and the part of it that they are given; one at most."""


def hide(state: Path, given: Path) -> None:
    """Close a state directory, but for ``given`` in it, to programs that run as the account that it belongs to."""
    _hidden[:] = [(state.absolute(), given.absolute())]


def confinement() -> list[str]:
    """Return what is put before a program of this account, so that it does not get at the state directory; none elsewhere."""
    if account() is not None or not _hidden:
        return []
    [(state, given)] = _hidden
    return [sys.executable, "-I", "-S", _CONFINED, str(state), str(given), "--"]


@cache
def account() -> UnprivilegedAccount | None:
    """Return who programs run as; None: as this process, which is not root. Raises OSError."""
    if os.geteuid() != 0:
        return None
    for name in ACCOUNTS:
        try:
            found = pwd.getpwnam(name)
        except KeyError:
            continue
        return UnprivilegedAccount(found.pw_uid, found.pw_gid)
    raise OSError(f"no account for programs that run without root: {' or '.join(ACCOUNTS)}")


def command(program: Sequence[str], max_file: int = MAX_FILE) -> list[str]:
    """Return the command that runs a program without privileges; it ends with the thread that started it.

    ``max_file``: bytes that it may write into one file. Start it with ``restore_signals=False``: a write beyond the limit is then
    an error that the program can tell of.
    """
    found = account()
    other = [f"--reuid={found.uid}", f"--regid={found.gid}", "--clear-groups"] if found is not None else []
    limits = [f"--fsize={max_file}:{max_file}", f"--data={MAX_MEMORY}:{MAX_MEMORY}", "--core=0:0"]
    return [
        "setpriv", "--no-new-privs", "--inh-caps=-all", *other, "--pdeathsig=KILL", "--",
        "prlimit", *limits, "--", *confinement(), *program,
    ]  # fmt: skip


def drop(max_file: int) -> None:
    """Give up root and all capabilities but that of low ports, for good, in this process, which has one thread yet.

    NFS servers ask for a low port. ``max_file``: bytes that may be written into one file from now on.
    """
    for limit, most in ((resource.RLIMIT_FSIZE, max_file), (resource.RLIMIT_DATA, MAX_MEMORY), (resource.RLIMIT_CORE, 0)):
        resource.setrlimit(limit, (most, most))
    libc = ctypes.CDLL(None, use_errno=True)
    found = account()
    if found is not None:
        libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0)
        os.setgroups([])
        os.setresgid(found.gid, found.gid, found.gid)
        os.setresuid(found.uid, found.uid, found.uid)
        version = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
        for kept in (1 << _CAP_NET_BIND_SERVICE, 0):  # which this process itself may not have
            sets = (ctypes.c_uint32 * 6)(kept, kept, 0, 0, 0, 0)  # effective, permitted, inheritable: low words, then high ones
            if libc.capset(version, sets) == 0:
                break
        else:
            raise OSError(ctypes.get_errno(), "capabilities can't be given up")
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "new privileges can't be ruled out")


def give(path: Path | int) -> None:
    """Make a file or directory, or an open one, belong to the account that programs run as. Links are not followed."""
    found = account()
    if found is None:
        return
    if isinstance(path, int):
        os.fchown(path, found.uid, found.gid)
    else:
        os.chown(path, found.uid, found.gid, follow_symlinks=False)


def passage(owner: str, otherwise: Path) -> Path:
    """Make a directory that programs pass through to what they are given in it. It belongs to this process.

    ``owner``: letters and digits by which ``sweep`` knows it. ``otherwise``: where it comes to be while this process is not root;
    else programs could not get there.
    """
    made = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{owner}-", dir=runtime() if account() is not None else otherwise))
    made.chmod(0o711)
    return made


def sweep(owner: str) -> None:
    """Remove what a process that was killed left of its directories."""
    for left in runtime().glob(f"{_PREFIX}{owner}-*"):
        if left.lstat().st_uid == os.geteuid():
            shutil.rmtree(left, ignore_errors=True)


def runtime() -> Path:
    """Return a directory for what is gone with the process, into which programs get whatever ``TMPDIR`` says."""
    return _PLACE if account() is not None and os.access(_PLACE, os.W_OK) else Path(tempfile.gettempdir())
