"""Key exchange of one leg, the first and all later ones (RFC 4253, sections 7 to 9).

Strict where both sides can (kex-strict of OpenSSH's PROTOCOL), so that nothing can be slipped in nor cut off.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from asyncssh import SSHKey

from doorward.proxy.ssh.legs.exchange import KexComputation, Side, SigningHostKey
from doorward.proxy.ssh.legs.negotiation import (
    STRICT_CLIENT,
    STRICT_SERVER,
    Agreement,
    Offer,
    agree,
    is_wrong_guess,
    make_offer,
    read_offer,
)
from doorward.proxy.ssh.wire.ciphers import make_opener, make_sealer
from doorward.proxy.ssh.wire.errors import LegError, LegTimeoutError, ProtocolViolationError
from doorward.proxy.ssh.wire.numbers import Message
from doorward.proxy.ssh.wire.wire import Wire
from doorward.sessions.rules import AlgorithmLists

VERSION = b"SSH-2.0-Doorward"
EXCHANGE_SECONDS = 120
MAX_EARLY_EXCHANGES = 5
"""Exchanges before the login is done; each costs us a signature."""
MAX_PACKETS = 1 << 30
"""Packets after which keys are changed even if they were short: well before sequence numbers repeat."""


class Party(Protocol):
    """What a key exchange asks of its leg."""

    is_client: bool
    what: str
    wire: Wire
    peer_version: bytes

    def extras(self) -> tuple[str, ...]:
        """Names that go along with the first offer."""

    def offered(self) -> AlgorithmLists:
        """What we offer."""

    def note_offer(self, offer: Offer) -> None:
        """Look at the first offer of the peer."""

    def host_key(self, algorithm: str) -> SigningHostKey:
        """Our host key for an algorithm."""

    def judge_host_key(self, data: bytes) -> SSHKey:
        """Take the host key of the peer; return what checks its signature."""

    def greet(self) -> None:
        """Say what comes right after the first keys."""

    def keyed(self) -> None:
        """Send what waited for new keys."""

    def exchanging(self) -> None:
        """Take that an exchange began, went on or ended."""

    def end(self, error: LegError) -> None:
        """End the leg."""


class KeyExchange:
    """The key exchanges of a leg. Keys go into use for sending with our NEWKEYS, for receiving with the peer's."""

    def __init__(self, leg: Party, *, rekey_bytes: int, rekey_seconds: int) -> None:
        self._leg = leg
        self._loop = asyncio.get_running_loop()
        self.rekey_bytes = rekey_bytes
        self._rekey_seconds = rekey_seconds
        self.session_id = b""
        self.agreement: Agreement | None = None
        self.first: asyncio.Future[Agreement] = self._loop.create_future()
        """What was agreed on, once the first keys are in use; fails with the leg."""
        self.count = 0
        """How often keys were exchanged."""
        self.is_sending_held = True
        """Whether keys are exchanged, so that nothing else may be sent."""
        self.is_receiving_held = True
        """The same for what comes from the peer, from its KEXINIT to its NEWKEYS."""
        self.may_begin: Callable[[], bool] = lambda: True
        """Whether we may begin now; the other leg may be in an exchange of its own."""
        self._is_strict = False
        self._ours: Offer | None = None
        self._theirs: Offer | None = None
        self._exchange: KexComputation | None = None
        self._ignores_next = False
        self._next_opener: Callable[[], None] | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._is_watched = False
        self._keyed_at = 0.0

    @property
    def is_running(self) -> bool:
        """Whether keys are being exchanged."""
        return self.is_sending_held or self.is_receiving_held

    @property
    def is_peer_in(self) -> bool:
        """Whether the peer takes part already, so that nothing else comes from it."""
        return self._theirs is not None

    @property
    def is_first_strict(self) -> bool:
        """Whether this is a first exchange into which nothing at all may be slipped."""
        return self._is_strict and not self.count

    # --- when ---

    def begin(self) -> Offer:
        """Send our KEXINIT, and return what it offers."""
        leg = self._leg
        ours = self._ours = make_offer(leg.offered(), extras=() if self.session_id else leg.extras())
        self.is_sending_held = True
        leg.wire.send(ours.payload)
        if self._deadline is None:
            self._deadline = self._loop.call_later(EXCHANGE_SECONDS, self._stalled)
        leg.exchanging()
        return ours

    def _stalled(self) -> None:
        self._deadline = None
        if self._leg.wire.is_held:
            # We do not read: nobody can answer.
            self._deadline = self._loop.call_later(EXCHANGE_SECONDS, self._stalled)
            return
        self._leg.end(LegTimeoutError(f"The {self._leg.what} did not finish a key exchange"))

    def watch(self) -> None:
        """Change keys when they are due from now on: the login is done."""
        self._is_watched = True
        self._timer = self._loop.call_later(min(60.0, max(1.0, self._rekey_seconds / 4)), self._tick)

    def _tick(self) -> None:
        self.consider()
        self.watch()

    def consider(self) -> None:
        """Begin an exchange if keys were used enough."""
        sender, receiver = self._leg.wire.sender, self._leg.wire.receiver
        is_due = (
            max(sender.bytes, receiver.bytes) > self.rekey_bytes
            or max(sender.packets, receiver.packets) > MAX_PACKETS
            or self._loop.time() - self._keyed_at > self._rekey_seconds
        )
        if is_due and self._is_watched and not self.is_running and not self._leg.wire.is_held and self.may_begin():
            self.begin()

    def stop(self, error: LegError) -> None:
        """End with the leg."""
        for timer in (self._deadline, self._timer):
            if timer is not None:
                timer.cancel()
        if not self.first.done():
            self.first.set_exception(error)
            # Looked at only by who waits for it.
            self.first.exception()

    # --- how ---

    def take(self, number: int, payload: bytes) -> None:
        """Take a message of a key exchange. Raises ProtocolViolationError."""
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
        leg = self._leg
        if self._theirs is not None:
            raise ProtocolViolationError("A key exchange began in the middle of another")
        if not self._is_watched and self.count >= MAX_EARLY_EXCHANGES:
            raise ProtocolViolationError("Keys are exchanged over and over before the login")
        theirs = read_offer(payload)
        if not self.session_id:
            self._is_strict = (STRICT_SERVER if leg.is_client else STRICT_CLIENT) in theirs.kex
            if self._is_strict and leg.wire.receiver.sequence != 1:
                raise ProtocolViolationError("Something came before the first key exchange")
            leg.note_offer(theirs)
        ours = self._ours or self.begin()
        self._theirs = theirs
        self.is_receiving_held = True
        client, server = (ours, theirs) if leg.is_client else (theirs, ours)
        agreement = self.agreement = agree(client, server)
        self._ignores_next = is_wrong_guess(theirs, ours)
        versions = (VERSION, leg.peer_version) if leg.is_client else (leg.peer_version, VERSION)
        prefix = (*versions, client.payload, server.payload)
        if leg.is_client:
            side = Side(prefix, leg.wire.send, self._finish, judge=leg.judge_host_key)
        else:
            side = Side(prefix, leg.wire.send, self._finish, host_key=leg.host_key(agreement.host_key))
        self._exchange = KexComputation(agreement.kex, side)
        self._exchange.start()
        leg.exchanging()

    def _finish(self, secret: bytes, digest: bytes) -> None:
        """Take new keys into use for sending; those for receiving wait for the peer's NEWKEYS."""
        leg, exchange, agreement = self._leg, self._exchange, self.agreement
        if exchange is None or agreement is None:
            raise ProtocolViolationError("A key exchange ended that had not begun")
        is_first = not self.session_id
        if is_first:
            self.session_id = digest
        derive = exchange.derive(secret, digest, self.session_id)
        self._exchange = None
        up = (agreement.cipher[0], agreement.mac[0], derive, b"ACE")
        down = (agreement.cipher[1], agreement.mac[1], derive, b"BDF")
        sending, receiving = (up, down) if leg.is_client else (down, up)
        opener = make_opener(*receiving)
        self._next_opener = lambda: leg.wire.receiver.use(opener, restart=self._is_strict)
        leg.wire.send(bytes([Message.NEWKEYS]))
        leg.wire.sender.use(make_sealer(*sending), restart=self._is_strict)
        self.is_sending_held = False
        if is_first:
            leg.greet()
        leg.keyed()

    def _take_new_keys(self, payload: bytes) -> None:
        agreement = self.agreement
        if self._next_opener is None or agreement is None or len(payload) != 1:
            raise ProtocolViolationError("New keys came that were not agreed on")
        self._next_opener()
        self._next_opener = None
        self._theirs = self._ours = None
        self.is_receiving_held = False
        self._keyed_at = self._loop.time()
        self.count += 1
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        if not self.first.done():
            self.first.set_result(agreement)
        self._leg.exchanging()
