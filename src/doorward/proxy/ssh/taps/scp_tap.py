"""Follows the old protocol of scp, in both directions.

One side sends lines (``C0644 size name``, ``D`` and ``E`` for directories, ``T`` for times) and behind each ``C`` its bytes and a
zero; the other answers each with a zero, or a one or two and why not. (There is no standard; OpenSSH's ``scp.c`` is what counts.)
"""

from __future__ import annotations

import re
import shlex
from collections import deque
from typing import Any, Final

from doorward.proxy.ssh.taps.channel import ChannelLog
from doorward.proxy.ssh.taps.files import FileContent
from doorward.proxy.ssh.taps.raw import DecodingTap, UndecodableError, path_text
from doorward.recording.records import RecordKind

MAX_LINE: Final = 8192
MAX_DEPTH: Final = 256
_FILE = re.compile(rb"([CD])([0-7]{1,5}) ([0-9]{1,19}) ([^/\0]+)\Z")
_SCP = re.compile(r"(?:[\w./-]*/)?scp\s")
_PLAIN = re.compile(rb"E\Z|T[0-9]{1,20} [0-9]{1,6} [0-9]{1,20} [0-9]{1,6}\Z")


def scp_arguments(command: str) -> tuple[bool, str] | None:
    """Return whether a command is the receiving end of scp, and its path; None: it is no scp, or none of a client."""
    if not _SCP.match(command) or len(command) > MAX_LINE:
        return None
    try:
        words = shlex.split(command)
    except ValueError:
        return None
    options = {letter for word in words[1:] if word.startswith("-") and word != "--" for letter in word[1:]}
    paths = [word for word in words[1:] if not word.startswith("-")]
    if not options & {"t", "f"}:
        return None
    return "t" in options, " ".join(paths)


class ScpTap(DecodingTap):
    """One scp. ``receives``: the program at the target receives, so that the client sends. ``keep``: contents are recorded."""

    def __init__(self, log: ChannelLog, path: str, *, receives: bool, keep: bool) -> None:
        super().__init__(log)
        self._path, self._sends_down, self._keep = path, not receives, keep
        self._operation = "upload" if receives else "download"
        self._directories: list[str] = []
        self._line = bytearray()
        self._answer_line = bytearray()
        self._content: FileContent | None = None
        self._left = 0
        self._ends = False
        self._done: deque[FileContent] = deque()
        self._awaits: deque[str] = deque(["begin"])
        self._files = 0

    def decode(self, at: int, data: bytes, *, down: bool) -> None:
        """Follow the sender's lines and bytes, and the answers."""
        if down is self._sends_down:
            self._sent(at, memoryview(data))
        else:
            self._answered(at, data)

    def undecoded(self, *, down: bool) -> bytes:
        """Return the line that is not whole."""
        line = self._line if down is self._sends_down else self._answer_line
        rest = bytes(line)
        line.clear()
        return rest

    def _sent(self, at: int, data: memoryview) -> None:
        while data:
            if self._content is not None and self._left:
                piece = data[: self._left]
                self._content.add(at, self._content.size, bytes(piece))
                self._left -= len(piece)
                data = data[len(piece) :]
            elif self._content is not None:
                self._ended(at, data[0])
                data = data[1:]
            else:
                data = self._take_line(at, data)

    def _take_line(self, at: int, data: memoryview) -> memoryview:
        end = bytes(data[: MAX_LINE + 1]).find(b"\n")
        self._line += data[: end + 1 if end >= 0 else len(data)]
        if len(self._line) > MAX_LINE:
            raise UndecodableError("a line is too long")
        if end < 0:
            return data[len(data) :]
        try:
            self._control(at, bytes(self._line[:-1]))
        except UndecodableError:
            self._line += data[end + 1 :]  # so that it is recorded as it is
            raise
        self._line.clear()
        return data[end + 1 :]

    def _control(self, at: int, line: bytes) -> None:
        if line[:1] in {b"\1", b"\2"}:  # the sender says what it can't send
            self._log.facts(
                at, RecordKind.FILE, {"operation": self._operation, "path": self._path, "result": path_text(line[1:])}
            )
            return
        found = _FILE.match(line)
        if found is None:
            if not _PLAIN.match(line):
                raise UndecodableError("no line of scp")
            if line == b"E" and self._directories:
                self._directories.pop()
            self._await("line")
            return
        name = path_text(found[4])
        if found[1] == b"D":
            if len(self._directories) >= MAX_DEPTH:
                raise UndecodableError("directories are too deep")
            self._directories.append(name)
            self._await("directory")
            return
        self._left = int(found[3])
        path = "/".join([self._path, *self._directories, name])
        self._content = FileContent(self._log, self._operation, path, keep=self._keep)
        self._await("file")

    def _await(self, what: str) -> None:
        if len(self._awaits) >= MAX_DEPTH:
            raise UndecodableError("nobody answers")
        self._awaits.append(what)

    def _ended(self, at: int, status: int) -> None:
        """Take the byte behind a file."""
        content, self._content = self._content, None
        if content is None:
            raise UndecodableError("a file ended that had not begun")
        if status:  # the sender could not read it; a line follows that says why
            self._close(at, content, "failure")
            self._line += bytes((status,))
            return
        self._done.append(content)
        self._await("content")

    def _answered(self, at: int, data: bytes) -> None:
        for byte in data:
            if self._answer_line:
                self._answer_line.append(byte)
                if byte == ord("\n"):
                    self._outcome(at, path_text(bytes(self._answer_line[1:-1])) or "failure")
                    self._answer_line.clear()
                elif len(self._answer_line) > MAX_LINE:
                    raise UndecodableError("a line is too long")
            elif byte == 0:
                self._outcome(at, "ok")
            elif byte in {1, 2}:
                self._answer_line.append(byte)
            else:
                self._answer_line.append(byte)
                raise UndecodableError("no answer of scp")

    def _outcome(self, at: int, result: str) -> None:
        """Take the answer to what was sent first of what has none yet."""
        what = self._awaits.popleft() if self._awaits else "content"
        if what == "file" and result != "ok" and self._content is not None:  # it will not be sent
            content, self._content, self._left = self._content, None, 0
            self._close(at, content, result)
        elif what == "directory" and result != "ok" and self._directories:
            self._directories.pop()
        elif what == "content" and self._done:
            self._close(at, self._done.popleft(), result)

    def _close(self, at: int, content: FileContent, result: str) -> None:
        facts = content.close(at, result)
        self._files += 1
        self._log.text(at, "file", f"{facts['operation']} {facts['path']}")

    def finish(self, at: int, result: str) -> dict[str, Any]:
        """End what is on its way."""
        for content in (*self._done, *([self._content] if self._content is not None else [])):
            self._close(at, content, result)
        self._done.clear()
        self._content = None
        return {"files": self._files}
