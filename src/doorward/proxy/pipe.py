"""The narrow pipe between control and a worker: ``u32 length | MessagePack`` over a Unix socket, in one event loop.

Either side knows who is behind the other end by the credentials that the kernel tells. What does not fit ends the pipe: a message
too long, of no known type, with a descriptor where none belongs. Nothing grows: a side that is sent more than it reads is
disconnected, and no more is read than is taken. A descriptor goes with the first byte of its message.
"""

from __future__ import annotations

import array
import asyncio
import os
import socket
import struct
from collections import deque
from collections.abc import AsyncIterator, Collection
from pathlib import Path
from typing import Final, Generic, TypeVar

import msgspec

from doorward.proxy.local_sockets import check_peer, peer_of, short
from doorward.proxy.messages import MAX_MESSAGE, Begin, PipeMessage, Refuse, Show, ToControl, ToWorker

MAX_WAITING: Final = 8 << 20
"""Bytes that may wait for a peer which does not read; beyond it is disconnected."""
ROOM: Final = 1 << 20
"""Bytes below which what can wait, such as what viewers see, may be sent."""
MAX_TAKEN: Final = 1 << 20
"""Bytes of messages that may wait for whoever iterates; beyond nothing more is read."""

_LENGTH = struct.Struct(">I")
_PIECE = 1 << 18
_INT = array.array("i").itemsize
_CONTROL_SIZE = socket.CMSG_LEN(16 * _INT)
_encode = msgspec.msgpack.Encoder().encode

Got = TypeVar("Got", ToControl, ToWorker)


class PipeError(Exception):
    """The other side does not keep to the rules; the pipe is closed."""


class Pipe(Generic[Got]):
    """One end of a pipe. Iterate over it for the messages that come; it ends, without an error, when the pipe does.

    ``reason`` then says why. Belongs to the event loop in which it was made.
    """

    def __init__(self, connection: socket.socket, expected: object, *, descriptors: bool) -> None:
        connection.setblocking(False)  # noqa: FBT003 - the name of the method says it
        self._socket, self._descriptors = connection, descriptors
        self._decode = msgspec.msgpack.Decoder[Got](expected).decode
        self._loop = asyncio.get_running_loop()
        self._outgoing: deque[tuple[memoryview, int | None]] = deque()
        self._incoming = bytearray()
        self._received: deque[int] = deque()
        self._taken: deque[tuple[Got, int | None, int]] = deque()
        self._taken_bytes = 0
        self._arrived = asyncio.Event()
        self._drained = asyncio.Event()
        self._drained.set()
        self.waiting = 0
        """Bytes that the other side has not taken yet."""
        self.reason = ""
        self.closed = False
        self.pid, self.user, _ = peer_of(connection)
        self._loop.add_reader(connection, self._readable)
        self._reading = True

    def send(self, message: PipeMessage, descriptor: int | None = None) -> bool:
        """Send a message, without waiting; whether the pipe is open. ``descriptor`` is duplicated: the caller keeps its own."""
        if self.closed:
            return False
        body = _encode(message)
        if len(body) > MAX_MESSAGE:
            raise ValueError(f"{type(message).__name__} is too long")
        if self.waiting + len(body) > MAX_WAITING:
            self._end("the other side does not read")
            return False
        copy = os.dup(descriptor) if descriptor is not None else None
        self._outgoing.append((memoryview(_LENGTH.pack(len(body)) + body), copy))
        self.waiting += _LENGTH.size + len(body)
        if len(self._outgoing) == 1:
            self._writable()
        return not self.closed

    @property
    def has_room(self) -> bool:
        """Whether the other side keeps up, so that what can wait may be sent."""
        return not self.closed and self.waiting < ROOM

    async def drained(self) -> None:
        """Return once there is room, or the pipe is closed."""
        while not self.closed and self.waiting >= ROOM:
            self._drained.clear()
            await self._drained.wait()

    async def __aiter__(self) -> AsyncIterator[Got]:
        """Yield messages until the pipe ends."""
        async for message, descriptor in self.deliveries():
            if descriptor is not None:  # no message to this side brings one
                os.close(descriptor)
            yield message

    async def deliveries(self) -> AsyncIterator[tuple[Got, int | None]]:
        """Yield messages, each with the descriptor that came with it, which then belongs to the caller."""
        while True:
            while self._taken:
                message, descriptor, size = self._taken.popleft()
                self._taken_bytes -= size
                if not self._reading and not self.closed and self._taken_bytes < MAX_TAKEN:
                    self._loop.add_reader(self._socket, self._readable)
                    self._reading = True
                yield message, descriptor
            if self.closed:
                return
            self._arrived.clear()
            await self._arrived.wait()

    def close(self, reason: str = "closed here") -> None:
        """Close the pipe. What waits is lost, also what has come and was not taken."""
        self._end(reason)
        while self._taken:
            _, descriptor, _ = self._taken.popleft()
            _close(descriptor)

    def _end(self, reason: str) -> None:
        """Close the socket; what has come already may still be taken."""
        if self.closed:
            return
        self.closed, self.reason = True, reason
        self._loop.remove_reader(self._socket)
        self._loop.remove_writer(self._socket)
        self._socket.close()
        for _, descriptor in self._outgoing:
            _close(descriptor)
        self._outgoing.clear()
        while self._received:
            _close(self._received.popleft())
        self._arrived.set()
        self._drained.set()

    def _writable(self) -> None:
        """Send what goes without waiting."""
        while self._outgoing:
            data, descriptor = self._outgoing[0]
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [descriptor]))] if descriptor is not None else []
            try:
                sent = self._socket.sendmsg([data], rights)
            except (BlockingIOError, InterruptedError):
                self._loop.add_writer(self._socket, self._writable)
                return
            except OSError as error:
                self._end(error.strerror or "the pipe is broken")
                return
            _close(descriptor)
            self.waiting -= sent
            if sent == len(data):
                self._outgoing.popleft()
            else:
                self._outgoing[0] = (data[sent:], None)
            if self.waiting < ROOM:
                self._drained.set()
        self._loop.remove_writer(self._socket)

    def _readable(self) -> None:
        """Take what has come; everything that is wrong with it ends the pipe."""
        try:
            data, control, flags, _ = self._socket.recvmsg(_PIECE, _CONTROL_SIZE, socket.MSG_CMSG_CLOEXEC)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._end(error.strerror or "the pipe is broken")
            return
        for level, kind, content in control:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                self._received.extend(array.array("i", content[: len(content) - len(content) % _INT]))
        if not data:
            self._end("the other side closed it")
            return
        self._incoming += data
        try:
            if flags & socket.MSG_CTRUNC:
                raise PipeError("too many descriptors")
            self._parse()
        except (PipeError, msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
            self._end(f"it does not keep to the rules: {error}")

    def _parse(self) -> None:
        at = 0
        while len(self._incoming) - at >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._incoming, at)
            if length > MAX_MESSAGE:
                raise PipeError("a message is too long")
            end = at + _LENGTH.size + length
            if end > len(self._incoming):
                break
            with memoryview(self._incoming) as view:
                message = self._decode(view[at + _LENGTH.size : end])
            self._taken.append((message, self._descriptor_of(message), length))
            self._taken_bytes += length
            at = end
        del self._incoming[:at]
        if self._received and (not self._descriptors or not self._incoming or len(self._received) > 1):
            raise PipeError("a descriptor belongs to no message")
        if at:
            self._arrived.set()
        if self._reading and self._taken_bytes >= MAX_TAKEN:
            self._loop.remove_reader(self._socket)
            self._reading = False

    def _descriptor_of(self, message: Got) -> int | None:
        if not isinstance(message, Begin | Refuse | Show):
            return None
        if not self._received:
            raise PipeError("a socket is missing")
        return self._received.popleft()


class ControlEnd(Pipe[ToControl]):
    """The end of control: takes what workers say."""

    def __init__(self, connection: socket.socket) -> None:
        super().__init__(connection, ToControl, descriptors=False)


class WorkerEnd(Pipe[ToWorker]):
    """The end of a worker: takes what control says, and sockets of clients."""

    def __init__(self, connection: socket.socket) -> None:
        super().__init__(connection, ToWorker, descriptors=True)


async def connect(path: Path, users: Collection[int] | None = None) -> ControlEnd:
    """Connect to the socket of a worker, as control. ``users``: who it may run as; None: as this process.

    Raises OSError, or StrangerError where somebody else listens.
    """
    with short(path) as name:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.setblocking(False)  # noqa: FBT003 - the standard library's signature
            await asyncio.get_running_loop().sock_connect(connection, name)
            check_peer(connection, users)
        except BaseException:
            connection.close()
            raise
    return ControlEnd(connection)


def _close(descriptor: int | None) -> None:
    if descriptor is not None:
        os.close(descriptor)
