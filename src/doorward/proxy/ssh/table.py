"""The channels of a session, by the numbers that both sides give them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from doorward.proxy.ssh.replies import Replies
from doorward.proxy.ssh.wire.errors import ProtocolViolationError
from doorward.sessions.rules import ChannelRule

RESERVE = 4096
"""Bytes of each session channel's window that are kept back for words of our own to the user."""
MAX_CHANNELS = 500_000
"""Channels of one session, one after another; control and the catalogue take no more (`control.reports.MAX_CHANNELS`)."""
MAX_WINDOW = 0xFFFF_FFFF


@dataclass(slots=True, eq=False)
class Channel:
    """A channel. ``client`` and ``server``: the numbers that each side wants to see on messages to it.

    Windows count what may still be sent: ``down`` by the server, ``up`` by the client (RFC 4254, section 5.2).
    """

    kind: str
    from_client: bool
    to_client: Replies
    """Answers to requests of the client."""
    to_server: Replies
    client: int = -1
    server: int = -1
    is_confirmed: bool = False
    number: int = 0
    """How it is called towards control and observer; 0 until a rule let it through."""
    rule: ChannelRule | None = None
    window_down: int = 0
    window_up: int = 0
    reserve: int = 0
    packet_down: int = 0
    facts: dict[str, Any] = field(default_factory=dict)
    """What was asked before the program: environment and terminal."""
    parked: list[bytes] | None = None
    """Messages of the client that wait until the channel is approved."""
    closed_down: bool = False
    closed_up: bool = False

    @property
    def is_session(self) -> bool:
        """Whether programs are started on it."""
        return self.kind == "session"

    @property
    def is_running(self) -> bool:
        """Whether a rule let it through, both sides know it and nothing holds it."""
        return self.number > 0 and self.is_confirmed and self.parked is None

    @property
    def is_ruled(self) -> bool:
        """Whether a rule let it through."""
        return self.number > 0


class Table:
    """All channels. ``down``: by the numbers of the client; ``up``: by the numbers of the server."""

    def __init__(self) -> None:
        self.down: dict[int, Channel] = {}
        self.up: dict[int, Channel] = {}
        self._count = 0
        self.open = 0

    def next_number(self) -> int:
        """The number of the channel that is let through or refused next. Raises ProtocolViolationError."""
        if self._count >= MAX_CHANNELS:
            raise ProtocolViolationError("There were too many channels")
        self._count += 1
        return self._count

    def begin(self, channel: Channel) -> None:
        """Take a channel whose opening goes on to the other side. Raises ProtocolViolationError."""
        numbers, number = (self.down, channel.client) if channel.from_client else (self.up, channel.server)
        if number in numbers:
            raise ProtocolViolationError(f"Channel {number} was opened twice")
        numbers[number] = channel
        self.open += 1

    def confirm(self, channel: Channel, number: int) -> None:
        """Take the number that the other side gives it. Raises ProtocolViolationError."""
        if channel.is_confirmed:
            raise ProtocolViolationError("A channel was confirmed twice")
        if channel.from_client:
            numbers, channel.server = self.up, number
        else:
            numbers, channel.client = self.down, number
        if number in numbers:
            raise ProtocolViolationError(f"Channel {number} was opened twice")
        numbers[number] = channel
        channel.is_confirmed = True

    def remove(self, channel: Channel) -> None:
        """Forget a channel."""
        if self.down.get(channel.client) is channel:
            del self.down[channel.client]
        if self.up.get(channel.server) is channel:
            del self.up[channel.server]
        self.open -= 1

    def find(self, number: int, *, down: bool) -> Channel:
        """The channel that a message is for. Raises for one that is not there."""
        channel = (self.down if down else self.up).get(number)
        if channel is None:
            raise ProtocolViolationError(f"A message came for channel {number}, which is not there")
        return channel

    def all(self) -> list[Channel]:
        """Every channel, once."""
        return list({id(channel): channel for channel in (*self.down.values(), *self.up.values())}.values())
