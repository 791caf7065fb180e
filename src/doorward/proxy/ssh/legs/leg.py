"""One leg of a session: identification, key exchange and rekeying, the messages of the transport (RFC 4253).

What is above the transport comes out of `receive`, one message after another, until a `relay` takes them as they arrive.
While keys are exchanged nothing else is sent; it waits here, in order.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Callable
from typing import Protocol

from asyncssh import SSHKey

from doorward.proxy.ssh.legs.exchange import Exchange, HostKey, Side
from doorward.proxy.ssh.legs.negotiation import Agreement, Offer, agree, is_wrong_guess, make_offer, read_offer
from doorward.proxy.ssh.wire.ciphers import PAYLOAD, make_opener, make_sealer
from doorward.proxy.ssh.wire.errors import (
    LegError,
    LegTimeoutError,
    LostError,
    PeerDisconnectedError,
    ProtocolViolationError,
)
from doorward.proxy.ssh.wire.fields import Fields, string, uint32
from doorward.proxy.ssh.wire.numbers import Message
from doorward.proxy.ssh.wire.packets import MAX_PACKET
from doorward.proxy.ssh.wire.wire import Wire
from doorward.sessions.rules import Algorithms

VERSION = b"SSH-2.0-Doorward"
MAX_WAITING = 64
"""Messages that wait to be received before nothing more is read."""
EXCHANGE_SECONDS = 120
MAX_PACKETS = 1 << 30
"""Packets after which keys are changed even if they were short: well before sequence numbers repeat."""
OWN_CHANNELS = 0x4000_0000
"""Numbers of channels from here on are ours."""
MAX_REASON = 400
"""Characters of what a peer gives as its reason to leave."""


class Relay(Protocol):
    """Takes the messages of one leg once both are logged in."""

    def message(self, leg: Leg, number: int, plain: memoryview, size: int) -> None:
        """Take a message: ``size`` bytes in ``plain`` from `PAYLOAD` on."""

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

    def __init__(self, sock: socket.socket, algorithms: Algorithms, *, rekey_bytes: int, rekey_seconds: int) -> None:
        self._algorithms = algorithms
        self._rekey_bytes = rekey_bytes
        self._rekey_seconds = rekey_seconds
        self._loop = asyncio.get_running_loop()
        self.wire = Wire(sock, self, lines_first=self.is_client)
        self.relay: Relay | None = None
        self.peer_version = b""
        self.session_id = b""
        self.agreement: Agreement | None = None
        self.exchanges = 0
        """How often keys were exchanged."""
        self.error: LegError | None = None
        """Why the leg is over."""
        self.first_exchange: asyncio.Future[None] = self._loop.create_future()
        self._gone: asyncio.Future[None] = self._loop.create_future()
        self._is_open = False
        """Whether the peer may speak of channels: after its login."""
        self._is_strict = False
        self._ours: Offer | None = None
        self._theirs: Offer | None = None
        self._exchange: Exchange | None = None
        self._ignores_next = False
        self.is_sending_held = True
        """Whether keys are exchanged, so that nothing else may be sent."""
        self._is_receiving_held = True
        self._next_opener: Callable[[], None] | None = None
        self._exchange_timer: asyncio.TimerHandle | None = None
        self._keyed_at = 0.0
        self._deferred: list[bytes] = []
        self._waiting: deque[bytes] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self.aside: Callable[[bytes], None] | None = None
        """Takes messages for channels of our own, before there is a relay."""
        self.may_rekey: Callable[[], bool] = lambda: True
        """Whether we may begin a key exchange now; the other leg may be in one of its own."""

    # --- the beginning ---

    def start(self) -> None:
        """Say who we are."""
        self.wire.send_line(VERSION)
        self.wire.start()
        self._arm()

    def identified(self, line: bytes) -> None:
        """See `Handler`."""
        if not line.startswith((b"SSH-2.0-", b"SSH-1.99-") if self.is_client else b"SSH-2.0-"):
            raise ProtocolViolationError("The peer does not speak SSH 2.0")
        self.peer_version = line
        self._begin_exchange()

    @property
    def version_text(self) -> str:
        """The identification of the peer, without what a terminal could take for more than text."""
        return "".join(character if " " <= character <= "~" else "?" for character in self.peer_version.decode("latin-1"))

    # --- messages in ---

    def message(self, number: int, plain: memoryview, size: int) -> None:
        """See `Handler`."""
        if number >= Message.CONNECTION_FIRST and self._is_open and not self._is_receiving_held:
            if self.relay is not None and not self._waiting:
                self.relay.message(self, number, plain, size)
                return
            payload = bytes(plain[PAYLOAD : PAYLOAD + size])
            if self.aside is not None and number > Message.CHANNEL_OPEN and _recipient(payload) >= OWN_CHANNELS:
                self.aside(payload)
                return
            self._keep(payload)
            return
        payload = bytes(plain[PAYLOAD : PAYLOAD + size])
        if number < Message.KEXINIT:
            self._take_transport(number, payload)
            return
        if number <= Message.KEX_LAST:
            self._take_exchange(number, payload)
            return
        if self._is_receiving_held:
            raise ProtocolViolationError(f"Message {number} came in the middle of a key exchange")
        if number >= Message.CONNECTION_FIRST:
            raise ProtocolViolationError(f"Message {number} came before the login")
        self._take_authentication(number, payload)

    def _keep(self, payload: bytes) -> None:
        self._waiting.append(payload)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
        if len(self._waiting) > MAX_WAITING:
            self.wire.hold("waiting")

    def _take_authentication(self, number: int, payload: bytes) -> None:
        """Take a message of the authentication protocol."""
        del number
        self._keep(payload)

    def _take_transport(self, number: int, payload: bytes) -> None:
        if number == Message.DISCONNECT:
            fields = Fields(payload)
            fields.uint32()
            reason = fields.text()[:MAX_REASON]
            raise PeerDisconnectedError(f"The {self.what} disconnected: {''.join(c if c.isprintable() else '?' for c in reason)}")
        if self._is_strict and self._is_receiving_held and not self.session_id:
            raise ProtocolViolationError(f"Message {number} came in the middle of the first key exchange")
        if number in {Message.IGNORE, Message.UNIMPLEMENTED, Message.DEBUG}:
            return
        if self._is_receiving_held:
            raise ProtocolViolationError(f"Message {number} came in the middle of a key exchange")
        if number == Message.EXT_INFO:
            self._take_extensions(Fields(payload))
            return
        if number in {Message.SERVICE_REQUEST, Message.SERVICE_ACCEPT}:
            self._keep(payload)
            return
        self.send_unimplemented()

    def _take_extensions(self, fields: Fields) -> None:
        """Take what the peer can do beside (RFC 8308)."""

    def send_unimplemented(self) -> None:
        """Say that the message received last is unknown here."""
        self.send(bytes([Message.UNIMPLEMENTED]) + uint32((self.wire.receiver.sequence - 1) & 0xFFFF_FFFF))

    async def receive(self) -> bytes:
        """The next message above the transport. Raises `LegError` when the leg is over."""
        while not self._waiting:
            if self.error is not None:
                raise self.error
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        payload = self._waiting.popleft()
        if not self._waiting:
            self.wire.release("waiting")
        return payload

    def drain(self) -> list[bytes]:
        """Take what came for the relay before there was one."""
        waiting = list(self._waiting)
        self._waiting.clear()
        self.wire.release("waiting")
        return waiting

    # --- messages out ---

    def send(self, payload: bytes) -> None:
        """Send a message; while keys are exchanged, afterwards."""
        if self.is_sending_held and payload[0] > Message.DEBUG:
            self._defer(payload)
        else:
            self.wire.send(payload)

    def forward(self, plain: memoryview, size: int) -> None:
        """Send the message of ``size`` bytes that lies in ``plain`` at `PAYLOAD`."""
        if self.is_sending_held:
            self._defer(bytes(plain[PAYLOAD : PAYLOAD + size]))
            return
        self.wire.forward(plain, size)
        if self.wire.sender.bytes > self._rekey_bytes:
            self._consider_rekey()

    def _defer(self, payload: bytes) -> None:
        if self.wire.is_open:
            self._deferred.append(payload)

    # --- key exchange ---

    @property
    def is_exchanging(self) -> bool:
        """Whether keys are being exchanged."""
        return self.is_sending_held or self._is_receiving_held

    @property
    def is_peer_exchanging(self) -> bool:
        """Whether the peer takes part already, so that nothing else comes from it."""
        return self._theirs is not None

    def _extras(self) -> tuple[str, ...]:
        """Names that go along with the first offer."""
        return ()

    def _offered(self) -> Algorithms:
        """What we offer."""
        return self._algorithms

    def _begin_exchange(self) -> None:
        """Send our KEXINIT."""
        self._ours = make_offer(self._offered(), extras=() if self.session_id else self._extras())
        self.is_sending_held = True
        self.wire.send(self._ours.payload)
        if self._exchange_timer is None:
            self._exchange_timer = self._loop.call_later(EXCHANGE_SECONDS, self._exchange_stalled)
        if self.relay is not None:
            self.relay.exchanging(self)

    def _exchange_stalled(self) -> None:
        self._exchange_timer = None
        self.end(LegTimeoutError(f"The {self.what} did not finish a key exchange"))

    def _arm(self) -> None:
        """Look now and then whether keys are due to be changed."""
        if self.wire.is_open:
            self._loop.call_later(min(60, max(1, self._rekey_seconds / 4)), self._tick)

    def _tick(self) -> None:
        if self.wire.is_open:
            self._consider_rekey()
            self._arm()

    def _consider_rekey(self) -> None:
        sender, receiver = self.wire.sender, self.wire.receiver
        is_due = (
            sender.bytes > self._rekey_bytes
            or receiver.bytes > self._rekey_bytes
            or sender.packets > MAX_PACKETS
            or receiver.packets > MAX_PACKETS
            or self._loop.time() - self._keyed_at > self._rekey_seconds
        )
        if is_due and self.session_id and self._is_open and not self.is_exchanging and self.may_rekey():
            self._begin_exchange()

    def _take_exchange(self, number: int, payload: bytes) -> None:
        if number == Message.KEXINIT:
            self._take_offer(payload)
        elif number == Message.NEWKEYS:
            self._take_new_keys(payload)
        elif self._exchange is None:
            raise ProtocolViolationError(f"Message {number} came without a key exchange")
        elif self._ignores_next:
            self._ignores_next = False
        else:
            self._exchange.take(payload)

    def _take_offer(self, payload: bytes) -> None:
        if self._theirs is not None or self._next_opener is not None:
            raise ProtocolViolationError("A key exchange began in the middle of another")
        theirs = read_offer(payload)
        if not self.session_id:
            strict = "kex-strict-s-v00@openssh.com" if self.is_client else "kex-strict-c-v00@openssh.com"
            self._is_strict = strict in theirs.kex
            if self._is_strict and self.wire.receiver.sequence != 1:
                raise ProtocolViolationError("Something came before the first key exchange")
            self._note_offer(theirs)
        if self._ours is None:
            self._begin_exchange()
        ours = self._ours
        assert ours is not None  # noqa: S101 - just made
        self._theirs = theirs
        self._is_receiving_held = True
        client, server = (ours, theirs) if self.is_client else (theirs, ours)
        agreement = self.agreement = agree(client, server)
        self._ignores_next = is_wrong_guess(theirs, ours)
        versions = (VERSION, self.peer_version) if self.is_client else (self.peer_version, VERSION)
        side = self._make_side((*versions, client.payload, server.payload), agreement)
        self._exchange = Exchange(agreement.kex, side)
        self._exchange.start()
        if self.relay is not None:
            self.relay.exchanging(self)

    def _note_offer(self, offer: Offer) -> None:
        """Look at the first offer of the peer."""

    def _make_side(self, prefix: tuple[bytes, bytes, bytes, bytes], agreement: Agreement) -> Side:
        """Make what the exchange needs of this leg."""
        if self.is_client:
            return Side(prefix, self.wire.send, self._finish_exchange, judge=self._judge_host_key)
        return Side(prefix, self.wire.send, self._finish_exchange, host_key=self._host_key(agreement.host_key))

    def _host_key(self, algorithm: str) -> HostKey:
        """Our host key for an algorithm."""
        raise NotImplementedError

    def _judge_host_key(self, data: bytes) -> SSHKey:
        """Take the host key of the peer; return what checks its signature."""
        raise NotImplementedError

    def _finish_exchange(self, secret: bytes, digest: bytes) -> None:
        """Take new keys into use for sending; those for receiving wait for the peer's NEWKEYS."""
        exchange, agreement = self._exchange, self.agreement
        assert exchange is not None  # noqa: S101 - it calls us
        assert agreement is not None  # noqa: S101 - made before the exchange
        is_first = not self.session_id
        if is_first:
            self.session_id = digest
        derive = exchange.derive(secret, digest, self.session_id)
        self._exchange = None
        up = (agreement.cipher[0], agreement.mac[0], derive, b"ACE")
        down = (agreement.cipher[1], agreement.mac[1], derive, b"BDF")
        sending, receiving = (up, down) if self.is_client else (down, up)
        opener = make_opener(*receiving)
        self._next_opener = lambda: self.wire.receiver.use(opener, restart=self._is_strict)
        self.wire.send(bytes([Message.NEWKEYS]))
        self.wire.sender.use(make_sealer(*sending), restart=self._is_strict)
        self.is_sending_held = False
        if is_first:
            self._greet()
        deferred, self._deferred = self._deferred, []
        for payload in deferred:
            self.wire.send(payload)

    def _greet(self) -> None:
        """Say what comes right after the first keys."""

    def _take_new_keys(self, payload: bytes) -> None:
        if self._next_opener is None or len(payload) != 1:
            raise ProtocolViolationError("New keys came that were not agreed on")
        self._next_opener()
        self._next_opener = None
        self._theirs = self._ours = None
        self._is_receiving_held = False
        self._keyed_at = self._loop.time()
        self.exchanges += 1
        if self._exchange_timer is not None:
            self._exchange_timer.cancel()
            self._exchange_timer = None
        if not self.first_exchange.done():
            self.first_exchange.set_result(None)
        if self.relay is not None:
            self.relay.exchanging(self)

    def opened(self) -> None:
        """Take that the login is done: long packets and channels may come."""
        self._is_open = True
        self.wire.receiver.limit = MAX_PACKET

    # --- the end ---

    def congested(self, full: bool) -> None:  # noqa: FBT001 - a state
        """See `Handler`."""
        if self.relay is not None:
            self.relay.congested(self, full)

    def failed(self, error: LegError) -> None:
        """See `Handler`."""
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
        if self._exchange_timer is not None:
            self._exchange_timer.cancel()
            self._exchange_timer = None
        self._deferred.clear()
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
        if not self.first_exchange.done():
            self.first_exchange.set_exception(error)
            # Looked at only by who waits for it.
            self.first_exchange.exception()


def _recipient(payload: bytes) -> int:
    return Fields(payload).uint32()
