"""Telling an SSH client why it may not come in, before any key exchange (RFC 4253, sections 4.2 and 11.1)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct

SECONDS = 3.0
"""How long a client may take to hear it."""
MAX_AT_ONCE = 200
"""Beyond it connections are closed without a word."""
IDENTIFICATION = b"SSH-2.0-Doorward\r\n"
_DISCONNECT = 1
_BY_APPLICATION = 11
_BLOCK = 8

_slots = asyncio.Semaphore(MAX_AT_ONCE)


def packet(reason: str) -> bytes:
    """Return the message that ends a connection, as it goes before keys are exchanged (RFC 4253, section 6)."""
    words = reason.encode()
    payload = struct.pack(">BII", _DISCONNECT, _BY_APPLICATION, len(words)) + words + struct.pack(">I", 0)
    padding = _BLOCK - (5 + len(payload)) % _BLOCK
    padding += _BLOCK if padding < 4 else 0  # noqa: PLR2004 - no less, says the section
    return struct.pack(">IB", 1 + len(payload) + padding, padding) + payload + os.urandom(padding)


async def refuse(connection: socket.socket, reason: str) -> None:
    """Tell a client, and close the connection. It is read from for a moment: unread bytes would take the words back."""
    with connection, contextlib.suppress(OSError, TimeoutError):
        if _slots.locked():
            return
        loop = asyncio.get_running_loop()
        async with _slots, asyncio.timeout(SECONDS):
            await loop.sock_sendall(connection, IDENTIFICATION + packet(reason))
            connection.shutdown(socket.SHUT_WR)
            while await loop.sock_recv(connection, 4096):
                pass
