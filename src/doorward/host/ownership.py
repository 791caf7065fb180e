"""Whose files these are: a directory that somebody else could change is not worked in, and links in it are not followed.

Whoever may write into a directory can plant links there, and a process that follows them works on other files with its own
rights. So the state directory is looked at as a whole before it is used (`check_tree`); from then on nobody else can plant
anything. What is opened in it by name is opened with `open_own` all the same.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

_WRITABLE_BY_OTHERS: Final = stat.S_IWGRP | stat.S_IWOTH
_MAX_LINKS: Final = 40
"""As many as Linux follows on the way to a file."""
_MAPPED: Final = Path("/proc/self/uid_map")
_UNMAPPED: Final = Path("/proc/sys/kernel/overflowuid")
_ALL_IDS: Final = 0xFFFFFFFF


class UntrustedPathError(Exception):
    """Something of the state directory that somebody else owns, could change, or has planted; in one sentence."""


def check_tree(directory: Path, *, links_in: str = "", discarded: Path = Path(), lent: Collection[str] = ()) -> None:
    """Check a directory that exists, the way to it and all that is in it; `UntrustedPathError` names the first fault.

    All of it must belong to this process's user or to root, and nobody else may write there. There are no symbolic links, but
    below `links_in`, a name in the directory, those of ours to files. What lies in `discarded`, a directory below, is left out,
    for nothing reads it before it is removed, and so are directories with a name in `lent` that were given to somebody else.
    OSError where something can't be looked at.
    """
    _check_way(directory)
    facts = directory.stat()
    if facts.st_uid != os.geteuid():
        raise UntrustedPathError(
            f"{directory} belongs to {_name(facts.st_uid)}, and this process runs as {_name(os.geteuid())}. Run it as the"
            " owner, or give the directory and all that is in it to the user it runs as."
        )
    _check(directory, facts)
    given = {directory / name for name in lent if _is_given(directory / name)}
    _check_below(directory, links_in, (directory / discarded, given), links=False)


def _is_given(directory: Path) -> bool:
    """Whether a directory was given to another user than this one."""
    return directory.is_dir() and not directory.is_symlink() and directory.stat().st_uid not in {0, os.geteuid()}


def open_own(path: Path, flags: int, mode: int = 0o600, *, owner: int | None = None) -> int:
    """Open a file of ours and return the descriptor; OSError where it is a link, no file, or has another name elsewhere.

    For what is written in its place, a second name would be somebody else's file. ``owner``: whose it is to be instead, where
    root reads what another account has made.
    """
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, mode)
    facts = os.fstat(descriptor)
    if not stat.S_ISREG(facts.st_mode) or facts.st_uid != (os.geteuid() if owner is None else owner) or facts.st_nlink > 1:
        os.close(descriptor)
        raise OSError(errno.EPERM, f"not a file of {'this user' if owner is None else 'its owner'} alone", str(path))
    return descriptor


def read_own(path: Path, *, owner: int | None = None) -> bytes:
    """Return what is in a file of ours; OSError as `open_own`."""
    with os.fdopen(open_own(path, os.O_RDONLY, owner=owner), "rb") as file:
        return file.read()


def _check_way(path: Path) -> None:
    """Check that nobody else can put another directory in the place of this one."""
    trusted = {0, os.geteuid(), *_unmapped()}
    for place, facts in _way(path):
        if facts.st_uid not in trusted:
            raise UntrustedPathError(f"{place}, on the way to {path}, belongs to {_name(facts.st_uid)}, who could exchange it.")
        if stat.S_ISDIR(facts.st_mode) and facts.st_mode & stat.S_IWOTH and not facts.st_mode & stat.S_ISVTX:
            raise UntrustedPathError(f"Everybody can write in {place}, on the way to {path}, and could exchange it.")


def _way(path: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Yield the directories and links above a path, those that links on the way lead through too."""
    at, left, links = Path("/"), list(reversed(path.absolute().parts[1:])), 0
    while left:
        facts = at.lstat()
        yield at, facts
        step = left.pop()
        following = at.parent if step == ".." else at / step
        if following.is_symlink():
            links += 1
            if links > _MAX_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
            yield following, following.lstat()
            target = following.readlink()
            left += reversed(target.parts[1:] if target.is_absolute() else target.parts)
            at = Path("/") if target.is_absolute() else at
        else:
            at = following


def _check_below(directory: Path, links_in: str, left_out: tuple[Path, Collection[Path]], *, links: bool) -> None:
    with os.scandir(directory) as found:
        for entry in found:
            path = Path(entry.path)
            try:
                facts = entry.stat(follow_symlinks=False)
            except FileNotFoundError:  # a server that works beside us has removed it
                continue
            if entry.is_symlink():
                if not links or facts.st_uid not in {0, os.geteuid()} or path.is_dir():
                    raise UntrustedPathError(f"{path} is a symbolic link, which Doorward does not make there. Remove it.")
                continue
            discarded, given = left_out
            if path in given:
                continue
            _check(path, facts)
            if entry.is_dir(follow_symlinks=False) and path != discarded:
                _check_below(path, "", left_out, links=links or entry.name == links_in)


def _check(path: Path, facts: os.stat_result) -> None:
    if facts.st_uid not in {0, os.geteuid()}:
        raise UntrustedPathError(f"{path} belongs to {_name(facts.st_uid)}, who could change it while it is used.")
    if facts.st_mode & _WRITABLE_BY_OTHERS and not stat.S_ISSOCK(facts.st_mode):
        raise UntrustedPathError(f"{path} can be written by others than its owner; take that away with chmod go-w.")


def _unmapped() -> set[int]:
    """Who stands for root, and for everybody else who has no number here, inside of a user namespace."""
    try:
        rows = [row.split() for row in _MAPPED.read_text(encoding="ascii").splitlines()]
        if sum(int(row[2]) for row in rows) >= _ALL_IDS:
            return set()
        return {int(_UNMAPPED.read_text(encoding="ascii"))}
    except (OSError, ValueError, IndexError):
        return set()


def _name(uid: int) -> str:
    import pwd

    try:
        return f"{pwd.getpwuid(uid).pw_name} (user {uid})"
    except KeyError:
        return f"user {uid}"
