"""One leg of a session: identification, key exchange and rekeying, the messages of the transport (RFC 4253).

What is above the transport comes out of `receive`, one message after another, until a `relay` takes them as they arrive.
While keys are exchanged nothing else is sent; it waits here, in order.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Protocol

from asyncssh import SSHKey

from doorward.proxy.ssh.legs.exchange import SigningHostKey
from doorward.proxy.ssh.legs.key_exchange import VERSION, KeyExchange
from doorward.proxy.ssh.legs.negotiation import Offer
from doorward.proxy.ssh.legs.waiting import DeferredMessages, Inbox
from doorward.proxy.ssh.wire.errors import LegError, LostError, PeerDisconnectedError, ProtocolViolationError
from doorward.proxy.ssh.wire.fields import Fields, string, uint32
from doorward.proxy.ssh.wire.numbers import Message
from doorward.proxy.ssh.wire.packets import MAX_PACKET
from doorward.proxy.ssh.wire.protection import PAYLOAD
from doorward.proxy.ssh.wire.wire import Wire
from doorward.sessions.rules import AlgorithmLists

_CONNECTION_FIRST = int(Message.CONNECTION_FIRST)
OWN_CHANNELS = 0x4000_0000
"""Numbers of channels from here on are ours."""
MAX_REASON = 400
"""Characters of what a peer gives as its reason to leave."""


class MessageRelay(Protocol):
    """Takes the messages of one leg once both are logged in."""

    def take(self, leg: Leg, payload: bytes) -> None:
        """Take a message."""

    def congested(self, leg: Leg, full: bool) -> None:  # noqa: FBT001 - a state
        """Take that the peer of a leg does not keep up, or does again."""

    def exchanging(self, leg: Leg) -> None:
        """Take that a key exchange began, went on or ended."""

    def lost(self, leg: Leg, error: LegError) -> None:
        """Take the end of a leg."""


class Leg:
    """A leg. ``is_client``: we began the connection. ``what``: how it is called in reasons: ``client`` or ``server``."""

    is_client = False
    what = "peer"

    def __init__(self, sock: socket.socket, algorithms: AlgorithmLists, *, rekey_bytes: int, rekey_seconds: int) -> None:
        self._algorithms = algorithms
        self._loop = asyncio.get_running_loop()
        self.wire = Wire(sock, self, lines_first=self.is_client)
        self.keys = KeyExchange(self, rekey_bytes=rekey_bytes, rekey_seconds=rekey_seconds)
        self.relay: MessageRelay | None = None
        self._flow: Callable[[int, memoryview, int], None] | None = None
        self.peer_version = b""
        self.error: LegError | None = None
        """Why the leg is over."""
        self._gone: asyncio.Future[None] = self._loop.create_future()
        self._is_open = False
        """Whether the peer may speak of channels: after its login."""
        self._deferred = DeferredMessages()
        self._inbox = Inbox(self.wire)
        self.aside: Callable[[bytes], None] | None = None
        """Takes messages for channels of our own, before there is a relay."""

    # --- the beginning ---

    def start(self) -> None:
        """Say who we are."""
        self.wire.send_line(VERSION)
        self.wire.start()

    def identified(self, line: bytes) -> None:
        """See `Handler`."""
        if not line.startswith((b"SSH-2.0-", b"SSH-1.99-") if self.is_client else b"SSH-2.0-"):
            raise ProtocolViolationError("The peer does not speak SSH 2.0")
        self.peer_version = line
        self.keys.begin()

    @property
    def version_text(self) -> str:
        """The identification of the peer, without what a terminal could take for more than text."""
        return "".join(character if " " <= character <= "~" else "?" for character in self.peer_version.decode("latin-1"))

    # --- messages in ---

    def message(self, number: int, plain: memoryview, size: int) -> None:
        """See `Handler`."""
        flow = self._flow
        if flow is not None and number >= _CONNECTION_FIRST and not self.keys.is_receiving_held:
            flow(number, plain, size)
            return
        if number >= Message.CONNECTION_FIRST and self._is_open and not self.keys.is_receiving_held:
            payload = bytes(plain[PAYLOAD : PAYLOAD + size])
            if self.aside is not None and number > Message.CHANNEL_OPEN and _recipient(payload) >= OWN_CHANNELS:
                self.aside(payload)
                return
            self._inbox.keep(payload)
            return
        payload = bytes(plain[PAYLOAD : PAYLOAD + size])
        if number < Message.KEXINIT:
            self._take_transport(number, payload)
            return
        if number <= Message.KEX_LAST:
            self.keys.take(number, payload)
            return
        if self.keys.is_receiving_held:
            raise ProtocolViolationError(f"Message {number} came in the middle of a key exchange")
        if number >= Message.CONNECTION_FIRST:
            raise ProtocolViolationError(f"Message {number} came before the login")
        self._take_authentication(number, payload)

    def _take_authentication(self, number: int, payload: bytes) -> None:
        """Take a message of the authentication protocol."""
        del number
        self._inbox.keep(payload)

    def _take_transport(self, number: int, payload: bytes) -> None:
        if number == Message.DISCONNECT:
            fields = Fields(payload)
            fields.uint32()
            reason = fields.text()[:MAX_REASON]
            raise PeerDisconnectedError(f"The {self.what} disconnected: {''.join(c if c.isprintable() else '?' for c in reason)}")
        if self.keys.is_first_strict:
            raise ProtocolViolationError(f"Message {number} came in the middle of the first key exchange")
        if number in {Message.IGNORE, Message.UNIMPLEMENTED, Message.DEBUG}:
            return
        if self.keys.is_receiving_held:
            raise ProtocolViolationError(f"Message {number} came in the middle of a key exchange")
        if number == Message.EXT_INFO:
            self._take_extensions(Fields(payload))
            return
        # After the login nobody would take it: it would fill what waits, and the leg would never be read again.
        if number in {Message.SERVICE_REQUEST, Message.SERVICE_ACCEPT} and not self._is_open:
            self._inbox.keep(payload)
            return
        self.send_unimplemented()

    def _take_extensions(self, fields: Fields) -> None:
        """Take what the peer can do beside (RFC 8308)."""

    def send_unimplemented(self) -> None:
        """Say that the message received last is unknown here."""
        self.send(bytes([Message.UNIMPLEMENTED]) + uint32((self.wire.receiver.sequence - 1) & 0xFFFF_FFFF))

    async def receive(self) -> bytes:
        """The next message above the transport. Raises `LegError` when the leg is over."""
        return await self._inbox.receive()

    def hand_over(self, relay: MessageRelay, flow: Callable[[int, memoryview, int], None]) -> None:
        """Give all messages of the connection to a relay from now on; what came before comes by `drain`.

        ``flow`` takes the number of a message and its ``size`` bytes in a buffer from `PAYLOAD` on.
        """
        self.relay = relay
        self._flow = flow

    def drain(self) -> None:
        """Give to the relay what came before there was one."""
        try:
            for payload in self._inbox.empty():
                if self.relay is not None and self.error is None:
                    self.relay.take(self, payload)
        except LegError as error:
            self.end(error)
        self.wire.release("waiting")

    # --- messages out ---

    def send(self, payload: bytes) -> None:
        """Send a message; while keys are exchanged, afterwards."""
        if self.keys.is_sending_held and payload[0] > Message.DEBUG:
            self._defer(payload)
        else:
            self.wire.send(payload)

    def forward(self, plain: memoryview, size: int) -> None:
        """Send the message of ``size`` bytes that lies in ``plain`` at `PAYLOAD`."""
        if self.keys.is_sending_held:
            self._defer(bytes(plain[PAYLOAD : PAYLOAD + size]))
            return
        self.wire.forward(plain, size)
        if self.wire.sender.bytes > self.keys.rekey_bytes:
            self.keys.consider()

    def _defer(self, payload: bytes) -> None:
        if not self.wire.is_open or self.error is not None:
            return
        if not self._deferred.keep(payload):
            self.end(ProtocolViolationError(f"The {self.what} asks without end and does not finish a key exchange"))

    # --- key exchange: what `KeyExchange` asks of a leg ---

    def extras(self) -> tuple[str, ...]:
        """Names that go along with the first offer."""
        return ()

    def offered(self) -> AlgorithmLists:
        """What we offer."""
        return self._algorithms

    def note_offer(self, offer: Offer) -> None:
        """Look at the first offer of the peer."""

    def host_key(self, algorithm: str) -> SigningHostKey:
        """Our host key for an algorithm, where we are the server. Raises LegError."""
        del algorithm
        raise LegError("Only a server has a host key")

    def judge_host_key(self, data: bytes) -> SSHKey:
        """Take the host key of the peer, a server; return what checks its signature. Raises LegError."""
        del data
        raise LegError("Only a server shows a host key")

    def greet(self) -> None:
        """Say what comes right after the first keys."""

    def keyed(self) -> None:
        """Send what waited for new keys."""
        for payload in self._deferred.empty():
            self.wire.send(payload)

    def exchanging(self) -> None:
        """Pass on that a key exchange began, went on or ended."""
        if self.relay is not None:
            self.relay.exchanging(self)

    # --- the login is done ---

    def opened(self) -> None:
        """Take that the login is done: long packets and channels may come."""
        self._is_open = True
        self.wire.receiver.limit = MAX_PACKET
        self.keys.watch()

    # --- the end ---

    def congested(self, full: bool) -> None:  # noqa: FBT001 - a state
        """See `Handler`."""
        if self.relay is not None:
            self.relay.congested(self, full)

    def failed(self, error: LegError) -> None:
        """See `Handler`."""
        if type(error) is LostError:
            error = LostError(f"The {self.what} is gone: {error}")
        self.end(error)

    def end(self, error: LegError) -> None:
        """End the leg; unless the peer is gone, it is told why."""
        if self.error is not None:
            return
        self.error = error
        if self.wire.is_open:
            if not isinstance(error, LostError):
                self.disconnect(error.code, str(error))
            else:
                self.wire.close()
        self._settle(error)
        if self.relay is not None:
            self.relay.lost(self, error)

    def disconnect(self, code: int, reason: str) -> None:
        """Tell the peer why, and close."""
        self.wire.send(bytes([Message.DISCONNECT]) + uint32(code) + string(reason) + string(""))
        self.wire.close()
        if self.error is None:
            self.error = LostError(reason)
            self._settle(self.error)

    async def gone(self) -> None:
        """Return once the leg is over."""
        await asyncio.shield(self._gone)

    def now(self) -> float:
        """The clock of the event loop."""
        return self._loop.time()

    def _settle(self, error: LegError) -> None:
        if not self._gone.done():
            self._gone.set_result(None)
        self.keys.stop(error)
        self._deferred.empty()
        self._inbox.end(error)


def _recipient(payload: bytes) -> int:
    return Fields(payload).uint32()
