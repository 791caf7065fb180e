"""What has to arrive at control: kept until control says that it is durable there, and sent again after each reconnect.

The ends of sessions lie beside their trails as ``<session>.end`` (a sequence of ``u32 length | MessagePack``): they outlive the
worker, and whichever worker next speaks to control delivers them. Text, which may be for auditors alone, is not among it.
"""

from __future__ import annotations

import os
import re
import struct
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec
import structlog

from doorward.proxy.messages import MAX_MESSAGE, Ended, PipeMessage, Text, ToControl, WantSeal

SUFFIX: Final = ".end"
MAX_KEPT: Final = 1 << 20
"""Bytes that are kept for one session while control does not answer; what is oldest goes first, text before all else."""
MAX_KEPT_IN_ALL: Final = 32 << 20
"""Bytes that are kept for all sessions; beyond it those that ended are forgotten, since their end records are on the disk."""
MAX_SERIAL: Final = 1 << 53
"""Of the end of a session whose worker died: nothing of it comes later."""

_LENGTH = struct.Struct(">I")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]{21}\Z")
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder[ToControl](ToControl).decode

log = structlog.get_logger()


@dataclass(slots=True)
class _Kept:
    """What is kept of one session."""

    serial: int = 0
    messages: deque[tuple[int, PipeMessage, int]] = field(default_factory=deque)
    size: int = 0
    ended: bool = False


class Outbox:
    """All of a worker. ``send`` gives a message to control, if it is there."""

    def __init__(self, trails: Path, send: Callable[[PipeMessage], bool]) -> None:
        self._trails, self._send = trails, send
        self._sessions: dict[str, _Kept] = {}
        self._size = 0

    def tell(self, message: PipeMessage) -> None:
        """Send something that has to arrive; it is kept until it is noted."""
        kept = self._sessions.setdefault(_session_of(message), _Kept())
        message = self._numbered(kept, message)
        self._send(message)

    def _numbered(self, kept: _Kept, message: PipeMessage) -> PipeMessage:
        kept.serial += 1
        message = msgspec.structs.replace(message, serial=kept.serial)
        size = len(_encode(message))
        if size > MAX_MESSAGE:
            raise ValueError(f"{type(message).__name__} is too long")
        kept.messages.append((kept.serial, message, size))
        kept.size += size
        kept.ended = kept.ended or isinstance(message, Ended)
        self._size += size
        while kept.size > MAX_KEPT and len(kept.messages) > 1:
            self._drop_one(kept)
        if self._size > MAX_KEPT_IN_ALL:
            for session in [session for session, other in self._sessions.items() if other.ended and other is not kept]:
                self._size -= self._sessions.pop(session).size
        return message

    def _drop_one(self, kept: _Kept) -> None:
        found = next((index for index, (_, message, _) in enumerate(kept.messages) if isinstance(message, Text)), 0)
        size = kept.messages[found][2]
        kept.size -= size
        self._size -= size
        del kept.messages[found]

    def end_record(self, ended: Ended, unsealed: WantSeal | None) -> bytes:
        """Return what is to lie beside the trail of a session that ends: everything of it that is not noted, but for text."""
        kept = self._sessions.setdefault(ended.session, _Kept())
        messages = [message for _, message, _ in kept.messages if not isinstance(message, Text)]
        last = msgspec.structs.replace(ended, serial=kept.serial + 1)
        return packed([*([unsealed] if unsealed is not None else []), *messages, last])

    def keep_end(self, session: str, record: bytes) -> None:
        """Make an end record durable. Raises OSError. May run in another thread."""
        write_end(self._trails, session, record)

    def noted(self, session: str, serial: int) -> None:
        """Take that everything of a session up to a serial is durable at control."""
        kept = self._sessions.get(session)
        ended = True
        if kept is not None:
            while kept.messages and kept.messages[0][0] <= serial:
                _, _, size = kept.messages.popleft()
                kept.size -= size
                self._size -= size
            ended = kept.ended and not kept.messages
            if ended:
                del self._sessions[session]
        if ended and _NAME.match(session):
            found = read_end(self._trails / f"{session}{SUFFIX}")
            if all(message.serial <= serial for message in found if isinstance(message, Ended)):
                self._reduce(session, [message for message in found if isinstance(message, WantSeal)])

    def _reduce(self, session: str, left: Sequence[PipeMessage]) -> None:
        """Leave so much of an end record; nothing: it goes."""
        if left:
            write_end(self._trails, session, packed(left))
        else:
            (self._trails / f"{session}{SUFFIX}").unlink(missing_ok=True)

    def deliver(self) -> None:
        """Send everything that is kept, after control has connected: of sessions here, and ends that others left."""
        for kept in self._sessions.values():
            for _, message, _ in kept.messages:
                self._send(message)
        for path in sorted(self._trails.glob(f"*{SUFFIX}")):
            is_told = path.name.removesuffix(SUFFIX) in self._sessions
            for message in read_end(path):
                if not is_told or isinstance(message, WantSeal):
                    self._send(message)

    def unsealed(self, session: str) -> WantSeal | None:
        """Return what of a closed trail waits for its last seal."""
        if not _NAME.match(session):
            return None
        found = read_end(self._trails / f"{session}{SUFFIX}")
        return next((message for message in found if isinstance(message, WantSeal)), None)

    def forget_unsealed(self, session: str) -> None:
        """Take that a closed trail has its last seal."""
        found = read_end(self._trails / f"{session}{SUFFIX}")
        self._reduce(session, [message for message in found if not isinstance(message, WantSeal)])


def _session_of(message: PipeMessage) -> str:
    return str(getattr(message, "session", ""))


def packed(messages: Sequence[PipeMessage]) -> bytes:
    """Return messages as an end record has them."""
    return b"".join(_LENGTH.pack(len(body)) + body for body in map(_encode, messages))


def write_end(trails: Path, session: str, record: bytes) -> None:
    """Write an end record, whole or not at all, and durable. Raises OSError."""
    if not _NAME.match(session):
        raise ValueError(session)
    directory = os.open(trails, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(f".{session}{SUFFIX}", flags, 0o600, dir_fd=directory), "wb") as file:
            file.write(record)
            file.flush()
            os.fsync(file.fileno())
        os.rename(f".{session}{SUFFIX}", f"{session}{SUFFIX}", src_dir_fd=directory, dst_dir_fd=directory)
        os.fsync(directory)
    finally:
        os.close(directory)


def read_end(path: Path) -> list[ToControl]:
    """Return the messages of an end record; what can't be read of it is left out."""
    try:
        data = path.read_bytes()
    except OSError:
        return []
    return list(_messages(path.name, data))


def _messages(name: str, data: bytes) -> Iterator[ToControl]:
    at = 0
    while at + _LENGTH.size <= len(data):
        (length,) = _LENGTH.unpack_from(data, at)
        at += _LENGTH.size
        try:
            yield _decode(data[at : at + length])
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            log.warning("end record can't be read", file=name)
            return
        at += length
