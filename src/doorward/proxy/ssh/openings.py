"""Openings of channels (RFC 4254, section 5.1): judged, approved where that is asked for, then passed on."""

from __future__ import annotations

import asyncio

from doorward.proxy.ssh.crossing import Crossing
from doorward.proxy.ssh.policy import SessionPolicy, Verdict
from doorward.proxy.ssh.ports import Control, ControlGoneError, Observer
from doorward.proxy.ssh.replies import Replies
from doorward.proxy.ssh.table import RESERVE, Channel
from doorward.proxy.ssh.wire.errors import ProtocolViolationError
from doorward.proxy.ssh.wire.fields import Fields, string, uint32
from doorward.proxy.ssh.wire.numbers import Message, OpenFailure

_KNOWN = frozenset(
    {
        "session",
        "direct-tcpip",
        "direct-streamlocal@openssh.com",
        "forwarded-tcpip",
        "forwarded-streamlocal@openssh.com",
        "x11",
        "auth-agent@openssh.com",
    }
)
SMALL_WINDOW = 2 * RESERVE
"""A window that small is left whole."""


class Openings:
    """Channels that are being opened."""

    def __init__(self, relay: Crossing, policy: SessionPolicy, control: Control, observer: Observer, *, limit: int) -> None:
        self._relay = relay
        self._policy = policy
        self._control = control
        self._observer = observer
        self._limit = limit
        self._waiting: set[asyncio.Task[None]] = set()
        self._awaiting = 0

    def take(self, payload: bytes, *, down: bool, is_locked: bool) -> None:
        """Take a CHANNEL_OPEN. Raises ProtocolViolationError."""
        fields = Fields(payload)
        kind, sender, window, packet = fields.text(), fields.uint32(), fields.uint32(), fields.uint32()
        if down and kind == "session":
            raise ProtocolViolationError("The server wants to start a program at the client")
        if is_locked and not down:
            self._refuse(sender, OpenFailure.PROHIBITED, "The session is locked", down=down)
            return
        if self._relay.table.open + self._awaiting >= self._limit:
            self._refuse(sender, OpenFailure.RESOURCE_SHORTAGE, "Too many channels are open", down=down)
            return
        to_client, to_server = Replies(self._relay.client.send), Replies(self._relay.server.send)
        channel = Channel(kind=kind, from_client=not down, to_client=to_client, to_server=to_server)
        if down:
            channel.server, channel.window_up = sender, window
        else:
            channel.client, channel.window_down, channel.packet_down = sender, window, packet
        if kind == "session":
            self._open_session(channel, payload, fields, window, packet)
        else:
            verdict = self._policy.opening(kind, fields, from_client=not down)
            self._open(channel, payload, verdict, down=down)

    def _open_session(self, channel: Channel, payload: bytes, fields: Fields, window: int, packet: int) -> None:
        if not self._policy.has_programs():
            self._deny(channel, Verdict(None, "session", {}), "", down=False)
            return
        if window >= SMALL_WINDOW:
            channel.reserve = RESERVE
            channel.window_down -= RESERVE
            head = string("session") + uint32(channel.client) + uint32(channel.window_down) + uint32(packet)
            payload = bytes([Message.CHANNEL_OPEN]) + head + fields.rest()
        self._relay.table.begin(channel)
        self._relay.server.send(payload)

    def _open(self, channel: Channel, payload: bytes, verdict: Verdict, *, down: bool) -> None:
        if verdict.rule is None:
            self._deny(channel, verdict, "", down=down)
        elif verdict.rule.four_eyes:
            task = asyncio.ensure_future(self._approve(channel, payload, verdict, down=down))
            self._waiting.add(task)
            task.add_done_callback(self._waiting.discard)
        else:
            self._pass(channel, payload, verdict, down=down)

    async def _approve(self, channel: Channel, payload: bytes, verdict: Verdict, *, down: bool) -> None:
        number = self._relay.table.next_number()
        channel.number = number
        self._awaiting += 1
        try:
            answer = await self._control.want_approval(number, verdict.type, _detail(verdict))
            approved, reason = answer.approved, answer.reason
        except ControlGoneError:
            approved, reason = False, "Nobody can be asked"
        finally:
            self._awaiting -= 1
        if self._relay.client.error is not None or self._relay.server.error is not None:
            return
        with self._relay.guard(self._relay.server if down else self._relay.client):
            if approved:
                self._pass(channel, payload, verdict, down=down)
            else:
                self._deny(channel, verdict, reason, down=down)

    def _pass(self, channel: Channel, payload: bytes, verdict: Verdict, *, down: bool) -> None:
        channel.number = channel.number or self._relay.table.next_number()
        channel.rule = verdict.rule
        self._relay.table.begin(channel)
        self._observer.opened(channel.number, channel.kind, "accept", verdict.rule, verdict.facts)
        # The observer may just have ended the session.
        if not self._relay.is_stopped:
            (self._relay.client if down else self._relay.server).send(payload)

    def _deny(self, channel: Channel, verdict: Verdict, reason: str, *, down: bool) -> None:
        self._policy.count_denied()
        number = channel.number or self._relay.table.next_number()
        self._observer.opened(number, channel.kind, "deny", None, verdict.facts)
        self._control.happened("channel_denied", {"type": verdict.type, **verdict.facts})
        code = OpenFailure.PROHIBITED if channel.kind in _KNOWN else OpenFailure.UNKNOWN_TYPE
        sender = channel.server if down else channel.client
        self._refuse(sender, code, reason or "The channel policy does not allow this", down=down)

    def _refuse(self, sender: int, code: OpenFailure, reason: str, *, down: bool) -> None:
        """Answer to the one who asked."""
        leg = self._relay.server if down else self._relay.client
        leg.send(bytes([Message.CHANNEL_OPEN_FAILURE]) + uint32(sender) + uint32(code) + string(reason) + string(""))

    def answered(self, payload: bytes, *, down: bool) -> None:
        """Take a confirmation or failure from the side that was asked. Raises ProtocolViolationError."""
        fields = Fields(payload)
        channel = self._relay.table.find(fields.uint32(), down=down)
        if channel.from_client != down or channel.is_confirmed:
            raise ProtocolViolationError("An answer came to an opening that was not asked for")
        if payload[0] == Message.CHANNEL_OPEN_CONFIRMATION:
            number, window, packet = fields.uint32(), fields.uint32(), fields.uint32()
            self._relay.table.confirm(channel, number)
            if down:
                channel.window_up = window
            else:
                channel.window_down, channel.packet_down = window, packet
        else:
            self._relay.table.remove(channel)
            if channel.is_ruled:
                self._observer.closed(channel.number)
        (self._relay.client if down else self._relay.server).send(payload)

    def end(self) -> None:
        """Wait for nobody any longer."""
        for task in self._waiting:
            task.cancel()


def _detail(verdict: Verdict) -> str:
    """What is wanted, in a line."""
    return " ".join(f"{name}={value}" for name, value in verdict.facts.items())
