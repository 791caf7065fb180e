"""What reads foreign bytes, called without sockets between machines: the channel between nodes, trails, SSH before a login."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import structlog

import doorward.configuration
from doorward.cluster.calls import PREFIX
from doorward.cluster.channel import ChannelApp
from doorward.host.machine import Machine
from doorward.proxy.ssh.legs.client_leg import ClientLeg
from doorward.proxy.ssh.legs.negotiation import make_offer
from doorward.proxy.ssh.wire.fields import string
from doorward.proxy.ssh.wire.numbers import Message
from doorward.recording.format import TrailDamagedError
from doorward.recording.keys import ContentKeys
from doorward.recording.reader import TrailReader
from doorward.recording.records import Record, RecordKind, decode
from doorward.recording.replay import replay
from doorward.sessions.rules import SessionSettings
from doorward.tree import jsontext
from doorward.tree.nodes import Valued
from doorward.tree.problems import InvalidBody
from doorward.tree.registry import discover
from doorward.tree.validation import check
from tests.contract.test_privileges import MADE
from tests.proof.fuzz.grammar import TEXTS, garbled, mutated, written
from tests.support.gateway import HOST_KEY, MODERN
from tests.support.waiting import PATIENCE
from tests.unit.cluster.pairs import Node, PairedCentral
from tests.unit.recording.trails import opening, output, typed, writer

_EXCHANGE = 30
"""The first message of most key exchanges (RFC 5656, section 7.1)."""
SHA = "a" * 64
REPORT: dict[str, Any] = {
    "fqdn": "node", "version": "1", "listen_address": "10.0.0.2", "time": 1.0, "applied": {"epoch": 1, "number": 1, "hash": SHA},
    "tried": {"epoch": 1, "number": 1, "hash": SHA}, "last_checked": 1.0, "last_updated": None, "health_status": {},
    "issues": {"errors": [], "warnings": []}, "backup": None, "central_address": "10.0.0.1", "instance": "x", "sequence": 1,
}  # fmt: skip
HOST_KEYS: dict[str, Any] = {"digest": SHA, "learned": [{"host": "x", "port": 22, "public_key": "ssh-ed25519 AAAA"}]}
PAIR: dict[str, Any] = {
    "node_id": "0d2a1a52-64a5-4b2f-9c5b-53c8d2f2a111", "version": "1", "time": "2026-11-29T10:00:00Z", "address": "10.0.0.3",
    "certificate": "AAAA", "nonce": "A" * 43 + "=", "mac": "A" * 43 + "=", "signature": "AAAA",
}  # fmt: skip
CALLS: dict[str, tuple[str, Any]] = {
    "pair": ("POST", PAIR), "status": ("POST", REPORT), "host_keys": ("POST", HOST_KEYS),
    "sessions": ("POST", {"ask": "search", "query": "x"}), "hello": ("GET", None), "head": ("GET", None),
    "membership": ("GET", None), "revision": ("GET", None),
}  # fmt: skip


class Channel:
    """Calls of a paired node, and of somebody whom nobody knows."""

    def __init__(self, directory: Path) -> None:
        self.statuses = Counter[int]()
        directory.mkdir()
        central = PairedCentral(directory / "central")
        node = Node(directory / "node", central, "managed-host")
        self._certificate = node.key.certificate
        self._app = ChannelApp(central.key, central.central, hold=0.0)
        self._app.trust([node.wire.peer])

    async def feed(self, dice: Random) -> None:
        """Make one call. Raises AssertionError where the answer is a fault of the server."""
        name = dice.choice(list(CALLS))
        method, sample = CALLS[name]
        for _ in range(dice.choice((0, 1, 1, 2, 4))):
            sample = mutated(dice, sample)
        body = written(dice, sample) if method == "POST" else b""
        if dice.random() < 0.1:
            method = dice.choice(("GET", "POST", "PUT", "DELETE", "HEAD"))
        if dice.random() < 0.05:
            name = dice.choice(TEXTS)
        query = dice.choice(
            ("", "epoch=1&number=1&wait=0", f"epoch={dice.choice(TEXTS)}&number=1", "epoch=1", "wait=-1", "wait=26", "&" * 20)
        )
        answered: list[Any] = []
        received: list[bool] = []

        async def receive() -> Any:
            if received:
                await asyncio.Event().wait()  # the client stays
            received.append(True)
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            answered.append(message)

        length = str(len(body)) if dice.random() < 0.95 else dice.choice(TEXTS)
        scope = {
            "type": "http", "method": method, "path": PREFIX + name, "query_string": query.encode("utf-8", "surrogatepass"),
            "headers": [(b"content-length", length.encode("utf-8", "surrogatepass"))], "ending": lambda: False,
            "client": (f"192.0.{dice.randrange(256)}.{dice.randrange(256)}", 5),
            "peer": None if dice.random() < 0.2 else self._certificate,
        }  # fmt: skip
        await asyncio.wait_for(self._app(scope, receive, send), PATIENCE)
        status = answered[0]["status"]
        self.statuses[status] += 1
        assert status < 500, (name, method, body[:3000], query, answered)


class Bodies:
    """Bodies of everything that can be configured, as far as their own checks go."""

    def __init__(self) -> None:
        self.outcomes = Counter[str]()
        tree = discover(doorward.configuration)
        defaults = tree.defaults(Machine())
        samples = {path: document.value for path, document in defaults.singletons.items()}
        samples |= {path: next(iter(objects.entries.values())).document.value for path, objects in defaults.collections.items()}
        self._samples = {
            endpoint.path: (node.adapter, MADE.get(endpoint.path) or samples.get(endpoint.path) or {})
            for endpoint in tree
            if isinstance(node := endpoint.node, Valued)
        }
        self._paths = list(self._samples)

    async def feed(self, dice: Random) -> None:
        """Check one body. Raises whatever a check must not raise."""
        adapter, body = self._samples[dice.choice(self._paths)]
        for _ in range(dice.choice((1, 1, 1, 2, 4))):
            body = mutated(dice, body)
        try:
            check(adapter, jsontext.decode(written(dice, body)))
        except InvalidBody as error:
            self.outcomes[type(error).__name__] += 1
        else:
            self.outcomes["taken"] += 1


class Trails:
    """Trails that somebody changed, and trails of records that make no sense."""

    def __init__(self) -> None:
        self.outcomes = Counter[str]()
        self._whole = self._made([*opening(), output(5, "text\r\n" * 9), typed(6, "ls\r"), output(70_000, "\x1b[31mred")])

    def _made(self, records: list[Record]) -> bytes:
        made = writer(ContentKeys.fresh())
        parts = [made.head]
        for record in records:
            parts += made.write(record)
        return b"".join((*parts, *made.flush(), *made.close({"reason": "client"}, records[-1].at)))

    async def feed(self, dice: Random) -> None:
        """Read one. Raises whatever a reader must not raise."""
        kind = dice.randrange(3)
        try:
            if kind == 0:
                for record in decode(garbled(dice, dice.randbytes(dice.randrange(60)))):
                    _ = record.content if record.kind in {RecordKind.EVENT, RecordKind.OPEN} else None
            else:
                data = garbled(dice, self._whole) if kind == 1 else self._made(self._records(dice))
                reader = TrailReader(data)
                reader.verify()
                for _ in reader.records():
                    pass
                reader.index()
                for number, _ in enumerate(replay(reader, 1)):
                    assert number < 10_000
        except TrailDamagedError as error:
            self.outcomes[error.reason] += 1
        else:
            self.outcomes["read"] += 1

    def _records(self, dice: Random) -> list[Record]:
        found, at = opening(), 0
        for _ in range(dice.randrange(1, 12)):
            at += dice.choice((0, 1, 50, 61_000))
            content = dice.choice(
                (
                    dice.randbytes(20),
                    json.dumps(mutated(dice, {"columns": 80, "rows": 24}), ensure_ascii=False).encode("utf-8", "replace"),
                    b"\x1b[9999;9999H",
                )
            )
            kind = dice.choice(
                [kind for kind in RecordKind if kind not in {RecordKind.INDEX, RecordKind.KEYFRAME, RecordKind.END}]
            )
            found.append(Record(at, kind, dice.choice((0, 1, 2, 2**31)), content))
        return found


class Ssh:
    """Clients that say anything before they are known, in place of a key exchange or in it."""

    def __init__(self) -> None:
        self.outcomes = Counter[str]()
        self._settings = SessionSettings(client=MODERN, server=MODERN)
        self._key = HOST_KEY.export_private_key()

    async def feed(self, dice: Random) -> None:
        """Connect once. Raises TimeoutError where the leg does not end when the client has gone."""
        client, server = socket.socketpair()
        client.setblocking(False)
        leg = ClientLeg(server, self._settings, [self._key])
        try:
            leg.start()
            loop = asyncio.get_running_loop()
            await loop.sock_sendall(client, self._said(dice))
            client.shutdown(socket.SHUT_WR)
            await asyncio.wait_for(leg.gone(), PATIENCE)
        except ConnectionError:
            pass
        finally:
            leg.wire.abort()
            client.close()
        self.outcomes[str(leg.error)[:60]] += 1

    def _said(self, dice: Random) -> bytes:
        version = b"SSH-2.0-x\r\n" if dice.random() < 0.9 else garbled(dice, b"SSH-2.0-x\r\n")
        offer = make_offer(MODERN, extras=("ext-info-c", "kex-strict-c-v00@openssh.com")).payload
        packets = [offer, bytes([_EXCHANGE]) + string(dice.randbytes(32)), bytes([Message.NEWKEYS])]
        for _ in range(dice.choice((0, 1, 1, 2))):
            at = dice.randrange(len(packets))
            packets[at] = garbled(dice, packets[at])
        if dice.random() < 0.3:
            packets.insert(dice.randrange(3), bytes([dice.randrange(256)]) + dice.randbytes(dice.randrange(40)))
        stream = b"".join(packet(one) for one in packets)
        return version + (garbled(dice, stream) if dice.random() < 0.3 else stream)


def packet(payload: bytes) -> bytes:
    """Return a packet in clear (RFC 4253, section 6)."""
    padding = 4 + -(len(payload) + 9) % 8
    return struct.pack(">IB", len(payload) + padding + 1, padding) + payload + bytes(padding)


class Faults:
    """Counts what is logged as an error; nothing that a stranger sends is one."""

    def __init__(self) -> None:
        self.found: list[Any] = []
        structlog.configure(processors=[self._take], cache_logger_on_first_use=False)

    def _take(self, _logger: Any, level: str, event: Any) -> Any:
        if level in {"error", "critical", "exception"} and len(self.found) < 10:
            self.found.append(dict(event))
        raise structlog.DropEvent
