"""Target ``smb``: files on an SMB 3 share, by smbprotocol (backup contract, section 11.2).

A file is written under its temporary name, flushed, its size read back and then renamed over the same handle, never onto a
name that is taken.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Self

from smbprotocol.connection import MAX_PAYLOAD_SIZE
from smbprotocol.exceptions import EndOfFile, NoMoreFiles, NoSuchFile
from smbprotocol.file_info import (
    FileAttributes,
    FileDispositionInformation,
    FileInformationClass,
    FileRenameInformation,
    FileStandardInformation,
    InfoType,
)
from smbprotocol.open import (
    CreateDisposition,
    CreateOptions,
    DirectoryAccessMask,
    FilePipePrinterAccessMask,
    ImpersonationLevel,
    Open,
    QueryDirectoryFlags,
    ShareAccess,
    SMB2QueryInfoRequest,
    SMB2QueryInfoResponse,
    SMB2SetInfoRequest,
)

from doorward.backup.failure import BackupError
from doorward.backup.targets.attempt import Secret, TargetAttempt, checked
from doorward.backup.targets.limits import MAX_ARCHIVE, MAX_MANIFEST
from doorward.backup.targets.port import TargetFile, bounded, one_by_one
from doorward.backup.targets.smb_session import SmbShare

_CHUNK = 1024 * 1024
_PIECE, _ON_THE_WAY = 256 * 1024, 8
"""What is written at a time, and how much of that without an answer: one by one, every piece would wait for both machines."""
_CREDIT_BYTES = 65536
_CREDITS = _ON_THE_WAY * _PIECE // _CREDIT_BYTES
_READ = FilePipePrinterAccessMask.FILE_READ_DATA | FilePipePrinterAccessMask.FILE_READ_ATTRIBUTES
_WRITE = (
    FilePipePrinterAccessMask.FILE_WRITE_DATA
    | FilePipePrinterAccessMask.FILE_READ_ATTRIBUTES
    | FilePipePrinterAccessMask.DELETE  # which renaming takes
)
_LIST = DirectoryAccessMask.FILE_LIST_DIRECTORY | DirectoryAccessMask.FILE_READ_ATTRIBUTES
_SHARED = ShareAccess.FILE_SHARE_READ | ShareAccess.FILE_SHARE_WRITE | ShareAccess.FILE_SHARE_DELETE
_A_FILE = CreateOptions.FILE_NON_DIRECTORY_FILE | CreateOptions.FILE_OPEN_REPARSE_POINT
_NO_FILE = FileAttributes.FILE_ATTRIBUTE_DIRECTORY | FileAttributes.FILE_ATTRIBUTE_REPARSE_POINT


def opened(target: Mapping[str, Any], secret: Secret, attempt: TargetAttempt) -> SmbDirectory:
    """Log in and see that the path is there."""
    made = SmbDirectory(SmbShare(target, secret, attempt), str(target["path"]), attempt)
    try:
        made.check_path()
    except BaseException:
        made.close()
        raise
    return made


class SmbDirectory:
    """A directory of a share."""

    def __init__(self, conversation: SmbShare, path: str, attempt: TargetAttempt) -> None:
        self._talk, self._attempt = conversation, attempt
        self._path = [part for part in path.split("/") if part]

    def check_path(self) -> None:
        """See that the path is a directory."""
        with self._directory("Opening the path", self._path):
            pass

    def prepare(self) -> None:
        """Make the directories one by one, where they are missing."""
        parts = list(self._path)
        for name in self._attempt.directories:
            parts.append(name)
            doing = f"Making the directory {name}"
            with self._writing(doing), self._directory(doing, parts, CreateDisposition.FILE_OPEN_IF):
                pass

    def names(self) -> list[TargetFile]:
        """List ``config``."""
        doing = "Listing the files"
        try:
            with self._directory(doing, self._config) as directory:
                return bounded(self._attempt, doing, self._listed(doing, directory))
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
            temporary = self._open(doing, f".{name}.part", _WRITE, CreateDisposition.FILE_OVERWRITE_IF, share=0)
            with temporary as file:
                try:
                    self._write(doing, file, source)
                    found = self._size(doing, file)
                    if found != size:
                        raise self._attempt.failed("verify_failed", doing, f"{size} bytes were sent, {found} are there")
                    self._rename(doing, file, name)
                except BackupError as failure:
                    self._discard(doing, file)
                    if failure.code != "name_exists" or not self._holds(doing, name, content):
                        raise
                    return  # somebody else was faster, with the same
        if self._stat(doing, name) != size:
            raise self._attempt.failed("verify_failed", doing, "the file on the target is not the one that was sent")

    def fetch(self, name: str, into: Path, most: int = MAX_ARCHIVE) -> None:
        """Read a file."""
        doing = f"Reading {checked(name)}"
        with self._open(doing, name, _READ) as file, open(into, "xb", opener=partial(os.open, mode=0o600)) as sink:
            try:
                for chunk in self._chunks(doing, file):
                    if sink.tell() + len(chunk) > most:
                        raise self._attempt.failed("verify_failed", doing, "the server sends more than was ever written there")
                    sink.write(chunk)
                sink.flush()
            except BaseException as error:
                into.unlink()
                if isinstance(error, OSError):
                    raise self._attempt.failed("no_local_space", doing, f"{error.strerror} on this machine") from None
                raise

    def fetch_all(self, names: Sequence[str], into: Path, most: int = MAX_MANIFEST) -> None:
        """Read files."""
        one_by_one(self, names, into, most)

    def delete(self, name: str) -> None:
        """Delete a file."""
        doing = f"Deleting {checked(name)}"
        options = _A_FILE | CreateOptions.FILE_DELETE_ON_CLOSE
        try:
            with self._writing(doing), self._open(doing, name, FilePipePrinterAccessMask.DELETE, options=options):
                pass
        except BackupError as failure:
            if failure.code != "no_such_path":
                raise

    def partial(self) -> list[TargetFile]:
        """List what has the name of a temporary file of ours."""
        return [entry for entry in self.names() if self._attempt.leftover(entry.name)]

    def close(self) -> None:
        """Log out."""
        self._talk.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    @property
    def _config(self) -> list[str]:
        return [*self._path, *self._attempt.directories]

    def _holds(self, doing: str, name: str, content: Path) -> bool:
        """Whether there is a file of the name, with this content. Raises ``name_exists`` when it has another one."""
        try:
            file = self._open(doing, name, _READ)
            with file as there, content.open("rb") as source:
                same = self._size(doing, there) == os.fstat(source.fileno()).st_size
                same = same and all(chunk == source.read(len(chunk)) for chunk in self._chunks(doing, there))
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
            if failure.code == "permission_denied" and not self._talk.writable():
                raise self._attempt.failed("read_only_target", doing, "the share is read-only for this account") from None
            raise

    @contextmanager
    def _directory(self, doing: str, parts: list[str], disposition: int = CreateDisposition.FILE_OPEN) -> Iterator[Open]:
        directory = Open(self._talk.tree, self._talk.prefix + "\\".join(parts))
        with self._talk.talking(doing):
            directory.create(
                ImpersonationLevel.Impersonation, _LIST, FileAttributes.FILE_ATTRIBUTE_DIRECTORY, _SHARED, disposition,
                CreateOptions.FILE_DIRECTORY_FILE,
            )  # fmt: skip
        with self._closing(doing, directory):
            yield directory

    @contextmanager
    def _open(
        self, doing: str, name: str, access: int, disposition: int = CreateDisposition.FILE_OPEN, *,
        share: int = ShareAccess.FILE_SHARE_READ, options: int = _A_FILE,
    ) -> Iterator[Open]:  # fmt: skip
        """Open a file in ``config``. None there: ``no_such_path``."""
        file = Open(self._talk.tree, self._talk.prefix + "\\".join([*self._config, name]))
        with self._talk.talking(doing):
            file.create(
                ImpersonationLevel.Impersonation, access, FileAttributes.FILE_ATTRIBUTE_NORMAL, share, disposition, options
            )
        with self._closing(doing, file):
            yield file

    @contextmanager
    def _closing(self, doing: str, file: Open) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            try:
                with self._talk.talking(doing):
                    file.close()
            except BackupError:
                raise error from None
            raise
        with self._talk.talking(doing):  # what was written may only now turn out not to fit
            file.close()

    def _listed(self, doing: str, directory: Open) -> Iterator[TargetFile]:
        flags = QueryDirectoryFlags.SMB2_RESTART_SCANS
        while True:
            with self._talk.talking(doing):
                try:
                    found = directory.query_directory(
                        "*", FileInformationClass.FILE_DIRECTORY_INFORMATION, flags=flags, max_output=MAX_PAYLOAD_SIZE
                    )
                except (NoMoreFiles, NoSuchFile):
                    return
                entries = [_entry(each) for each in found if not each["file_attributes"].get_value() & _NO_FILE]
            flags = 0
            yield from entries

    def _chunks(self, doing: str, file: Open) -> Iterator[bytes]:
        """Yield the content of a file."""
        offset, most = 0, min(_CHUNK, file.connection.max_read_size)
        while True:
            with self._talk.talking(doing):
                try:
                    chunk: bytes = file.read(offset, most)
                except EndOfFile:
                    return
            if not chunk:
                return
            offset += len(chunk)
            yield chunk

    def _write(self, doing: str, file: Open, source: BinaryIO) -> None:
        """Write all, several pieces on the way at a time, and have the server put it on the disk."""
        offset, most = 0, min(_PIECE, file.connection.max_write_size)
        sent: deque[tuple[int, Callable[[], int]]] = deque()
        while piece := source.read(most):
            while sent and (len(sent) == _ON_THE_WAY or self._talk.credits < -(-len(piece) // _CREDIT_BYTES)):
                self._taken(doing, *sent.popleft())
            sent.append((len(piece), self._send(doing, file, piece, offset)))
            offset += len(piece)
        while sent:
            self._taken(doing, *sent.popleft())
        with self._talk.talking(doing):
            file.flush()

    def _send(self, doing: str, file: Open, piece: bytes, offset: int) -> Callable[[], int]:
        """Send a piece of a file; what is returned waits for the answer and tells how many bytes were taken."""
        tree, connection = self._talk.tree, self._talk.connection
        with self._talk.talking(doing):
            message, answered = file.write(piece, offset, send=False)
            wanted = _CREDITS if self._talk.credits < _CREDITS else None  # else as many as it takes
            request = connection.send(message, tree.session.session_id, tree.tree_connect_id, credit_request=wanted)
        return partial(answered, request)

    def _taken(self, doing: str, size: int, answer: Callable[[], int]) -> None:
        """Wait until the server has taken a piece."""
        with self._talk.talking(doing):
            taken = answer()
        if taken != size:
            raise self._attempt.failed("no_space", doing, f"only {taken} of {size} bytes were taken")

    def _stat(self, doing: str, name: str) -> int:
        with self._open(doing, name, FilePipePrinterAccessMask.FILE_READ_ATTRIBUTES, share=_SHARED) as file:
            return self._size(doing, file)

    def _size(self, doing: str, file: Open) -> int:
        """Ask the server for the size of a file."""
        request = SMB2QueryInfoRequest()
        request["info_type"] = InfoType.SMB2_0_INFO_FILE
        request["file_info_class"] = FileInformationClass.FILE_STANDARD_INFORMATION
        request["output_buffer_length"] = 64
        request["file_id"] = file.file_id
        with self._talk.talking(doing):
            answer = SMB2QueryInfoResponse()
            answer.unpack(self._ask(request))
            size = answer.parse_buffer(FileStandardInformation)["end_of_file"].get_value()
        return int(size)

    def _rename(self, doing: str, file: Open, name: str) -> None:
        """Give an open file its final name, if that is free."""
        change = FileRenameInformation()
        change["replace_if_exists"] = False
        change["file_name"] = "\\".join([*self._config, name])
        self._change(doing, file, FileInformationClass.FILE_RENAME_INFORMATION, change)

    def _discard(self, doing: str, file: Open) -> None:
        """Delete an open file, if the server still listens."""
        change = FileDispositionInformation()
        change["delete_pending"] = True
        with suppress(BackupError):
            self._change(doing, file, FileInformationClass.FILE_DISPOSITION_INFORMATION, change)

    def _change(self, doing: str, file: Open, kind: int, change: Any) -> None:
        request = SMB2SetInfoRequest()
        request["info_type"] = InfoType.SMB2_0_INFO_FILE
        request["file_info_class"] = kind
        request["file_id"] = file.file_id
        request["buffer"] = change
        with self._talk.talking(doing):
            self._ask(request)

    def _ask(self, request: Any) -> bytes:
        tree, connection = self._talk.tree, self._talk.connection
        answer = connection.receive(connection.send(request, tree.session.session_id, tree.tree_connect_id))
        data: bytes = answer["data"].get_value()
        return data


def _entry(found: Any) -> TargetFile:
    """Return what a server says of a file. Raises anything where that makes no sense."""
    name = found["file_name"].get_value().decode("utf-16-le", errors="replace")
    return TargetFile(name, found["end_of_file"].get_value(), found["last_write_time"].get_value().timestamp())
