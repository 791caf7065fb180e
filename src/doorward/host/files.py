"""Files and links below a root directory: read exactly, replaced atomically and durably, never outside the root."""

from __future__ import annotations

import os
import secrets
import stat
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from doorward.host.errors import HostError, PathRefused, os_reason

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_PREFIX, _SUFFIX = ".doorward-", ".tmp"


@dataclass(frozen=True, slots=True)
class FileEntry:
    """What stands at a path: a file (`content`, `mode`, `owner` as (uid, gid)) or, with `target`, a symbolic link.

    `owner` None means "whoever writes it" and is left out of comparisons.
    """

    content: bytes = field(default=b"", repr=False)
    mode: int = 0o644
    target: str | None = None
    owner: tuple[int, int] | None = field(default=None, compare=False)


class Files(Protocol):
    """Where files live: on disk below a root, or in memory."""

    def read(self, path: str) -> FileEntry | None:
        """What stands at `path`, None when nothing does; `HostError` when it is neither file nor link."""

    def write(self, path: str, entry: FileEntry) -> None:
        """Put `entry` at `path` in one step, making missing directories; `HostError` when that is impossible."""

    def remove(self, path: str) -> None:
        """Take away file or link at `path`; nothing there is fine."""

    def names(self, directory: str) -> list[str]:
        """Sorted names in a directory; empty when there is none."""


class DiskFiles:
    """`Files` on disk; an absolute `path` means the same path below `root`."""

    def __init__(self, root: Path) -> None:
        """`root` need not exist yet."""
        self.root = root
        self._swept: set[str] = set()

    def locate(self, path: str) -> Path:
        """The real place of `path`: its directory with links resolved, its last part as it is.

        `PathRefused` outside the root.
        """
        parts = path.split("/")
        if not path.startswith("/") or path.endswith("/") or "\0" in path or ".." in parts or "." in parts:
            raise PathRefused(f"{path!r} is not a plain absolute path")
        root = os.path.realpath(self.root)
        relative = path.strip("/")
        directory, _, name = relative.rpartition("/")
        parent = os.path.realpath(f"{root}/{directory}")
        if os.path.commonpath([root, parent]) != root:
            raise PathRefused(f"{path} leads out of the host's root by a symbolic link")
        return Path(parent, name)

    def read(self, path: str) -> FileEntry | None:
        """See `Files.read`. A path whose directory is missing or is a file holds nothing."""
        place = self.locate(path)
        try:
            with self._opened(place.parent) as directory:
                facts = os.stat(place.name, dir_fd=directory, follow_symlinks=False)
                owner = (facts.st_uid, facts.st_gid)
                if stat.S_ISLNK(facts.st_mode):
                    return FileEntry(target=os.readlink(place.name, dir_fd=directory), owner=owner)
                if not stat.S_ISREG(facts.st_mode):
                    raise HostError(f"{path} is neither a file nor a symbolic link")
                handle = os.open(place.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory)
                with os.fdopen(handle, "rb") as stream:
                    return FileEntry(stream.read(), stat.S_IMODE(facts.st_mode), owner=owner)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise HostError(os_reason(f"reading {path} failed", error)) from error

    def write(self, path: str, entry: FileEntry) -> None:
        """See `Files.write`. Written beside and renamed; file and directory are synced, so it survives a power cut."""
        place = self.locate(path)
        temporary = f"{_PREFIX}{secrets.token_hex(6)}{_SUFFIX}"
        try:
            with self._opened(place.parent, make=True) as directory:
                if str(place.parent) not in self._swept:
                    self._sweep(directory, str(place.parent))
                try:
                    _fill(temporary, directory, entry)
                    os.rename(temporary, place.name, src_dir_fd=directory, dst_dir_fd=directory)
                except BaseException:
                    with suppress(FileNotFoundError):
                        os.unlink(temporary, dir_fd=directory)
                    raise
                os.fsync(directory)
        except OSError as error:
            raise HostError(os_reason(f"writing {path} failed", error)) from error

    def remove(self, path: str) -> None:
        """See `Files.remove`; durable."""
        place = self.locate(path)
        try:
            with self._opened(place.parent) as directory:
                os.unlink(place.name, dir_fd=directory)
                os.fsync(directory)
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            raise HostError(os_reason(f"removing {path} failed", error)) from error

    def names(self, directory: str) -> list[str]:
        """See `Files.names`."""
        try:
            return sorted(place.name for place in self.locate(directory).iterdir())
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise HostError(os_reason(f"listing {directory} failed", error)) from error

    def sweep(self, directories: Iterable[str] | None = None) -> int:
        """Remove temporary files a killed writer left behind, in `directories` (host paths) or all below the root.

        Returns how many there were.
        """
        if directories is None:
            return sum(self._sweep(handle, place) for place, _, _, handle in os.fwalk(self.root))
        return sum(self._sweep_at(self.locate(directory)) for directory in directories)

    def _sweep_at(self, place: Path) -> int:
        self._swept.add(str(place))
        try:
            with self._opened(place) as directory:
                return self._sweep(directory, str(place))
        except (FileNotFoundError, NotADirectoryError):
            return 0

    def _sweep(self, directory: int, place: str) -> int:
        # Only one change runs at a time, so at this moment every such name is a leftover. Once per directory is
        # enough: our own writes clean up after themselves unless the process is killed.
        self._swept.add(place)
        left = [name for name in os.listdir(directory) if name.startswith(_PREFIX) and name.endswith(_SUFFIX)]
        for name in left:
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=directory)
        return len(left)

    @contextmanager
    def _opened(self, place: Path, *, make: bool = False) -> Iterator[int]:
        """A descriptor of a directory that `locate` gave, opened step by step from the root so that no new link is followed.

        `make` makes what is missing. Raises OSError.
        """
        root = os.path.realpath(self.root)
        if make and not os.path.lexists(root):
            make_directory(Path(root), 0o755)
        directory = os.open(root, _DIRECTORY)
        try:
            for name in place.relative_to(root).parts:
                following = _step(directory, name, make=make)
                os.close(directory)
                directory = following
            yield directory
        finally:
            os.close(directory)


def _step(directory: int, name: str, *, make: bool) -> int:
    """Open a directory in another one."""
    try:
        return os.open(name, _DIRECTORY, dir_fd=directory)
    except FileNotFoundError:
        if not make:
            raise
    with suppress(FileExistsError):
        os.mkdir(name, dir_fd=directory)
    made = os.open(name, _DIRECTORY, dir_fd=directory)
    os.fchmod(made, 0o755)
    os.fsync(directory)
    return made


def sync_directory(directory: Path) -> None:
    """Make renames and removals in `directory` durable."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make_directory(directory: Path, mode: int = 0o700) -> None:
    """Make a directory, and those above it that are missing; a loss of power takes none of them away again. Raises OSError."""
    missing = [one for one in (directory, *directory.parents) if not one.exists()]
    directory.mkdir(mode, parents=True, exist_ok=True)
    for one in missing:
        sync_directory(one.parent)


def _fill(temporary: str, directory: int, entry: FileEntry) -> None:
    if entry.target is not None:
        os.symlink(entry.target, temporary, dir_fd=directory)
    else:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=directory)
        with os.fdopen(handle, "wb") as stream:
            stream.write(entry.content)
            stream.flush()
            os.fchmod(stream.fileno(), entry.mode)
            os.fsync(stream.fileno())
    if entry.owner is not None and os.geteuid() == 0:
        os.chown(temporary, *entry.owner, dir_fd=directory, follow_symlinks=False)
