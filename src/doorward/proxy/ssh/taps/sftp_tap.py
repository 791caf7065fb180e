"""Follows SFTP: which files were read and written, with size and SHA-256; what was removed, renamed and made; what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from doorward.proxy.ssh.taps.channel import ChannelLog
from doorward.proxy.ssh.taps.files import FileContent
from doorward.proxy.ssh.taps.raw import DecodingTap, UndecodableError, path_text
from doorward.proxy.ssh.taps.sftp_packets import RESULTS, Buffer, Packet, PacketFields
from doorward.recording.records import RecordKind

MAX_PENDING: Final = 65_536
"""Requests without an answer. Some clients ask for all pieces of a file at once."""
MAX_HANDLES: Final = 4096
_MAX_HANDLE: Final = 256
_WRITES: Final = 0x02 | 0x08 | 0x10
"""Flags of OPEN: write, create, truncate."""
_ATTRIBUTE_SIZE, _ATTRIBUTE_OWNER, _ATTRIBUTE_MODE = 1, 2, 4

_OPERATIONS = {
    Packet.REMOVE: "remove", Packet.MKDIR: "make directory", Packet.RMDIR: "remove directory", Packet.OPENDIR: "list",
    Packet.SETSTAT: "change attributes", Packet.FSETSTAT: "change attributes", Packet.RENAME: "rename", Packet.SYMLINK: "link",
}  # fmt: skip
_EXTENSIONS = {
    b"posix-rename@openssh.com": "rename", b"hardlink@openssh.com": "hard link", b"lsetstat@openssh.com": "change attributes",
}  # fmt: skip


@dataclass(slots=True)
class _File:
    """An open file."""

    path: str
    writes: bool
    directory: bool = False
    up: FileContent | None = None
    down: FileContent | None = None
    failure: str = ""


@dataclass(slots=True)
class _Request:
    """What an answer is awaited to."""

    packet: int
    handle: bytes = b""
    offset: int = 0
    facts: dict[str, Any] = field(default_factory=dict)
    writes: bool = False


class SftpTap(DecodingTap):
    """One SFTP subsystem. ``keep``: contents are recorded."""

    def __init__(self, log: ChannelLog, *, keep: bool) -> None:
        super().__init__(log)
        self._keep = keep
        self._buffers = {True: Buffer(), False: Buffer()}
        self._pending: dict[int, _Request] = {}
        self._files: dict[bytes, _File] = {}
        self._transfers = 0

    def decode(self, at: int, data: bytes, *, down: bool) -> None:
        """Follow packets."""
        buffer = self._buffers[down]
        buffer.feed(data)
        while (packet := buffer.next()) is not None:
            fields = PacketFields(packet)
            kind = fields.byte()
            if kind in {Packet.INIT, Packet.VERSION}:
                continue
            number = fields.number()
            if down:
                self._answer(at, kind, number, fields)
            else:
                self._ask(at, kind, number, fields)

    def undecoded(self, *, down: bool) -> bytes:
        """Return what is no whole packet."""
        return self._buffers[down].rest()

    def _ask(self, at: int, kind: int, number: int, fields: PacketFields) -> None:
        if len(self._pending) >= MAX_PENDING or number in self._pending:
            raise UndecodableError("too many requests without an answer, or two of one number")
        self._pending[number] = self._request(at, kind, fields)

    def _request(self, at: int, kind: int, fields: PacketFields) -> _Request:
        match kind:
            case Packet.OPEN:
                path, flags = path_text(fields.string()), fields.number()
                request = _Request(kind, facts={"operation": "open", "path": path}, writes=bool(flags & _WRITES))
            case Packet.READ:
                request = _Request(kind, self._handle(fields), fields.long())
            case Packet.WRITE:
                handle, offset = self._handle(fields), fields.long()
                self._written(at, handle, offset, fields.string())
                request = _Request(kind, handle)
            case Packet.CLOSE:
                request = _Request(kind, self._handle(fields))
            case Packet.EXTENDED:
                request = _Request(kind, facts=self._extended(fields))
            case _:
                request = _Request(kind, facts=self._operation(kind, fields))
        return request

    def _operation(self, kind: int, fields: PacketFields) -> dict[str, Any]:
        """Return what a request asks for that needs no open file; nothing for those that only look."""
        if kind not in _OPERATIONS:
            return {}
        operation = {"operation": _OPERATIONS[Packet(kind)]}
        if kind == Packet.FSETSTAT:
            file = self._files.get(self._handle(fields))
            return {**operation, "path": file.path if file else "", **_attributes(fields)}
        path = {"path": path_text(fields.string())}
        if kind == Packet.SETSTAT:
            return {**operation, **path, **_attributes(fields)}
        if kind in {Packet.RENAME, Packet.SYMLINK}:
            return {**operation, **path, "to": path_text(fields.string())}
        return {**operation, **path}

    def _extended(self, fields: PacketFields) -> dict[str, Any]:
        name = fields.string()
        if name == b"copy-data":
            source, _, _, to = self._handle(fields), fields.long(), fields.long(), self._handle(fields)
            paths = [file.path if (file := self._files.get(handle)) else "" for handle in (source, to)]
            return {"operation": "copy", "path": paths[0], "to": paths[1]}
        if name not in _EXTENSIONS:
            return {}
        path = {"operation": _EXTENSIONS[name], "path": path_text(fields.string())}
        return {**path, **_attributes(fields)} if name.startswith(b"lsetstat") else {**path, "to": path_text(fields.string())}

    def _handle(self, fields: PacketFields) -> bytes:
        handle = fields.string()
        if len(handle) > _MAX_HANDLE:
            raise UndecodableError("a handle is too long")
        return handle

    def _written(self, at: int, handle: bytes, offset: int, data: bytes) -> None:
        file = self._files.get(handle)
        if file is None:  # the server will refuse it; what was sent is recorded all the same
            file = self._files[handle] = self._room(_File("", writes=True))
        if file.up is None:
            file.up = FileContent(self._log, "upload", file.path, keep=self._keep)
        file.up.add(at, offset, data)

    def _room(self, file: _File) -> _File:
        if len(self._files) >= MAX_HANDLES:
            raise UndecodableError("too many open files")
        return file

    def _answer(self, at: int, kind: int, number: int, fields: PacketFields) -> None:
        request = self._pending.pop(number, None)
        if request is None:
            raise UndecodableError("an answer to nothing")
        match kind:
            case Packet.HANDLE:
                self._opened(at, request, self._handle(fields))
            case Packet.DATA if request.packet == Packet.READ:
                self._read(at, request, fields.string())
            case Packet.STATUS:
                self._status(at, request, fields.number())
            case _:
                if kind == Packet.DATA:
                    raise UndecodableError("data that nobody asked for")

    def _opened(self, at: int, request: _Request, handle: bytes) -> None:
        path, directory = str(request.facts.get("path", "")), request.packet == Packet.OPENDIR
        self._files[handle] = self._room(_File(path, request.writes, directory))
        if directory:
            self._done(at, request.facts, "ok")

    def _read(self, at: int, request: _Request, data: bytes) -> None:
        file = self._files.get(request.handle)
        if file is None:
            file = self._files[request.handle] = self._room(_File("", writes=False))
        if file.down is None:
            file.down = FileContent(self._log, "download", file.path, keep=self._keep)
        file.down.add(at, request.offset, data)

    def _status(self, at: int, request: _Request, code: int) -> None:
        result = RESULTS[code] if code < len(RESULTS) else f"status {code}"
        if request.packet == Packet.CLOSE:
            self._closed(at, request.handle, result)
        elif request.packet == Packet.WRITE:
            file = self._files.get(request.handle)
            if code and file is not None and not file.failure:
                file.failure = result
        elif request.facts:
            self._done(at, request.facts, result)

    def _closed(self, at: int, handle: bytes, result: str) -> None:
        file = self._files.pop(handle, None)
        if file is None or file.directory:
            return
        if file.up is None and file.down is None:
            if file.writes:  # an empty file was made
                file.up = FileContent(self._log, "upload", file.path, keep=False)
            else:
                self._done(at, {"operation": "open", "path": file.path}, result)
        for content, outcome in ((file.up, file.failure or result), (file.down, result)):
            if content is not None:
                facts = content.close(at, outcome)
                self._transfers += 1
                self._log.text(at, "file", f"{facts['operation']} {file.path}")

    def _done(self, at: int, facts: dict[str, Any], result: str) -> None:
        self._log.facts(at, RecordKind.FILE, {**facts, "result": result})
        to = f" {facts['to']}" if "to" in facts else ""
        self._log.text(at, "file", f"{facts['operation']} {facts['path']}{to}")

    def finish(self, at: int, result: str) -> dict[str, Any]:
        """End the files that are open."""
        for handle in list(self._files):
            self._closed(at, handle, result)
        return {"files": self._transfers}


def _attributes(fields: PacketFields) -> dict[str, Any]:
    """Return size and mode out of the attributes of version 3."""
    flags = fields.number()
    facts: dict[str, Any] = {}
    if flags & _ATTRIBUTE_SIZE:
        facts["size"] = fields.long()
    if flags & _ATTRIBUTE_OWNER:
        facts["owner"], facts["group"] = fields.number(), fields.number()
    if flags & _ATTRIBUTE_MODE:
        facts["mode"] = f"{fields.number() & 0o7777:04o}"
    return facts
