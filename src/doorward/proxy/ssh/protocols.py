"""What a worker does with the sockets of SSH clients: sessions, and refusals before anything else."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from typing import Final

from doorward.proxy.messages import Begin
from doorward.proxy.ssh.ports import Control, Observer
from doorward.proxy.ssh.session import Session
from doorward.proxy.ssh.wire.fields import string, uint32
from doorward.proxy.ssh.wire.numbers import Disconnect, Message

REFUSAL_SECONDS: Final = 5.0
"""How long a client that is refused may take to say who it is."""
_MAX_GREETING: Final = 8192
_BLOCK: Final = 8


class SshProtocols:
    """Sessions of SSH."""

    def session(self, client: socket.socket, begin: Begin, control: Control, observer: Observer) -> Session:
        """Return a session that takes over the socket."""
        return Session(client, begin, control, observer)

    async def refuse(self, client: socket.socket, reason: str) -> None:
        """Tell a client why it may not come in: before the key exchange, in clear (RFC 4253, sections 6 and 11.1)."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(REFUSAL_SECONDS):
            await loop.sock_sendall(client, b"SSH-2.0-Doorward\r\n" + refusal(reason))
            client.shutdown(socket.SHUT_WR)
            taken = 0
            while taken < _MAX_GREETING and (data := await loop.sock_recv(client, 4096)):
                taken += len(data)  # what is not read would have the kernel drop what was written


def refusal(reason: str) -> bytes:
    """Return the packet that ends a connection."""
    code = uint32(Disconnect.BY_APPLICATION)
    payload = bytes((Message.DISCONNECT,)) + code + string(reason) + string("")
    padding = 4 + -(len(payload) + 9) % _BLOCK
    return struct.pack(">IB", len(payload) + padding + 1, padding) + payload + os.urandom(padding)
