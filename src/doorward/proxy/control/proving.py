"""Looking at an SSH server as a client does: its identification, and a key exchange that it signs with a host key."""

from __future__ import annotations

import asyncio
import socket

import asyncssh

from doorward.host.errors import HostError

SECONDS = 20.0
"""How long it may take where the socket has no time-out of its own."""


def shown_key(source: socket.socket, name: str) -> str:
    """Return the host key, as ``type base64``, of the server behind a connected socket. Blocks. Raises HostError, or OSError."""
    seconds = source.gettimeout() or SECONDS
    try:
        return asyncio.run(_shown(source, name, seconds))
    except asyncssh.Error as error:
        raise HostError(f"{name} exchanges no keys of SSH: {error.reason}") from error
    except TimeoutError:
        raise HostError(f"{name} shows no host key in time") from None


async def _shown(source: socket.socket, name: str, seconds: float) -> str:
    source.setblocking(False)  # noqa: FBT003 - the name says it
    async with asyncio.timeout(seconds):
        key = await asyncssh.get_server_host_key(name, sock=source, config=None)
    if key is None:
        raise HostError(f"{name} shows no host key")
    return " ".join(key.export_public_key().decode("ascii").split()[:2])
