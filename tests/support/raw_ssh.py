"""A peer that speaks SSH packet by packet, and may break every rule: the other end of hostile tests."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import asyncssh
from msgspec.structs import replace

from doorward.proxy.ssh.legs.exchange import KexComputation, Side
from doorward.proxy.ssh.legs.host_keys import BoundKey, ServerKey
from doorward.proxy.ssh.legs.negotiation import Agreement, agree, make_offer, read_offer
from doorward.proxy.ssh.wire.ciphers import make_opener, make_sealer
from doorward.proxy.ssh.wire.fields import Fields, boolean, string, uint32
from doorward.proxy.ssh.wire.numbers import Message
from doorward.proxy.ssh.wire.packets import MAX_PACKET, PacketReceiver, Sender
from doorward.proxy.ssh.wire.protection import PAYLOAD
from doorward.sessions.rules import AlgorithmLists
from tests.support.gateway import MODERN
from tests.support.waiting import PATIENCE

VERSION = b"SSH-2.0-raw"


class GoneError(Exception):
    """The gateway closed the connection. ``reason``: what its DISCONNECT said."""

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason)
        self.reason = reason


class RawPeer:
    """One side of a connection. ``host_key``: given for a server."""

    def __init__(
        self,
        sock: socket.socket,
        *,
        host_key: asyncssh.SSHKey | None = None,
        algorithms: AlgorithmLists = MODERN,
        strict: bool = True,
    ) -> None:
        sock.settimeout(PATIENCE)
        self.sock = sock
        self.host_key = host_key
        self.algorithms = algorithms
        self.strict = strict
        self.guess: bytes | None = None
        """Sent right behind our KEXINIT, which says that it comes."""
        self.slip: bytes | None = None
        """Sent right behind our KEXINIT, which says nothing of it."""
        self.receiver = PacketReceiver()
        self.receiver.limit = MAX_PACKET
        self.sender = Sender()
        self.session_id = b""
        self.peer_version = b""
        self.agreement: Agreement | None = None
        self._received = memoryview(bytearray(2 * MAX_PACKET))
        self._plain = memoryview(bytearray(MAX_PACKET + 512))
        self._out = memoryview(bytearray(MAX_PACKET + 1024))
        self._start = self._end = 16

    @classmethod
    def connect(cls, port: int, **options: Any) -> RawPeer:
        """Connect as a client, up to the identifications."""
        peer = cls(socket.create_connection(("127.0.0.1", port)), **options)
        peer.identify()
        return peer

    def identify(self, line: bytes = VERSION) -> None:
        """Exchange identifications."""
        self.sock.sendall(line + b"\r\n")
        while not self.peer_version.endswith(b"\n"):
            byte = self.sock.recv(1)
            if not byte:
                raise GoneError
            self.peer_version += byte
        self.peer_version = self.peer_version.rstrip()

    def seal(self, payload: bytes) -> bytes:
        """A packet, ready to be sent."""
        self._plain[PAYLOAD : PAYLOAD + len(payload)] = payload
        end = self.sender.put(self._plain, len(payload), self._out, 16)
        return bytes(self._out[16:end])

    def send(self, *payloads: bytes) -> None:
        """Send messages."""
        self.sock.sendall(b"".join(self.seal(payload) for payload in payloads))

    def receive(self) -> bytes:
        """The next message, other than those that mean nothing. Raises GoneError with the reason of a DISCONNECT."""
        while True:
            stop = self.receiver.take(self._received, self._start, self._end, self._plain)
            if stop:
                self._start = stop
                payload = bytes(self._plain[PAYLOAD : PAYLOAD + self.receiver.size])
                if payload[0] == Message.DISCONNECT:
                    fields = Fields(payload)
                    fields.uint32()
                    raise GoneError(fields.text())
                if payload[0] not in {Message.IGNORE, Message.EXT_INFO, Message.USERAUTH_BANNER}:
                    return payload
                continue
            rest = bytes(self._received[self._start : self._end])
            self._received[16 : 16 + len(rest)] = rest
            self._start, self._end = 16, 16 + len(rest)
            try:
                count = self.sock.recv_into(self._received[self._end :])
            except ConnectionError:
                raise GoneError from None
            if not count:
                raise GoneError
            self._end += count

    def exchange(self, theirs: bytes | None = None) -> None:
        """Exchange keys, first or again. ``theirs``: the peer's KEXINIT if it came already."""
        name = "kex-strict-s-v00@openssh.com" if self.host_key else "kex-strict-c-v00@openssh.com"
        ours = make_offer(self.algorithms, extras=(name,) if self.strict and not self.session_id else ())
        if self.guess is not None:
            ours = replace(ours, payload=ours.payload[:-5] + boolean(True) + uint32(0))
        self.send(ours.payload, *(extra for extra in (self.guess, self.slip) if extra is not None))
        while theirs is None or theirs[0] != Message.KEXINIT:
            theirs = self.receive()
        offer = read_offer(theirs)
        client, server = (offer, ours) if self.host_key else (ours, offer)
        agreement = self.agreement = agree(client, server)
        versions = (self.peer_version, VERSION) if self.host_key else (VERSION, self.peer_version)
        done: list[tuple[bytes, bytes]] = []
        finish: Callable[[bytes, bytes], None] = lambda k, h: done.append((k, h))  # noqa: E731 - as short as it gets
        prefix = (*versions, client.payload, server.payload)
        if self.host_key:
            side = Side(prefix, self.send, finish, host_key=BoundKey(self.host_key, agreement.host_key))
        else:
            side = Side(prefix, self.send, finish, judge=lambda data: ServerKey(data, agreement.host_key))
        exchange = KexComputation(agreement.kex, side)
        exchange.start()
        while not done:
            exchange.take(self.receive())
        self.session_id = self.session_id or done[0][1]
        derive = exchange.derive(*done[0], self.session_id)
        self.send(bytes([Message.NEWKEYS]))
        up, down = ((agreement.cipher[0], agreement.mac[0]), b"ACE"), ((agreement.cipher[1], agreement.mac[1]), b"BDF")
        sending, receiving = (down, up) if self.host_key else (up, down)
        self.sender.use(make_sealer(*sending[0], derive, sending[1]), restart=self.strict)
        while self.receive()[0] != Message.NEWKEYS:
            pass
        self.receiver.use(make_opener(*receiving[0], derive, receiving[1]), restart=self.strict)

    def login(self, user: str, password: str) -> None:
        """Log in as a client."""
        self.exchange()
        self.send(bytes([Message.SERVICE_REQUEST]) + string("ssh-userauth"))
        assert self.receive()[0] == Message.SERVICE_ACCEPT
        self.send(request(user, "password", boolean(False) + string(password)))
        answer = self.receive()
        assert answer[0] == Message.USERAUTH_SUCCESS, answer

    def login_by_key(self, user: str, key: asyncssh.SSHKey) -> None:
        """Log in as a client, by an Ed25519 key."""
        self.exchange()
        self.send(bytes([Message.SERVICE_REQUEST]) + string("ssh-userauth"))
        signed = request(user, "publickey", boolean(True) + string("ssh-ed25519") + string(key.public_data))
        self.send(signed + string(key.sign(string(self.session_id) + signed, b"ssh-ed25519")))
        self.until(Message.USERAUTH_SUCCESS)

    def open_session(self, *, window: int = 1 << 21, packet: int = 32768) -> int:
        """Open a session channel as channel 0; the number of the server."""
        self.send(bytes([Message.CHANNEL_OPEN]) + string("session") + uint32(0) + uint32(window) + uint32(packet))
        answer = self.until(Message.CHANNEL_OPEN_CONFIRMATION)
        return Fields(answer, 5).uint32()

    def until(self, number: int) -> bytes:
        """The next message of a kind; requests that are not answered here are passed over."""
        return self.until_any(number)

    def until_any(self, *numbers: int) -> bytes:
        """The next message of some kinds."""
        while True:
            payload = self.receive()
            if payload[0] in numbers:
                return payload

    def close(self) -> None:
        """Close the connection."""
        self.sock.close()


def request(user: str | bytes, method: str, fields: bytes = b"") -> bytes:
    """A USERAUTH_REQUEST."""
    return bytes([Message.USERAUTH_REQUEST]) + string(user) + string("ssh-connection") + string(method) + fields


def channel_request(channel: int, name: str, fields: bytes = b"", *, reply: bool = True) -> bytes:
    """A CHANNEL_REQUEST."""
    return bytes([Message.CHANNEL_REQUEST]) + uint32(channel) + string(name) + boolean(reply) + fields


def data(channel: int, content: bytes) -> bytes:
    """A CHANNEL_DATA."""
    return bytes([Message.CHANNEL_DATA]) + uint32(channel) + string(content)
