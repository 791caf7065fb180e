"""What a worker does with the sockets of SSH clients: sessions, and refusals before anything else."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import Sequence
from typing import Final

from doorward.proxy.messages import Begin
from doorward.proxy.ssh.legs.client_leg import ClientLeg
from doorward.proxy.ssh.ports import Control, Observer
from doorward.proxy.ssh.session import SshSession
from doorward.proxy.ssh.wire.fields import string, uint32
from doorward.proxy.ssh.wire.numbers import Disconnect, Message
from doorward.sessions.rules import AlgorithmLists, SessionSettings

REFUSAL_SECONDS: Final = 5.0
"""How long a client that is refused may take to say who it is."""
PROOF_SECONDS: Final = 20.0
_MAX_GREETING: Final = 8192
_BLOCK: Final = 8
_HOST_KEYS: Final = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "rsa-sha2-512")
_ALGORITHMS: Final = AlgorithmLists(
    kex=("curve25519-sha256",),
    host_key=_HOST_KEYS,
    cipher=("aes128-gcm@openssh.com",),
    mac=("hmac-sha2-256",),
    compression=("none",),
)
_PROOF: Final = SessionSettings(client=_ALGORITHMS, server=_ALGORITHMS)
"""What a client of ours is offered that looks at a host key."""


class SshProtocols:
    """Sessions of SSH."""

    def session(self, client: socket.socket, begin: Begin, control: Control, observer: Observer) -> SshSession:
        """Return a session that takes over the socket."""
        return SshSession(client, begin, control, observer)

    async def refuse(self, client: socket.socket, reason: str) -> None:
        """Tell a client why it may not come in: before the key exchange, in clear (RFC 4253, sections 6 and 11.1)."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(REFUSAL_SECONDS):
            await loop.sock_sendall(client, b"SSH-2.0-Doorward\r\n" + refusal(reason))
            client.shutdown(socket.SHUT_WR)
            taken = 0
            while taken < _MAX_GREETING and (data := await loop.sock_recv(client, 4096)):
                taken += len(data)  # what is not read would have the kernel drop what was written

    async def show(self, client: socket.socket, host_keys: Sequence[bytes]) -> None:
        """Exchange keys, and wait until who connected has seen enough."""
        leg = ClientLeg(client, _PROOF, host_keys)
        try:
            async with asyncio.timeout(PROOF_SECONDS):
                leg.start()
                await leg.gone()
        finally:
            leg.wire.abort()


def refusal(reason: str) -> bytes:
    """Return the packet that ends a connection."""
    code = uint32(Disconnect.BY_APPLICATION)
    payload = bytes((Message.DISCONNECT,)) + code + string(reason) + string("")
    padding = 4 + -(len(payload) + 9) % _BLOCK
    return struct.pack(">IB", len(payload) + padding + 1, padding) + payload + os.urandom(padding)
