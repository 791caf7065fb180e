"""How a leg of a session fails. Each carries what the other side is told."""

from __future__ import annotations

from doorward.proxy.ssh.wire.numbers import Disconnect


class LegError(Exception):
    """A leg is over. ``code``: what a DISCONNECT says (RFC 4253, section 11.1)."""

    code = Disconnect.BY_APPLICATION


class ProtocolViolationError(LegError):
    """The peer broke the protocol."""

    code = Disconnect.PROTOCOL_ERROR


class IntegrityError(LegError):
    """A packet was forged or damaged."""

    code = Disconnect.MAC_ERROR


class ExchangeError(LegError):
    """Keys could not be agreed on."""

    code = Disconnect.KEY_EXCHANGE_FAILED


class LostError(LegError):
    """The peer is gone."""

    code = Disconnect.CONNECTION_LOST


class PeerDisconnectedError(LostError):
    """The peer said goodbye."""


class LegTimeoutError(LegError):
    """The peer took too long, or answers no longer."""
