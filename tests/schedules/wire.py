"""The network between simulated nodes: what `Connection` is on a real one, down to the application of the channel.

Everything above is real: typed calls, stale connections, pairing with its proofs, who may ask what, JSON. What is played is TCP
and TLS: whether a connection comes about, whose certificates both sides see, and what becomes of a call on the way.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from random import Random
from typing import Any, ClassVar

from doorward.cluster.calls import PREFIX
from doorward.cluster.connection import ChannelError, StaleError, Way, _refusal
from tests.schedules.node import Killed, Node


class AtOnce(ThreadPoolExecutor):
    """Threads whose work is done before anybody has to wait for it."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except BaseException as error:  # noqa: BLE001 - handed on
            future.set_exception(error)
        return future


@dataclass
class Net:
    """Who reaches whom.

    ``cuts`` are pairs (from, to); ``loss`` is a share of the messages, ``delay`` how many seconds each of them takes.
    """

    nodes: list[Node]
    random: Random
    loop: asyncio.AbstractEventLoop
    pass_time: Callable[[float], None]
    died: Callable[[Node], None]
    reported: Callable[[Node, Node], None]
    perhaps_reported: Callable[[Node], None]
    cuts: set[tuple[str, str]] = field(default_factory=set)
    loss: float = 0.0
    delay: float = 0.0
    waited: dict[str, tuple[Node, int, float]] = field(default_factory=dict)
    """By node: whom it asked for news in vain, in which of its lives, and for how many seconds that call waits."""
    held: dict[str, Node] = field(default_factory=dict)
    """By node: Central Management that refused to pair with it just now."""
    amid: tuple[int, Callable[[], None]] | None = None
    """Something to be done amid a call, and after how many others."""

    def at(self, address: str | None) -> Node | None:
        return next((node for node in self.nodes if node.alive and address and node.listens_at == address), None)

    def joins(self, one: Node, other: Node) -> bool:
        """Whether there is a way there and back."""
        return (one.name, other.name) not in self.cuts and (other.name, one.name) not in self.cuts

    def passes(self, source: Node, target: Node) -> bool:
        """Whether a message arrives. It may take its time."""
        if self.delay:
            self.pass_time(self.delay * self.random.uniform(1, 2))
        return (source.name, target.name) not in self.cuts and self.random.random() >= self.loss

    def interrupt(self) -> None:
        """Let happen what is to happen amid a call."""
        if self.amid is None:
            return
        left, work = self.amid
        self.amid = (left - 1, work) if left else None
        if not left:
            work()


class Wire:
    """Stands for ``Connection``."""

    net: ClassVar[Net]

    def __init__(self, address: str, way: Way, context: ssl.SSLContext) -> None:
        self.host = address
        client = self.net.at(way.source)
        assert client is not None, "a node without address in the cluster calls"
        self._client, self._named = client, context.verify_mode != ssl.CERT_NONE
        self._server: Node | None = None
        self._life = 0
        self._over = False

    def connect(self) -> None:
        server = self.net.at(self.host)
        if server is None or not self.net.joins(self._client, server):
            raise TimeoutError
        self._server, self._life = server, server.lives

    def certificate(self) -> bytes:
        return self._server.key.certificate if self._server else b""

    def cut(self) -> None:
        self._over = True

    close = cut

    def ask(self, method: str, target: str, body: bytes | None = None, more: float = 0.0) -> bytes:
        """Make a call; one that waits for news comes back at once, and the world lets the node wait."""
        del more
        client, server = self._client, self._server
        assert server is not None
        if self._over or not server.alive or server.lives != self._life:
            raise StaleError
        if not self.net.passes(client, server):
            raise ChannelError("no_answer", "the request was lost")
        self.net.interrupt()
        target, wait = re.sub(r"wait=\d+", "wait=0", target), re.search(r"wait=(\d+)", target)
        status, content, closes = self._served(server, method, target, body)
        self._over = closes
        if target == "status" and status == 200:
            self.net.reported(client, server)
        self.net.interrupt()
        if not client.alive:
            raise Killed(client)
        if not self.net.passes(server, client):
            raise ChannelError("no_answer", "the answer was lost")
        if status == 204 and wait:
            self.net.waited[client.name] = server, server.lives, float(wait[1])
        if target == "pair" and status == 403:
            self.net.held[client.name] = server
        if status not in {200, 204}:
            raise _refusal(status, content)
        return content

    def _served(self, server: Node, method: str, target: str, body: bytes | None) -> tuple[int, bytes, bool]:
        certificate = self._client.key.certificate if self._named else None
        channel = server.cluster.channel
        if not server.alive or (certificate is not None and channel._pins.find(certificate) is None):
            raise StaleError  # the handshake ends
        path, _, query = target.partition("?")
        scope = {
            "type": "http", "method": method, "path": PREFIX + path, "query_string": query.encode(), "headers": _headers(body),
            "peer": certificate, "ending": lambda: False, "client": (self._client.listens_at, 1),
        }  # fmt: skip
        sent: list[dict[str, Any]] = []
        messages = [{"type": "http.request", "body": body or b"", "more_body": False}]

        async def receive() -> Any:
            return messages.pop() if messages else await asyncio.Event().wait()

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        if body is None:
            messages.clear()
        try:
            self.net.loop.run_until_complete(channel(scope, receive, send))
        except Killed as killed:
            self.net.died(killed.node)
            if target == "status":
                self.net.perhaps_reported(self._client)
            raise StaleError from None
        headers = dict(sent[0]["headers"])
        return sent[0]["status"], b"".join(message["body"] for message in sent[1:]), b"connection" in headers


def _headers(body: bytes | None) -> list[tuple[bytes, bytes]]:
    return [] if body is None else [(b"content-length", str(len(body)).encode())]
