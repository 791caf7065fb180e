"""The client's own agent, reached through a channel that we open towards the client (PROTOCOL.agent of OpenSSH).

The channel has a number that no target uses; the relay never sees it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from doorward.proxy.ssh.legs.leg import OWN_CHANNELS
from doorward.proxy.ssh.wire.errors import LegError, ProtocolViolationError
from doorward.proxy.ssh.wire.fields import Fields, string, uint32
from doorward.proxy.ssh.wire.numbers import Message

MAX_KEYS = 64
MAX_ANSWER = 256 * 1024
WINDOW = 2 * MAX_ANSWER
PACKET = 32 * 1024
_REQUEST_IDENTITIES = 11
_IDENTITIES_ANSWER = 12
_SIGN_REQUEST = 13
_SIGN_RESPONSE = 14
_FLAGS = {"rsa-sha2-256": 2, "rsa-sha2-512": 4}


class NoAgentError(Exception):
    """The client has no agent for us."""


class AgentChannel:
    """The agent behind a channel to the client. ``send`` sends a message to the client."""

    def __init__(self, send: Callable[[bytes], None]) -> None:
        self._send = send
        self._peer = 0
        self._received = b""
        self._changed = asyncio.Event()
        self._is_open = False
        self._is_over = False

    def take(self, payload: bytes) -> None:
        """Take a message for this channel. Raises ProtocolViolationError."""
        fields = Fields(payload)
        fields.uint32()
        number = payload[0]
        if number == Message.CHANNEL_OPEN_CONFIRMATION:
            self._peer = fields.uint32()
            self._is_open = True
        elif number == Message.CHANNEL_DATA:
            data = fields.string()
            self._received += data
            if len(self._received) > MAX_ANSWER + 4:
                raise ProtocolViolationError("The agent answers without end")
            self._send(bytes([Message.CHANNEL_WINDOW_ADJUST]) + uint32(self._peer) + uint32(len(data)))
        elif number in {Message.CHANNEL_OPEN_FAILURE, Message.CHANNEL_CLOSE}:
            self._is_over = True
        self._changed.set()

    async def _until(self, holds: Callable[[], bool]) -> None:
        while not holds():
            if self._is_over:
                raise NoAgentError
            self._changed.clear()
            await self._changed.wait()

    async def open(self) -> None:
        """Open the channel. Raises NoAgentError."""
        self._send(
            bytes([Message.CHANNEL_OPEN])
            + string("auth-agent@openssh.com")
            + uint32(OWN_CHANNELS)
            + uint32(WINDOW)
            + uint32(PACKET)
        )
        await self._until(lambda: self._is_open)

    async def close(self) -> None:
        """Close the channel; a client that still has one open does not leave."""
        if self._is_open:
            self._send(bytes([Message.CHANNEL_CLOSE]) + uint32(self._peer))
            while not self._is_over:
                self._changed.clear()
                await self._changed.wait()

    async def _ask(self, message: bytes) -> bytes:
        data = string(message)
        for start in range(0, len(data), PACKET // 2):
            self._send(bytes([Message.CHANNEL_DATA]) + uint32(self._peer) + string(data[start : start + PACKET // 2]))
        await self._until(lambda: len(self._received) >= 4)  # noqa: PLR2004 - bytes of a length
        size = int.from_bytes(self._received[:4], "big")
        if not 0 < size <= MAX_ANSWER:
            raise NoAgentError
        await self._until(lambda: len(self._received) >= 4 + size)
        answer, self._received = self._received[4 : 4 + size], self._received[4 + size :]
        return answer

    async def keys(self) -> tuple[bytes, ...]:
        """The public keys and certificates that the agent has. Raises NoAgentError."""
        answer = await self._ask(bytes([_REQUEST_IDENTITIES]))
        if answer[0] != _IDENTITIES_ANSWER:
            return ()
        fields = Fields(answer)
        keys = []
        try:
            for _ in range(min(fields.uint32(), MAX_KEYS)):
                keys.append(fields.string())
                fields.string()
        except LegError:
            raise NoAgentError from None
        return tuple(keys)

    async def sign(self, key: bytes, algorithm: str, data: bytes) -> bytes:
        """A signature as it goes over the wire; empty: the agent refuses."""
        flags = _FLAGS.get(algorithm.removesuffix("-cert-v01@openssh.com"), 0)
        answer = await self._ask(bytes([_SIGN_REQUEST]) + string(key) + string(data) + uint32(flags))
        return Fields(answer).string() if answer[0] == _SIGN_RESPONSE else b""
