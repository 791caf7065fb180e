"""The second driver for NFS: a mount by the kernel, for servers that speak NFSv4 alone and machines without libnfs.

The mount lives in a mount namespace of its own, held by a process that ends with this one: nobody else on the machine sees
it, and it goes when the holder goes. Mounting takes root, so these programs keep it; the holder does not need it afterwards.

Its files are reached through one open directory, step by step from there, and no step follows a link: what a server calls
``config`` can't be a place of this machine. Nothing but plain files is ever read.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, Literal

from doorward.backup.failure import BackupError
from doorward.backup.targets.attempt import TargetAttempt
from doorward.backup.targets.files import LocalStorageError, PathStatus
from doorward.backup.targets.programs import run
from doorward.host import unprivileged

_CHUNK = 1024 * 1024
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_OPTIONS = "nosuid,nodev,noexec,soft,timeo=100,retrans=3"
_FILE_SYSTEMS = Path("/proc/filesystems")
_PROGRAMS = ("cat", "mount", "mount.nfs", "nsenter", "umount", "unshare")

# What mount.nfs says, as it says it: further on stand the names of the server and of the path. In this order.
_MEANINGS = (
    (r"mount\.nfs4?: access denied by server", "permission_denied"),
    (r"mount\.nfs4?: mounting \S.* failed, reason given by server: No such file or directory$", "no_such_path"),
    (r"mount\.nfs4?: Connection refused", "connect"),
    (r"mount\.nfs4?: (Protocol not supported|requested NFS version or transport)", "protocol_unavailable"),
    (r"mount\.nfs4?: (.*: )?Connection timed out", "timeout"),
)


def unusable() -> str | None:
    """Return why this machine cannot mount NFS, None when it can."""
    if os.geteuid() != 0:
        return "only root can mount"
    if absent := [program for program in _PROGRAMS if shutil.which(program, path=_search()) is None]:
        return f"{' and '.join(absent)} not installed"
    if not {"nfs", "nfs4"} & set(_FILE_SYSTEMS.read_text(encoding="ascii").split()):
        return "the kernel has no NFS client"
    return None


def holder() -> list[str]:
    """Return the command of the process that holds the namespace. It ends when its input does: at the latest with us."""
    return ["unshare", "--mount", "--propagation", "private", *unprivileged.command(["cat"])]


def mount(holding: int, server: str, path: str, directory: Path) -> list[str]:
    """Return the command that mounts an export in the namespace of a process."""
    host = f"[{server}]" if ":" in server else server
    return [*_inside(holding), "mount", "-t", "nfs", "-o", _OPTIONS, "--", f"{host}:{path}", str(directory)]


def unmount(holding: int, directory: Path) -> list[str]:
    """Return the command that takes the mount away, even from under a server that is gone."""
    return [*_inside(holding), "umount", "--lazy", "--force", "--", str(directory)]


def _inside(holding: int) -> list[str]:
    return ["nsenter", f"--mount=/proc/{holding}/ns/mnt", "--"]


def _search() -> str:
    return os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])


def mounted(server: str, path: str, attempt: TargetAttempt) -> MountedFiles:
    """Mount an export. Raises ``nfs_unavailable`` where nothing here can reach the server."""
    doing = "Mounting the export"
    if (reason := unusable()) is not None:
        raise attempt.failed("nfs_unavailable", doing, f"NFSv3 by libnfs is not possible, and {reason}")
    attempt.workdir.mkdir(parents=True, exist_ok=True)
    files = MountedFiles(Path(tempfile.mkdtemp(prefix="target-", dir=attempt.workdir)), attempt)
    try:
        files.mount(doing, server, path)
    except BaseException:
        files.close()
        raise
    return files


class MountedFiles:
    """An export that the kernel has mounted, for this process alone."""

    def __init__(self, directory: Path, attempt: TargetAttempt) -> None:
        self._attempt = attempt
        self._directory, self._point = directory, directory / "mount"
        self._point.mkdir()
        self._holder = subprocess.Popen(holder(), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True)
        self._root = -1

    def mount(self, doing: str, server: str, path: str) -> None:
        """Mount the export."""
        self._separate(doing)
        ended = self._run(doing, mount(self._holder.pid, server, path, self._point.absolute()))
        if ended:
            found = (code for words, code in _MEANINGS for line in ended.splitlines() if re.match(words, line.strip()))
            raise self._attempt.failed(next(found, "connect"), doing, ended)
        self.enter(Path(f"/proc/{self._holder.pid}/root{self._point.absolute()}"))

    def enter(self, root: Path) -> None:
        """Hold the root of the export open: everything is reached from there."""
        self._root = os.open(root, _DIRECTORY)

    def _separate(self, doing: str) -> None:
        """Wait until the holder has a namespace of its own."""
        ours = Path("/proc/self/ns/mnt").readlink()
        while Path(f"/proc/{self._holder.pid}/ns/mnt").readlink() == ours:
            self._attempt.check(doing)
            with suppress(subprocess.TimeoutExpired):
                self._holder.wait(0.01)
                raise self._attempt.failed("nfs_unavailable", doing, "no mount namespace can be made here")

    def _run(self, doing: str, command: Sequence[str]) -> str:
        """Run a command; return what it says when it fails."""
        ended = run(self._attempt, doing, command, self._directory, privileged=True)
        return (ended.err.strip() or f"it ended with {ended.code}") if ended.code else ""

    def status(self, path: str, *, follow: bool = False) -> PathStatus | None:
        """Return what is known of a path, None when there is nothing. A link is none that could be followed: OSError ELOOP."""
        try:
            with self._parent(path) as (parent, name):
                found = os.stat(name, dir_fd=parent, follow_symlinks=False)
        except FileNotFoundError:
            return None
        if follow and stat.S_ISLNK(found.st_mode):
            raise OSError(errno.ELOOP, "it is a link, which is not followed")
        return PathStatus(found.st_mode, found.st_size, found.st_uid)

    def make_directory(self, path: str) -> None:
        """Make a directory, mode 0700."""
        with self._parent(path) as (parent, name):
            os.mkdir(name, 0o700, dir_fd=parent)

    def entries(self, path: str) -> Iterator[tuple[str, int, float]]:
        """Return name, size and time of the files in a directory."""
        with self._parent(path) as (parent, name):
            directory = os.open(name, _DIRECTORY, dir_fd=parent)
        with _closing(directory), os.scandir(directory) as found:
            for entry in found:
                self._attempt.check("Listing the files")
                with suppress(FileNotFoundError):
                    status = entry.stat(follow_symlinks=False)
                    if stat.S_ISREG(status.st_mode):
                        yield entry.name, status.st_size, status.st_mtime

    def write(self, path: str, local: Path) -> int:
        """Write a file, mode 0600, on the disk of the server; return the size that it has there."""
        with local.open("rb") as source, self._open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, "wb") as sink:
            while chunk := source.read(_CHUNK):
                self._attempt.check("Writing")
                sink.write(chunk)
            sink.flush()
            os.fsync(sink.fileno())
            return os.fstat(sink.fileno()).st_size

    def read(self, path: str, local: Path, most: int) -> None:
        """Copy a file into a local one, which is there and empty, ``most`` bytes of it. Raises LocalStorageError."""
        with local.open("wb") as sink:
            for chunk in self._chunks(path, most):
                try:
                    sink.write(chunk)
                    sink.flush()
                except OSError as error:
                    raise LocalStorageError(error.errno, error.strerror) from None

    def digest(self, path: str, size: int) -> str:
        """Return the SHA-256 of a file of a size."""
        found = hashlib.sha256()
        for chunk in self._chunks(path, size):
            found.update(chunk)
        return found.hexdigest()

    def _chunks(self, path: str, most: int) -> Iterator[bytes]:
        read = 0
        with self._open(path, os.O_RDONLY, "rb") as source:
            while chunk := source.read(_CHUNK):
                self._attempt.check("Reading")
                read += len(chunk)
                if read > most:
                    raise OSError(errno.EMSGSIZE, "the server sends more than was ever written there")
                yield chunk

    def publish(self, temporary: str, final: str) -> None:
        """Give a file its final name. FileExistsError when that is taken."""
        with self._parent(temporary) as (source, old), self._parent(final) as (parent, new):
            try:
                os.link(old, new, src_dir_fd=source, dst_dir_fd=parent, follow_symlinks=False)
            except OSError as error:
                if error.errno not in {errno.EOPNOTSUPP, errno.EPERM, errno.EMLINK}:
                    raise
                if self.status(final) is not None:
                    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from None
                os.rename(old, new, src_dir_fd=source, dst_dir_fd=parent)
            else:
                os.unlink(old, dir_fd=source)
            os.fsync(parent)

    def unlink(self, path: str) -> None:
        """Delete a file. FileNotFoundError when there is none."""
        with self._parent(path) as (parent, name):
            os.unlink(name, dir_fd=parent)

    def close(self) -> None:
        """Take the mount away; with the holder the whole namespace goes."""
        if self._root >= 0:
            os.close(self._root)
            self._root = -1
        with suppress(BackupError, OSError):
            self._run("Unmounting the export", unmount(self._holder.pid, self._point.absolute()))
        self._holder.kill()
        self._holder.communicate()
        shutil.rmtree(self._directory, ignore_errors=True)

    @contextmanager
    def _parent(self, path: str) -> Iterator[tuple[int, str]]:
        """Give the open directory that a path leads into, and the last name. No link on the way is followed: OSError ELOOP."""
        *above, name = [part for part in path.split("/") if part] or ["."]
        with ExitStack() as stack:
            parent = self._root
            for part in above:
                parent = os.open(part, _DIRECTORY, dir_fd=parent)
                stack.enter_context(_closing(parent))
            yield parent, name

    @contextmanager
    def _open(self, path: str, flags: int, mode: Literal["rb", "wb"]) -> Iterator[IO[bytes]]:
        """Open a plain file, no link and nothing that would wait for somebody."""
        with self._parent(path) as (parent, name):
            file = os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600, dir_fd=parent)
        with os.fdopen(file, mode) as opened:
            if not stat.S_ISREG(os.fstat(file).st_mode):
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
            yield opened


@contextmanager
def _closing(descriptor: int) -> Iterator[None]:
    try:
        yield
    finally:
        os.close(descriptor)
