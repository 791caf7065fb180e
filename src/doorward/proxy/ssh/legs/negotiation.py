"""What two sides agree on before they exchange keys (RFC 4253, section 7.1). Pure."""

from __future__ import annotations

import os

from msgspec import Struct

from doorward.proxy.ssh.wire.ciphers import CIPHERS
from doorward.proxy.ssh.wire.errors import ExchangeError
from doorward.proxy.ssh.wire.fields import Fields, boolean, names, uint32
from doorward.proxy.ssh.wire.numbers import Message
from doorward.sessions.rules import AlgorithmLists

STRICT_CLIENT = "kex-strict-c-v00@openssh.com"
STRICT_SERVER = "kex-strict-s-v00@openssh.com"
EXTENSIONS = "ext-info-c"
MAX_NAMES = 500
"""Names in one list."""


class Offer(Struct, frozen=True):
    """A KEXINIT. ``payload``: the whole message, which goes into the hash of the exchange."""

    payload: bytes
    kex: tuple[str, ...]
    host_key: tuple[str, ...]
    cipher: tuple[tuple[str, ...], tuple[str, ...]]
    """From client to server, from server to client; so are the next two."""
    mac: tuple[tuple[str, ...], tuple[str, ...]]
    compression: tuple[tuple[str, ...], tuple[str, ...]]
    guesses: bool
    """Whether the first message of the key exchange follows already."""


class Agreement(Struct, frozen=True):
    """What was chosen. Pairs: from client to server, from server to client. ``code`` is empty where the cipher needs none."""

    kex: str
    host_key: str
    cipher: tuple[str, str]
    mac: tuple[str, str]


def make_offer(algorithms: AlgorithmLists, *, extras: tuple[str, ...]) -> Offer:
    """Make our KEXINIT. ``extras`` are names that are no algorithms and follow those of the key exchanges."""
    cipher, mac, compression = algorithms.cipher, algorithms.mac, ("none",)
    kex = (*algorithms.kex, *extras)
    fields = (kex, algorithms.host_key, cipher, cipher, mac, mac, compression, compression, (), ())
    payload = b"".join(
        (bytes([Message.KEXINIT]), os.urandom(16), *(names(field) for field in fields), boolean(False), uint32(0))  # noqa: FBT003 - SSH's boolean
    )
    return Offer(payload, kex, algorithms.host_key, (cipher, cipher), (mac, mac), (compression, compression), guesses=False)


def read_offer(payload: bytes) -> Offer:
    """Read the KEXINIT of the peer. Raises ExchangeError."""
    fields = Fields(payload)
    fields.take(16)
    lists = [fields.names() for _ in range(10)]
    guesses = fields.boolean()
    fields.uint32()
    fields.end()
    if any(len(entries) > MAX_NAMES for entries in lists):
        raise ExchangeError("Too many names of algorithms")
    kex, host_key, cipher_up, cipher_down, mac_up, mac_down, compression_up, compression_down, _, _ = lists
    return Offer(
        payload, kex, host_key, (cipher_up, cipher_down), (mac_up, mac_down), (compression_up, compression_down), guesses
    )


def _choose(what: str, client: tuple[str, ...], server: tuple[str, ...]) -> str:
    for name in client:
        if name in server:
            return name
    raise ExchangeError(f"No {what} in common")


def agree(client: Offer, server: Offer) -> Agreement:
    """Choose: the first name of the client that the server has."""
    kex = _choose("key exchange", client.kex, server.kex)
    host_key = _choose("type of host key", client.host_key, server.host_key)
    ciphers, codes = [], []
    for way in (0, 1):
        cipher = _choose("cipher", client.cipher[way], server.cipher[way])
        ciphers.append(cipher)
        codes.append(_choose("message authentication", client.mac[way], server.mac[way]) if CIPHERS[cipher].coded else "")
        _choose("compression", client.compression[way], server.compression[way])
    return Agreement(kex, host_key, (ciphers[0], ciphers[1]), (codes[0], codes[1]))


def is_wrong_guess(peer: Offer, ours: Offer) -> bool:
    """Whether the message that the peer sent ahead is to be ignored: it guessed, and our favourites are others than its own."""
    return peer.guesses and (peer.kex[:1] != ours.kex[:1] or peer.host_key[:1] != ours.host_key[:1])
