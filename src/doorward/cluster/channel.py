"""The application of the node channel: who may ask what, within which limits (cluster contract, section 11).

It knows TLS peers, paths and waiting; what a revision or a status is, ``ClusterHandlers`` knows.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Protocol, TypeVar

import msgspec
import structlog

from doorward.cluster import host_keys
from doorward.cluster.calls import Call, CallRefusedError, GoneError, Rate, Since, decoded, packed
from doorward.cluster.host_keys import HostKeyReport
from doorward.cluster.keys import NodeKey
from doorward.cluster.pairing import PairAnswer, PairingRefusedError, PairRequest
from doorward.cluster.pins import PinnedPeer, Pins
from doorward.cluster.statuses import REPORT_LIMIT
from doorward.listening.http.buffers import BuffersFullError
from doorward.listening.sources import source_of
from doorward.membership.nodes import CENTRAL, MANAGED
from doorward.tree.times import SystemClock

log = structlog.get_logger()

REQUEST_SECONDS = 60.0
HOLD_SECONDS = 6.0
"""How long a refused pairing is held, to pair at once when the node is accepted meanwhile, and to make all refusals alike.

Ten attempts a minute are allowed: who waits for each answer never comes to more.
"""
ATTEMPTS, ATTEMPT_SECONDS = 10, 60.0
"""So many attempts to pair within so many seconds may come from one source: an IPv4 address, or the /64 of an IPv6 address."""
PAIR_LIMIT, PAIR_SECONDS = 16 << 10, 10.0
"""Bytes of a request to pair, and how long it may take to send them: who has no certificate keeps no place for longer."""
QUESTION_LIMIT = 1 << 20
"""Bytes of a question about sessions."""

T = TypeVar("T")


class ClusterHandlers(Protocol):
    """What the channel serves. Called in threads, ``head`` and ``membership`` in the event loop: they look at memory alone.

    Anything may raise Refused; JSON values are what msgspec encodes, or Ready.

    Another node raises ``CallRefusedError(404, "not_central")`` from all but ``hello``, ``pair`` and ``sessions``: it may
    become one while an attempt to pair is held.
    """

    def hello(self, peer: PinnedPeer) -> Any:
        """Say who is here."""

    def pair(self, request: PairRequest, address: str) -> PairAnswer:
        """Prove to know the psk and pin the node, durably. Raises PairingRefusedError; asked again while it is held."""

    def head(self, peer: PinnedPeer, since: Since | None) -> Any | None:
        """Return the newest cluster revision, None where the node has it. Asked again after each ``announce``."""

    def revision(self, peer: PinnedPeer, since: Since | None) -> Any:
        """Return the newest cluster revision, complete; only ever asked for a managed host."""

    def membership(self, peer: PinnedPeer, since: Since | None) -> Any | None:
        """Return the membership, None where the node has it. Asked again after each ``announce``."""

    def status(self, peer: PinnedPeer, report: Any) -> Any | None:
        """Take the status that a node reports of itself; a msgspec.ValidationError is answered with 400."""

    def host_keys(self, peer: PinnedPeer, told: HostKeyReport) -> Any | None:
        """Take the host keys that a node came to trust; return all where it has others."""

    def sessions(self, peer: PinnedPeer, call: bytes) -> Any:
        """Answer Central Management about the sessions of this node."""


class ChannelApp:
    """An ASGI application. ``hold`` is how long, in seconds, a refused pairing waits; None: HOLD_SECONDS."""

    def __init__(
        self, key: NodeKey, handlers: ClusterHandlers, *, hold: float | None = None, clock: SystemClock | None = None
    ) -> None:
        self.key, self._handlers, self._hold = key, handlers, HOLD_SECONDS if hold is None else hold
        self._pins = Pins(key)
        self.context = self._pins.context
        self._clock = clock or SystemClock()
        self._attempts = Rate(most=ATTEMPTS, seconds=ATTEMPT_SECONDS)
        self._news = _News()

    # For whoever holds the state; from any thread

    def trust(self, peers: Iterable[PinnedPeer]) -> None:
        """Replace the pinned peers, with their roles; those that wait are asked again."""
        self._pins.trust(peers)
        self.announce()

    def announce(self) -> None:
        """Say that there is something newer, or a node was accepted: everybody who waits is asked again at once."""
        self._news.tell()

    def release(self) -> None:
        """Let nobody wait any more, because the node stops."""
        self._news.over = True
        self._news.tell()

    # A request

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one HTTP request.

        The protocol puts the peer's certificate (DER or None) into ``scope["peer"]``, and into ``scope["ending"]`` a function
        that tells whether the connection shall end; when it comes to that, it calls ``announce``.
        """
        if scope["type"] != "http":
            return
        call = Call(scope, receive)
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                value = await self._answered(call)
                status, body, headers = await asyncio.to_thread(packed, value, call.gzip)
                await call.answer(send, status, body, headers)
        except GoneError:
            return
        except Exception as error:  # noqa: BLE001 - what is unforeseen is logged and answered as such
            refused = _refusal(error, call)
            status = refused.status
            if not call.begun:  # else the connection is closed in the middle of the answer, which nobody takes for a whole one
                body = msgspec.json.encode({"code": refused.code, "message": refused.message})
                await call.answer(send, status, body, refused.headers)
        peer = call.peer.id if call.peer else None
        log.info("cluster request", peer=peer, address=call.address, path=call.path[:64], status=status)

    async def _answered(self, call: Call) -> Any | None:
        if call.path == "pair":
            call.only("POST")
            return await self._pair(call)
        peer = self._admit(call)
        ask, handlers = call.path, self._handlers
        if ask in _TOLD:
            call.only("POST")
            return await self._told(call, peer, await call.body(_TOLD[ask]))
        call.only("GET")
        since, wait = call.since()
        if ask == "hello":
            return await asyncio.to_thread(lambda: handlers.hello(peer))
        if ask == "revision":
            return await asyncio.to_thread(lambda: handlers.revision(peer, since))
        asked = handlers.head if ask == "head" else handlers.membership
        return await self._news.until(call, _fast_response(lambda: asked(self._admit(call), since)), wait)

    async def _told(self, call: Call, peer: PinnedPeer, body: bytes) -> Any | None:
        """Answer a call that has a body."""
        handlers = self._handlers
        if call.path == "status":
            report = decoded(body, Any)
            return await asyncio.to_thread(lambda: handlers.status(peer, report)) or {}
        if call.path == "host_keys":
            told = decoded(body, HostKeyReport)
            return await asyncio.to_thread(lambda: handlers.host_keys(peer, told))
        return await asyncio.to_thread(lambda: handlers.sessions(peer, body))

    def _admit(self, call: Call) -> PinnedPeer:
        """Return the peer that may make the call. Anew after each wait: it may have been removed."""
        peer = call.peer = self._pins.find(call.certificate) if call.certificate else None
        if peer is None:
            call.close = True  # a connection from before its certificate was taken away
            raise CallRefusedError(403, "not_accepted")
        if peer.removed:
            raise CallRefusedError(410, "removed")
        if call.path not in _ALLOWED:
            raise CallRefusedError(404, "not_found")
        if not _ALLOWED[call.path](peer):
            raise CallRefusedError(403, "role")
        return peer

    async def _pair(self, call: Call) -> PairAnswer:
        if not self._attempts.admit(source_of(call.address), self._clock.monotonic()):
            raise CallRefusedError(429, "too_many_attempts", headers={"retry-after": "60"})
        async with asyncio.timeout(PAIR_SECONDS):
            request = decoded(await call.body(PAIR_LIMIT), PairRequest)
        refusals = [PairingRefusedError("not_accepted")]

        def attempt() -> PairAnswer | None:
            try:
                return self._handlers.pair(request, call.address)
            except PairingRefusedError as refused:
                refusals.append(refused)
                return None

        answer = await self._news.until(call, lambda: asyncio.to_thread(attempt), self._hold)
        if answer is None:
            code = refusals[-1].code
            raise CallRefusedError(409 if code == "version_mismatch" else 403, code)
        return answer


_TOLD = {"host_keys": host_keys.LIMIT, "sessions": QUESTION_LIMIT, "status": REPORT_LIMIT}
"""Calls that have a body, and how many bytes of it at most."""

_ALLOWED: dict[str, Callable[[PinnedPeer], bool]] = {
    "hello": lambda _peer: True,
    "head": lambda peer: CENTRAL not in peer.roles,
    "membership": lambda peer: CENTRAL not in peer.roles,
    "status": lambda peer: CENTRAL not in peer.roles,
    "revision": lambda peer: MANAGED in peer.roles,
    "host_keys": lambda peer: MANAGED in peer.roles,
    "sessions": lambda peer: CENTRAL in peer.roles,
}
"""Which pinned peer may make which call; ``pair`` is for those who are not pinned yet."""


def _refusal(error: Exception, call: Call) -> CallRefusedError:
    """Return what to answer instead."""
    if isinstance(error, CallRefusedError):
        return error
    if isinstance(error, BuffersFullError):
        return CallRefusedError(503, "busy", "Too many bodies are on their way.")
    if isinstance(error, TimeoutError):
        return CallRefusedError(503, "timeout", "The request took too long.")
    if isinstance(error, msgspec.ValidationError):
        return CallRefusedError(400, "format", str(error))
    log.error("internal error", path=call.path[:64], exc_info=error)
    return CallRefusedError(500, "internal", "An internal error; it is logged.")


def _fast_response(ask: Callable[[], T]) -> Callable[[], Awaitable[T]]:
    """Return a function that asks in the event loop, to be waited for as others are."""

    async def asked() -> T:
        return ask()

    return asked


class _News:
    """Wakes those who wait, whatever thread it is told from."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()
        self.over = False

    def tell(self) -> None:
        """Wake everybody."""
        with self._lock:
            for loop, event in self._waiting:
                loop.call_soon_threadsafe(event.set)

    async def until(self, call: Call, ask: Callable[[], Awaitable[T | None]], seconds: float) -> T | None:
        """Ask, and again after all news, until there is an answer or the time is over. Raises Gone."""
        loop, event = asyncio.get_running_loop(), asyncio.Event()
        left = loop.create_task(call.left())
        left.add_done_callback(lambda _left: event.set())
        end = loop.time() + seconds
        with self._lock:
            self._waiting.add((loop, event))
        try:
            while True:
                event.clear()  # before asking: what comes while we ask is news
                found = await ask()
                if found is not None or self.over or call.ending():
                    return found
                if left.done():
                    raise GoneError
                async with asyncio.timeout_at(end):
                    await event.wait()
        except TimeoutError:
            return None
        finally:
            left.cancel()
            with self._lock:
                self._waiting.discard((loop, event))
