"""The second driver for NFS: a mount by the kernel, for servers that speak NFSv4 alone and machines without libnfs.

The mount lives in a mount namespace of its own, held by a process that ends with this one: nobody else on the machine sees
it, and it goes when the holder goes. Its files are reached through ``/proc/<holder>/root``.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from doorward.backup.failure import BackupFailure
from doorward.backup.targets.attempt import Attempt
from doorward.backup.targets.files import LocalTrouble, Status
from doorward.backup.targets.programs import run

_CHUNK = 1024 * 1024
_OPTIONS = "nosuid,nodev,noexec,soft,timeo=100,retrans=3"
_FILE_SYSTEMS = Path("/proc/filesystems")
_PROGRAMS = ("cat", "mount", "mount.nfs", "nsenter", "umount", "unshare")

# What mount.nfs says. In this order.
_MEANINGS = (
    ("access denied", "permission_denied"),
    ("No such file or directory", "no_such_path"),
    ("Connection refused", "connect"),
    ("Protocol not supported", "protocol_unavailable"),
    ("timed out", "timeout"),
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
    return ["unshare", "--mount", "--propagation", "private", "cat"]


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


def mounted(server: str, path: str, attempt: Attempt) -> MountedFiles:
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

    def __init__(self, directory: Path, attempt: Attempt) -> None:
        self._attempt = attempt
        self._directory, self._point = directory, directory / "mount"
        self._point.mkdir()
        self._holder = subprocess.Popen(holder(), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True)
        self._root = Path(f"/proc/{self._holder.pid}/root{self._point.absolute()}")

    def mount(self, doing: str, server: str, path: str) -> None:
        """Mount the export."""
        self._separate(doing)
        ended = self._run(doing, mount(self._holder.pid, server, path, self._point.absolute()))
        if ended:
            code = next((code for words, code in _MEANINGS if words in ended), "connect")
            raise self._attempt.failed(code, doing, ended)

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
        ended = run(self._attempt, doing, command, self._directory)
        return (ended.err.strip() or f"it ended with {ended.code}") if ended.code else ""

    def status(self, path: str, *, follow: bool = False) -> Status | None:
        """Return what is known of a path, None when there is nothing."""
        try:
            found = self._at(path).stat(follow_symlinks=follow)
        except FileNotFoundError:
            return None
        return Status(found.st_mode, found.st_size, found.st_uid)

    def make_directory(self, path: str) -> None:
        """Make a directory, mode 0700."""
        self._at(path).mkdir(mode=0o700)

    def entries(self, path: str) -> list[tuple[str, int, float]]:
        """Return name, size and time of the files in a directory."""
        found = [(place.name, place.lstat()) for place in self._at(path).iterdir()]
        return [(name, status.st_size, status.st_mtime) for name, status in found if stat.S_ISREG(status.st_mode)]

    def write(self, path: str, local: Path) -> int:
        """Write a file, mode 0600, on the disk of the server; return the size that it has there."""
        with local.open("rb") as source, open(self._at(path), "xb", opener=partial(os.open, mode=0o600)) as sink:
            while chunk := source.read(_CHUNK):
                self._attempt.check("Writing")
                sink.write(chunk)
            sink.flush()
            os.fsync(sink.fileno())
            return os.fstat(sink.fileno()).st_size

    def read(self, path: str, local: Path) -> None:
        """Copy a file into a local one, which is there and empty."""
        with local.open("wb") as sink:
            for chunk in self._chunks(path):
                try:
                    sink.write(chunk)
                    sink.flush()
                except OSError as error:
                    raise LocalTrouble(error.errno, error.strerror) from None

    def digest(self, path: str) -> str:
        """Return the SHA-256 of a file."""
        found = hashlib.sha256()
        for chunk in self._chunks(path):
            found.update(chunk)
        return found.hexdigest()

    def _chunks(self, path: str) -> Iterator[bytes]:
        with self._at(path).open("rb") as source:
            while chunk := source.read(_CHUNK):
                self._attempt.check("Reading")
                yield chunk

    def publish(self, temporary: str, final: str) -> None:
        """Give a file its final name. FileExistsError when that is taken."""
        try:
            self._at(final).hardlink_to(self._at(temporary))
        except OSError as error:
            if error.errno not in {errno.EOPNOTSUPP, errno.EPERM, errno.EMLINK}:
                raise
            if self.status(final) is not None:
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from None
            self._at(temporary).rename(self._at(final))
        else:
            self._at(temporary).unlink()
        self._sync(self._at(final).parent)

    def unlink(self, path: str) -> None:
        """Delete a file. FileNotFoundError when there is none."""
        self._at(path).unlink()

    def close(self) -> None:
        """Take the mount away; with the holder the whole namespace goes."""
        with suppress(BackupFailure, OSError):
            self._run("Unmounting the export", unmount(self._holder.pid, self._point.absolute()))
        self._holder.kill()
        self._holder.communicate()
        shutil.rmtree(self._directory, ignore_errors=True)

    def _at(self, path: str) -> Path:
        return self._root / path.lstrip("/")

    def _sync(self, directory: Path) -> None:
        handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
