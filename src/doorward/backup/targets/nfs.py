"""Target ``nfs``: files on an NFS export, by libnfs; by a mount of the kernel where that is all there is (section 11.3)."""

from __future__ import annotations

import errno
import hashlib
import re
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from typing_extensions import override

from doorward.backup.failure import BackupError
from doorward.backup.targets import nfs_mount
from doorward.backup.targets.attempt import Secret, TargetAttempt, checked, reach
from doorward.backup.targets.directory import DrivenDirectory
from doorward.backup.targets.files import ExportFiles
from doorward.backup.targets.libnfs import LibnfsFiles
from doorward.backup.targets.libnfs_child import library
from doorward.backup.targets.limits import MAX_ARCHIVE
from doorward.backup.targets.port import TargetFile, bounded

_NFS, _PORTMAPPER = 2049, 111

_OTHER_VERSIONS = re.compile(r"not available on|not registered|PROG_MISMATCH|PROG_UNAVAIL")
"""What libnfs says of a server without NFSv3."""

_MEANINGS: dict[int, str] = {
    errno.ENOSPC: "no_space", errno.EFBIG: "no_space", errno.EDQUOT: "quota", errno.EROFS: "read_only_target",
    errno.EACCES: "permission_denied", errno.EPERM: "permission_denied",
    errno.ENOENT: "no_such_path", errno.ENOTDIR: "no_such_path", errno.ELOOP: "no_such_path", errno.ESTALE: "no_such_path",
    errno.EISDIR: "no_such_path", errno.EEXIST: "name_exists", errno.ETIMEDOUT: "stalled", errno.ECONNREFUSED: "connect",
    errno.EAGAIN: "server_busy", errno.EBUSY: "server_busy", errno.EMSGSIZE: "verify_failed",
}  # fmt: skip


def opened(target: Mapping[str, Any], _secret: Secret, attempt: TargetAttempt) -> NfsDirectory:
    """Reach the export with the first driver that can."""
    server, path = str(target["server"]["value"]), str(target["path"])
    address = _reached(attempt, server)
    attempt.begin("identify")
    if library() is not None and address is not None:
        attempt.begin("authenticate")
        files = LibnfsFiles(attempt)
        made = NfsDirectory(files, attempt)
        try:
            with made.asking("Mounting the export"):
                files.connect(address, path)
        except BackupError as failure:
            made.close()
            if failure.code == "permission_denied" and _absent(address, path, attempt):
                raise BackupError("no_such_path", failure.message) from None
            if failure.code != "protocol_unavailable":
                raise
        except BaseException:
            made.close()
            raise
        else:
            return made
    return NfsDirectory(nfs_mount.mounted(server, path, attempt), attempt)


def _reached(attempt: TargetAttempt, server: str) -> str | None:
    """Return the address with the port mapper that NFSv3 needs, for libnfs, which tries one only; None where there is none.

    Raises when the server has not even a port for NFS.
    """
    try:
        return reach(attempt, server, _PORTMAPPER)
    except BackupError as failure:
        if failure.code != "connect":
            raise
        reach(attempt, server, _NFS)
        return None


def _absent(server: str, path: str, attempt: TargetAttempt) -> bool:
    """Whether a path that was refused is not exported, or not there: some servers refuse what they do not have."""
    files = LibnfsFiles(attempt)
    try:
        shown = files.exports(server)
        above = [place.rstrip("/") for place in shown if path == place or path.startswith(f"{place.rstrip('/')}/")]
        if not shown or path in above:
            return False
        if not above:
            return True
        nearest = max(above, key=len)
        files.connect(server, nearest or "/")
        return files.status(path.removeprefix(nearest), follow=True) is None
    except OSError:
        return False
    finally:
        files.close()


class NfsDirectory(DrivenDirectory):
    """A directory of an NFS server."""

    def __init__(self, files: ExportFiles, attempt: TargetAttempt) -> None:
        super().__init__(attempt)
        self._files = files
        self._config = "/" + "/".join(attempt.directories)

    def prepare(self) -> None:
        """Make the directories one by one, where they are missing."""
        path = ""
        for name in self._attempt.directories:
            doing, path = f"Making the directory {name}", f"{path}/{name}"
            with self.asking(doing):
                found = self._files.status(path, follow=True)
                if found is None:
                    self._files.make_directory(path)
                elif not stat.S_ISDIR(found.mode):
                    raise self._attempt.failed("no_such_path", doing, "something else has the name of the directory")

    @override
    def names(self) -> list[TargetFile]:
        """List ``config``."""
        with self.asking("Listing the files"):
            if self._files.status(self._config, follow=True) is None:
                return []
            found = (TargetFile(*entry) for entry in self._files.entries(self._config))
            return bounded(self._attempt, "Listing the files", found)

    def put(self, name: str, content: Path) -> None:
        """Write a file."""
        doing = f"Writing {checked(name)}"
        final, temporary = f"{self._config}/{name}", f"{self._config}/.{name}.part"
        if self._holds(doing, final, content):
            return
        size = content.stat().st_size
        with self.asking(doing):
            with suppress(FileNotFoundError):  # of an earlier try; what it became by a link, it must stay
                self._files.unlink(temporary)
            try:
                found = self._files.write(temporary, content)
                if found != size:
                    raise self._attempt.failed("verify_failed", doing, f"{size} bytes were sent, {found} are there")
                self._files.publish(temporary, final)
            except BaseException as error:
                with suppress(OSError):
                    self._files.unlink(temporary)
                if isinstance(error, FileExistsError) and self._holds(doing, final, content):
                    return  # somebody else was faster, with the same
                raise
            shown = self._files.status(final)
        if shown is None or shown.size != size:
            raise self._attempt.failed("verify_failed", doing, "the file on the target is not the one that was sent")

    @override
    def fetch(self, name: str, into: Path, most: int = MAX_ARCHIVE) -> None:
        """Read a file."""
        doing, path = f"Reading {checked(name)}", f"{self._config}/{name}"
        with self.asking(doing):
            found = self._files.status(path)
            if found is None or not stat.S_ISREG(found.mode):
                raise self._attempt.failed("no_such_path", doing, "there is no file of that name")
        into.touch(mode=0o600, exist_ok=False)
        try:
            with self.asking(doing):
                self._files.read(path, into, most)
        except BaseException:
            into.unlink()
            raise

    def delete(self, name: str) -> None:
        """Delete a file."""
        doing = f"Deleting {checked(name)}"
        with self.asking(doing), suppress(FileNotFoundError):
            self._files.unlink(f"{self._config}/{name}")

    @override
    def close(self) -> None:
        """Let go of the server."""
        self._files.close()

    @override
    def _meaning(self, error: OSError) -> tuple[str, str]:
        words = error.strerror or "no reason given"
        if error.errno in {errno.EACCES, errno.EPERM}:
            with suppress(OSError):
                found = self._files.status(self._config, follow=True) or self._files.status("/", follow=True)
                if found is not None:
                    words = f"{words}; the directory there belongs to uid {found.owner}, mode {stat.S_IMODE(found.mode):o}"
        if error.errno in _MEANINGS:
            return _MEANINGS[error.errno], words
        return "protocol_unavailable" if _OTHER_VERSIONS.search(words) else "connection_lost", words

    def _holds(self, doing: str, path: str, content: Path) -> bool:
        """Whether there is a file of the name, with this content. Raises ``name_exists`` when it is something else."""
        with self.asking(doing):
            found = self._files.status(path)
        if found is None:
            return False
        same = stat.S_ISREG(found.mode) and found.size == content.stat().st_size
        if same:
            with self.asking(doing), content.open("rb") as source:
                ours = hashlib.file_digest(source, "sha256").hexdigest()
                try:
                    same = self._files.digest(path, found.size) == ours
                except OSError as error:
                    if error.errno != errno.EMSGSIZE:
                        raise
                    same = False  # it has grown since
        if not same:
            raise self._attempt.failed("name_exists", doing, "there is another file of that name")
        return True
