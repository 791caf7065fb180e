"""The file format of an archive: a gzip-compressed tar, in memory, that tells of every changed bit by itself.

The header of the gzip file has an extra field with the SHA-256 of the whole file (the field itself taken as zeros). Every tar and
every gzip skips it. Without it a bit could change in the compressed stream that comes to the same content.
"""

from __future__ import annotations

import hashlib
import hmac
import io
import os
import struct
import tarfile
from collections.abc import Iterable, Iterator
from typing import IO, Self, cast

from isal import isal_zlib

from doorward.backup.failure import BackupError

MAX_BYTES = 64 << 20
"""Bytes of an archive: what can be uploaded again (protocol, section 12)."""
MAX_CONTENT = 1 << 30
"""Bytes of everything in it."""
MAX_FILES = 1_000

# What has to be in memory at a time, whatever the archive: little of it may be a lot unpacked, and more as values of JSON.
STREAMED = "history/"
"""Files that may be long; they are read line by line, each time they are needed."""
MAX_HELD = 32 << 20
"""Bytes of all other files together, and of a line of the long ones."""
MAX_VALUES = 1_000_000
"""Values, members of objects and elements of arrays of a JSON file; each takes a hundred bytes or more of memory."""

_DIGEST = 32
_BEGINNING = b"\x1f\x8b\x08\x04"
_FIELD = struct.pack("<H2sH", 4 + _DIGEST, b"DW", _DIGEST)
_DIGEST_AT = 10 + len(_FIELD)
_LEVEL = 1
"""Of isal, about as small as level 6 of zlib and ten times as fast."""
_NotGzip = cast("type[Exception]", isal_zlib.IsalError)  # which the types of isal take for an exception itself
_CHUNK = 1 << 16
_FOREIGN = "It holds something that no archive holds."
_BLOCK = 1 << 18
"""Bytes that go through tar at a time; its own 10 KiB cost more calls than they are worth."""


class NotAnArchiveError(Exception):
    """A file is no archive of ours at all."""


class DamagedError(Exception):
    """An archive of ours is not as it was made. The text says where."""


def in_memory() -> IO[bytes]:
    """Return a file that lies in memory and on no disk."""
    return os.fdopen(os.memfd_create("doorward-archive", os.MFD_CLOEXEC), "w+b")


class _Compressor(io.RawIOBase):
    """Writes the gzip file; ``seconds`` is the Unix time in its header. Raises BackupError beyond the limit."""

    def __init__(self, into: IO[bytes], seconds: int) -> None:
        super().__init__()
        self._into, self._digest = into, hashlib.sha256()
        self._deflate = isal_zlib.compressobj(_LEVEL, isal_zlib.DEFLATED, -isal_zlib.MAX_WBITS)
        self._crc, self._size, self._written = 0, 0, 0
        self._put(_BEGINNING + struct.pack("<LBB", seconds & 0xFFFFFFFF, 0, 255) + _FIELD + bytes(_DIGEST))

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        view = memoryview(data)  # type: ignore[arg-type]
        self._crc = isal_zlib.crc32(view, self._crc)
        self._size += len(view)
        if self._size > MAX_CONTENT:
            raise BackupError("too_large", f"The archive would hold more than {MAX_CONTENT >> 20} MiB.")
        self._put(self._deflate.compress(view))
        return len(view)

    def finish(self) -> None:
        """Write the end, then the digest into the header."""
        self._put(self._deflate.flush() + struct.pack("<LL", self._crc, self._size & 0xFFFFFFFF))
        self._into.seek(_DIGEST_AT)
        self._into.write(self._digest.digest())
        self._into.flush()
        self._into.seek(0)

    def _put(self, data: bytes) -> None:
        self._written += len(data)
        if self._written > MAX_BYTES:
            message = f"The archive would have more than {MAX_BYTES >> 20} MiB and could not be uploaded again."
            raise BackupError("too_large", message)
        self._digest.update(data)
        self._into.write(data)


class _Reader(io.RawIOBase):
    """Chunks as a file, which is what tarfile reads from."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        super().__init__()
        self._chunks, self._rest = chunks, memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer)  # type: ignore[arg-type]
        while not self._rest:
            try:
                self._rest = memoryview(next(self._chunks))
            except StopIteration:
                return 0
        size = min(len(view), len(self._rest))
        view[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size


def write(parts: Iterable[tuple[str, int, Iterator[bytes]]], into: IO[bytes], seconds: int) -> None:
    """Write an archive of (path, size, content); ``seconds`` is the Unix time of every file. Raises BackupError too_large."""
    compressor = _Compressor(into, seconds)
    with tarfile.open(fileobj=compressor, mode="w|", bufsize=_BLOCK, format=tarfile.USTAR_FORMAT) as archive:
        archive.copybufsize = _BLOCK  # type: ignore[attr-defined]  # which typeshed does not know
        for path, size, chunks in parts:
            member = tarfile.TarInfo(path)
            member.size, member.mtime, member.mode = size, seconds, 0o600
            archive.addfile(member, io.BufferedReader(_Reader(chunks), _BLOCK))
    compressor.finish()


def has_too_many_values(data: bytes) -> bool:
    """Whether a JSON text holds more values than may be; what in its texts looks like another one counts as well."""
    return len(data) > MAX_VALUES and sum(data.count(sign) for sign in (b",", b"[", b"{")) > MAX_VALUES


def is_archive(beginning: bytes) -> bool:
    """Whether a file begins as archives of ours do."""
    return beginning[:4] == _BEGINNING and beginning[10:_DIGEST_AT] == _FIELD


def check_bytes(file: IO[bytes]) -> None:
    """Compare a file with the digest in its own header. Raises NotAnArchiveError or Damaged."""
    file.seek(0)
    head = file.read(_DIGEST_AT + _DIGEST)
    if not is_archive(head):
        raise NotAnArchiveError
    digest = hashlib.sha256(head[:_DIGEST_AT] + bytes(_DIGEST))
    while data := file.read(_CHUNK):
        digest.update(data)
    if not hmac.compare_digest(digest.digest(), head[_DIGEST_AT:]):
        raise DamagedError("It is not the file that was made: bytes of it were changed or are missing.")


class _Plain(tarfile.TarInfo):
    """A header of a plain file. Others are refused before tarfile reads what belongs to them into memory, however long."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        found = super().frombuf(buf, encoding, errors)
        if found.type != tarfile.REGTYPE:
            raise DamagedError(_FOREIGN)
        return found


def _unpacked(file: IO[bytes]) -> Iterator[bytes]:
    """Yield what a gzip file of one member holds, piece by piece. Raises IsalError or EOFError."""
    gzip = isal_zlib.decompressobj(wbits=16 + isal_zlib.MAX_WBITS)
    while not gzip.eof:
        packed = gzip.unconsumed_tail or file.read(_CHUNK)
        if not packed:
            raise EOFError
        if piece := gzip.decompress(packed, _BLOCK):
            yield piece


def members(file: IO[bytes]) -> Iterator[tuple[str, int, IO[bytes]]]:
    """Yield path, size and content of every file; each content is read before the next one. Raises Damaged."""
    file.seek(0)
    count, total = 0, 0
    try:
        with (
            io.BufferedReader(_Reader(_unpacked(file)), _BLOCK) as plain,
            tarfile.open(fileobj=plain, mode="r|", bufsize=_BLOCK, tarinfo=_Plain) as archive,
        ):
            for member in archive:
                content = archive.extractfile(member)
                count, total = count + 1, total + member.size
                if content is None or count > MAX_FILES or total > MAX_CONTENT:
                    raise DamagedError(_FOREIGN)
                yield member.name, member.size, content
    except (tarfile.TarError, OSError, EOFError, _NotGzip, ValueError) as error:
        raise DamagedError("It can't be unpacked.") from error
