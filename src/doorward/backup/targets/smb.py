"""Target ``smb``: files on an SMB 3 share, by smbprotocol (backup contract, section 11.2).

A file is written under its temporary name, flushed, its size read back and then renamed over the same handle, never onto a
name that is taken.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from typing_extensions import override

from doorward.backup.failure import BackupError
from doorward.backup.targets.attempt import Secret, TargetAttempt, checked
from doorward.backup.targets.directory import TargetDirectory
from doorward.backup.targets.limits import MAX_ARCHIVE
from doorward.backup.targets.port import TargetFile, bounded
from doorward.backup.targets.smb_files import SmbFiles
from doorward.backup.targets.smb_session import SmbShare


def opened(target: Mapping[str, Any], secret: Secret, attempt: TargetAttempt) -> SmbDirectory:
    """Log in and see that the path is there."""
    made = SmbDirectory(SmbShare(target, secret, attempt), str(target["path"]), attempt)
    try:
        made.check_path()
    except BaseException:
        made.close()
        raise
    return made


class SmbDirectory(TargetDirectory):
    """A directory of a share."""

    def __init__(self, share: SmbShare, path: str, attempt: TargetAttempt) -> None:
        super().__init__(attempt)
        self._share = share
        self._path = [part for part in path.split("/") if part]
        self._config = [*self._path, *attempt.directories]
        self._files = SmbFiles(share, self._config, attempt)

    def check_path(self) -> None:
        """See that the path is a directory."""
        with self._files.directory("Opening the path", self._path):
            pass

    def prepare(self) -> None:
        """Make the directories one by one, where they are missing."""
        parts = list(self._path)
        for name in self._attempt.directories:
            parts.append(name)
            doing = f"Making the directory {name}"
            with self._writing(doing), self._files.directory(doing, parts, make=True):
                pass

    @override
    def names(self) -> list[TargetFile]:
        """List ``config``."""
        doing = "Listing the files"
        try:
            with self._files.directory(doing, self._config) as directory:
                return bounded(self._attempt, doing, self._files.listed(doing, directory))
        except BackupError as failure:
            if failure.code != "no_such_path":
                raise
        self.check_path()
        return []

    def put(self, name: str, content: Path) -> None:
        """Write a file."""
        doing = f"Writing {checked(name)}"
        if self._holds(doing, name, content):
            return
        with self._writing(doing), content.open("rb") as source:
            size = os.fstat(source.fileno()).st_size
            with self._files.new(doing, f".{name}.part") as file:
                try:
                    self._files.write(doing, file, source)
                    found = self._files.size(doing, file)
                    if found != size:
                        raise self._attempt.failed("verify_failed", doing, f"{size} bytes were sent, {found} are there")
                    self._files.rename(doing, file, name)
                except BackupError as failure:
                    self._files.discard(doing, file)
                    if failure.code != "name_exists" or not self._holds(doing, name, content):
                        raise
                    return  # somebody else was faster, with the same
        if self._files.size_of(doing, name) != size:
            raise self._attempt.failed("verify_failed", doing, "the file on the target is not the one that was sent")

    @override
    def fetch(self, name: str, into: Path, most: int = MAX_ARCHIVE) -> None:
        """Read a file."""
        doing = f"Reading {checked(name)}"
        with self._files.read(doing, name) as file, open(into, "xb", opener=partial(os.open, mode=0o600)) as sink:
            try:
                for chunk in self._files.chunks(doing, file):
                    if sink.tell() + len(chunk) > most:
                        raise self._attempt.failed("verify_failed", doing, "the server sends more than was ever written there")
                    sink.write(chunk)
                sink.flush()
            except BaseException as error:
                into.unlink()
                if isinstance(error, OSError):
                    raise self._attempt.failed("no_local_space", doing, f"{error.strerror} on this machine") from None
                raise

    def delete(self, name: str) -> None:
        """Delete a file."""
        doing = f"Deleting {checked(name)}"
        try:
            with self._writing(doing):
                self._files.delete(doing, name)
        except BackupError as failure:
            if failure.code != "no_such_path":
                raise

    @override
    def close(self) -> None:
        """Log out."""
        self._share.close()

    def _holds(self, doing: str, name: str, content: Path) -> bool:
        """Whether there is a file of the name, with this content. Raises ``name_exists`` when it has another one."""
        try:
            file = self._files.read(doing, name)
            with file as there, content.open("rb") as source:
                same = self._files.size(doing, there) == os.fstat(source.fileno()).st_size
                same = same and all(chunk == source.read(len(chunk)) for chunk in self._files.chunks(doing, there))
        except BackupError as failure:
            if failure.code == "no_such_path":
                return False
            raise
        if not same:
            raise self._attempt.failed("name_exists", doing, "there is another file of that name")
        return True

    @contextmanager
    def _writing(self, doing: str) -> Iterator[None]:
        """Tell a share that is read-only from a directory that is."""
        try:
            yield
        except BackupError as failure:
            if failure.code == "permission_denied" and not self._share.writable():
                raise self._attempt.failed("read_only_target", doing, "the share is read-only for this account") from None
            raise
