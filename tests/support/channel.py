"""A node channel in this process: a real TLS listener in an event loop of its own thread, and handlers that remember."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import uvloop

from doorward.cluster.calls import Since
from doorward.cluster.channel import ChannelApp
from doorward.cluster.connection import Way
from doorward.cluster.host_keys import HostKeyReport
from doorward.cluster.keys import NodeKey
from doorward.cluster.pairing import (
    PSK_SECONDS,
    Acceptance,
    PairAnswer,
    PairedCentral,
    PairingRefusedError,
    PairRequest,
    PskLife,
    new_psk,
)
from doorward.cluster.pins import PinnedPeer, unverified_context
from doorward.cluster.server import channel_service
from doorward.host.resources import AccessRule, Listener
from doorward.listening.http.service import HttpService
from doorward.listening.listeners import Listeners
from tests.support.ports import free_port
from tests.support.waiting import PATIENCE

VERSION = "1.0"
CLUSTER_ID = UUID("0d2a1a52-64a5-4b2f-9c5b-53c8d2f2a111")


@dataclass
class Node:
    """A node that is no more than a key."""

    key: NodeKey
    id: UUID

    @classmethod
    def new(cls, directory: Path) -> Node:
        node_id = uuid4()
        state = directory / str(node_id)
        state.mkdir()
        return cls(NodeKey.at(state, str(node_id)), node_id)

    def peer(self, *roles: str, removed: bool = False) -> PinnedPeer:
        return PinnedPeer(str(self.id), self.key.certificate, frozenset(roles), removed)


@dataclass
class Handlers:
    """A Central Management without state on the disk."""

    node: Node
    accepted: dict[UUID, Acceptance] = field(default_factory=dict)
    paired: dict[UUID, bytes] = field(default_factory=dict)
    differs: list[UUID] = field(default_factory=list)
    number: int = 1
    answer: Any = field(default_factory=lambda: {"secret": "s" * 4096})
    reports: list[tuple[str, Any]] = field(default_factory=list)
    told: list[tuple[str, HostKeyReport]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def accept(self, node: Node) -> str:
        """Accept a node; return its psk."""
        self.accepted[node.id] = Acceptance(node.id, new_psk(), PskLife(time.time() + PSK_SECONDS))
        return self.accepted[node.id].psk

    def hello(self, peer: PinnedPeer) -> Any:
        return {"node_id": str(self.node.id), "version": "9.9.9", "you": peer.id}

    def pair(self, request: PairRequest, address: str) -> PairAnswer:
        self.asked.append(address)
        central = PairedCentral(VERSION, self.node.key.fingerprint, CLUSTER_ID, self.node.id)
        try:
            answer = central.answer(request, self.accepted.get(request.node_id), time.time())
        except PairingRefusedError as refused:
            if refused.psk_differs:
                self.differs.append(request.node_id)
            raise
        self.paired[request.node_id] = request.certificate
        return answer

    def head(self, peer: PinnedPeer, since: Since | None) -> Any | None:
        self.asked.append(peer.id)
        return {"epoch": 1, "number": self.number} if since is None or since.number < self.number else None

    def revision(self, peer: PinnedPeer, since: Since | None) -> Any:
        return self.answer

    def membership(self, peer: PinnedPeer, since: Since | None) -> Any | None:
        return self.head(peer, since)

    def status(self, peer: PinnedPeer, report: Any) -> Any | None:
        self.reports.append((peer.id, report))
        return None

    def host_keys(self, peer: PinnedPeer, told: HostKeyReport) -> Any | None:
        self.told.append((peer.id, told))
        return None

    def sessions(self, peer: PinnedPeer, call: bytes) -> Any:
        self.asked.append(peer.id)
        return self.answer


@dataclass
class Running:
    """A channel that listens. ``way`` leads to it."""

    channel: ChannelApp
    handlers: Handlers
    node: Node
    way: Way
    loop: asyncio.AbstractEventLoop
    listeners: Listeners
    service: HttpService
    listener: Listener

    @property
    def at(self) -> tuple[str, int]:
        return self.way.addresses[0], self.way.port

    def connections(self) -> int:
        return len(self.service.connections(self.listener.name))

    def requests(self) -> int:
        return sum(len(one.tasks) for one in self.service.connections(self.listener.name))

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self.listeners.stop(), self.loop).result(PATIENCE)


@contextmanager
def running(directory: Path, *, hold: float = 0.2, address: str = "127.0.0.1", port: int = 0) -> Iterator[Running]:
    """A channel for the time of a block."""
    node = Node.new(directory)
    handlers = Handlers(node)
    channel = ChannelApp(node.key, handlers, hold=hold)
    port = port or free_port(address)
    loop = uvloop.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    service, listeners = channel_service(channel), Listeners()
    listeners.services["cluster"] = service
    listeners.run_in(loop)
    listener = Listener(address, port, (AccessRule("cluster"),))
    listeners.open(listener, time.monotonic() + 10)
    listeners.prove(listener, time.monotonic() + 10)
    try:
        yield Running(channel, handlers, node, Way((address,), port), loop, listeners, service, listener)
    finally:
        asyncio.run_coroutine_threadsafe(listeners.stop(), loop).result(PATIENCE)
        asyncio.run_coroutine_threadsafe(loop.shutdown_default_executor(), loop).result(PATIENCE)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(PATIENCE)
        loop.close()


@contextmanager
def in_the_middle(central: tuple[str, int], key: NodeKey, listen: tuple[str, int] = ("127.0.0.3", 0)) -> Iterator[Way]:
    """A relay that ends TLS with a certificate of its own, and opens its own connection to Central Management."""
    listener = socket.create_server(listen)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    key.shown_by(context)

    def pump(source: ssl.SSLSocket, sink: ssl.SSLSocket) -> None:
        with suppress(OSError, ValueError):
            while piece := source.recv(65536):
                sink.sendall(piece)
            sink.shutdown(socket.SHUT_WR)

    def passed_on(raw: socket.socket) -> None:
        with (
            raw,
            context.wrap_socket(raw, server_side=True) as inner,
            unverified_context().wrap_socket(socket.create_connection(central, 10)) as outer,
        ):
            ways = [threading.Thread(target=pump, args=both) for both in ((inner, outer), (outer, inner))]
            for way in ways:
                way.start()
            for way in ways:
                way.join(PATIENCE)

    def relay() -> None:
        with suppress(OSError):
            while True:
                raw, _ = listener.accept()
                with suppress(OSError):
                    passed_on(raw)

    thread = threading.Thread(target=relay, daemon=True)
    thread.start()
    try:
        yield Way((listen[0],), listener.getsockname()[1])
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(PATIENCE)
