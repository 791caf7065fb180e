"""Files on an SMB share, as a target needs them: the requests of the protocol, several of them on the way where one writes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from typing import Any, BinaryIO

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
from doorward.backup.targets.attempt import TargetAttempt
from doorward.backup.targets.port import TargetFile
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


class SmbFiles:
    """The files of one directory of a share, which need not be there. ``parts`` are those of its path.

    Everything raises BackupError, whose words begin with ``doing``.
    """

    def __init__(self, share: SmbShare, parts: list[str], attempt: TargetAttempt) -> None:
        self._share, self._parts, self._attempt = share, parts, attempt

    @contextmanager
    def directory(self, doing: str, parts: list[str], *, make: bool = False) -> Iterator[Open]:
        """Open a directory. ``make``: where it is missing."""
        disposition = CreateDisposition.FILE_OPEN_IF if make else CreateDisposition.FILE_OPEN
        directory = Open(self._share.tree, self._share.prefix + "\\".join(parts))
        with self._share.talking(doing):
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
        """Open a file of the directory. None there: ``no_such_path``."""
        file = Open(self._share.tree, self._share.prefix + "\\".join([*self._parts, name]))
        with self._share.talking(doing):
            file.create(
                ImpersonationLevel.Impersonation, access, FileAttributes.FILE_ATTRIBUTE_NORMAL, share, disposition, options
            )
        with self._closing(doing, file):
            yield file

    def read(self, doing: str, name: str) -> AbstractContextManager[Open]:
        """Open a file to read it. None there: ``no_such_path``."""
        return self._open(doing, name, _READ)

    def new(self, doing: str, name: str) -> AbstractContextManager[Open]:
        """Make an empty file, or empty the one that is there, to write it and to give it another name."""
        return self._open(doing, name, _WRITE, CreateDisposition.FILE_OVERWRITE_IF, share=0)

    def delete(self, doing: str, name: str) -> None:
        """Delete a file. None there: ``no_such_path``."""
        options = _A_FILE | CreateOptions.FILE_DELETE_ON_CLOSE
        with self._open(doing, name, FilePipePrinterAccessMask.DELETE, options=options):
            pass

    def size_of(self, doing: str, name: str) -> int:
        """Return the size of a file by its name. None there: ``no_such_path``."""
        with self._open(doing, name, FilePipePrinterAccessMask.FILE_READ_ATTRIBUTES, share=_SHARED) as file:
            return self.size(doing, file)

    @contextmanager
    def _closing(self, doing: str, file: Open) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            try:
                with self._share.talking(doing):
                    file.close()
            except BackupError:
                raise error from None
            raise
        with self._share.talking(doing):  # what was written may only now turn out not to fit
            file.close()

    def listed(self, doing: str, directory: Open) -> Iterator[TargetFile]:
        """Yield the files in an open directory."""
        flags = QueryDirectoryFlags.SMB2_RESTART_SCANS
        while True:
            with self._share.talking(doing):
                try:
                    found = directory.query_directory(
                        "*", FileInformationClass.FILE_DIRECTORY_INFORMATION, flags=flags, max_output=MAX_PAYLOAD_SIZE
                    )
                except (NoMoreFiles, NoSuchFile):
                    return
                entries = [_entry(each) for each in found if not each["file_attributes"].get_value() & _NO_FILE]
            flags = 0
            yield from entries

    def chunks(self, doing: str, file: Open) -> Iterator[bytes]:
        """Yield the content of a file."""
        offset, most = 0, min(_CHUNK, file.connection.max_read_size)
        while True:
            with self._share.talking(doing):
                try:
                    chunk: bytes = file.read(offset, most)
                except EndOfFile:
                    return
            if not chunk:
                return
            offset += len(chunk)
            yield chunk

    def write(self, doing: str, file: Open, source: BinaryIO) -> None:
        """Write all, several pieces on the way at a time, and have the server put it on the disk."""
        offset, most = 0, min(_PIECE, file.connection.max_write_size)
        sent: deque[tuple[int, Callable[[], int]]] = deque()
        while piece := source.read(most):
            while sent and (len(sent) == _ON_THE_WAY or self._share.credits < -(-len(piece) // _CREDIT_BYTES)):
                self._taken(doing, *sent.popleft())
            sent.append((len(piece), self._send(doing, file, piece, offset)))
            offset += len(piece)
        while sent:
            self._taken(doing, *sent.popleft())
        with self._share.talking(doing):
            file.flush()

    def _send(self, doing: str, file: Open, piece: bytes, offset: int) -> Callable[[], int]:
        """Send a piece of a file; what is returned waits for the answer and tells how many bytes were taken."""
        tree, connection = self._share.tree, self._share.connection
        with self._share.talking(doing):
            message, answered = file.write(piece, offset, send=False)
            wanted = _CREDITS if self._share.credits < _CREDITS else None  # else as many as it takes
            request = connection.send(message, tree.session.session_id, tree.tree_connect_id, credit_request=wanted)
        return partial(answered, request)

    def _taken(self, doing: str, size: int, answer: Callable[[], int]) -> None:
        """Wait until the server has taken a piece."""
        with self._share.talking(doing):
            taken = answer()
        if taken != size:
            raise self._attempt.failed("no_space", doing, f"only {taken} of {size} bytes were taken")

    def size(self, doing: str, file: Open) -> int:
        """Ask the server for the size of a file."""
        request = SMB2QueryInfoRequest()
        request["info_type"] = InfoType.SMB2_0_INFO_FILE
        request["file_info_class"] = FileInformationClass.FILE_STANDARD_INFORMATION
        request["output_buffer_length"] = 64
        request["file_id"] = file.file_id
        with self._share.talking(doing):
            answer = SMB2QueryInfoResponse()
            answer.unpack(self._ask(request))
            size = answer.parse_buffer(FileStandardInformation)["end_of_file"].get_value()
        return int(size)

    def rename(self, doing: str, file: Open, name: str) -> None:
        """Give an open file its final name, if that is free."""
        change = FileRenameInformation()
        change["replace_if_exists"] = False
        change["file_name"] = "\\".join([*self._parts, name])
        self._change(doing, file, FileInformationClass.FILE_RENAME_INFORMATION, change)

    def discard(self, doing: str, file: Open) -> None:
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
        with self._share.talking(doing):
            self._ask(request)

    def _ask(self, request: Any) -> bytes:
        tree, connection = self._share.tree, self._share.connection
        answer = connection.receive(connection.send(request, tree.session.session_id, tree.tree_connect_id))
        data: bytes = answer["data"].get_value()
        return data


def _entry(found: Any) -> TargetFile:
    """Return what a server says of a file. Raises anything where that makes no sense."""
    name = found["file_name"].get_value().decode("utf-16-le", errors="replace")
    return TargetFile(name, found["end_of_file"].get_value(), found["last_write_time"].get_value().timestamp())
