"""A small NTP client (RFC 5905, client mode) that asks a server once.

Is it there, is it synchronised, how far off is it.
"""

from __future__ import annotations

import secrets
import selectors
import socket
import struct
import time
from typing import Final

from msgspec import Struct

from doorward.host.background_prober import BackgroundProber

_SIZE: Final = 48
_CLIENT: Final = 0x23
"""Leap 0, version 4, mode 3."""
_SERVER_MODE: Final = 4
_ERA_SECONDS: Final = 2**32
_UNIX_EPOCH: Final = 2_208_988_800
"""Seconds from 1900, where NTP counts from, to 1970."""
_NO_STRATUM: Final = 16
_NO_LEAP: Final = 3
_ADDRESSES: Final = 8


class ProbeResult(Struct, frozen=True):
    """What one question showed; the figures are None without an answer.

    `stratum` 0 (the server declines) and 16 mean not synchronised, so does `leap` 3. `offset_seconds` is the server's
    time minus ours.
    """

    resolved: bool
    answered: bool
    stratum: int | None = None
    leap: int | None = None
    offset_seconds: float | None = None

    @property
    def synchronised(self) -> bool:
        """Whether the server says that it knows the time."""
        return self.stratum is not None and 0 < self.stratum < _NO_STRATUM and self.leap != _NO_LEAP


def probe(host: str, *, port: int = 123, timeout: float = 2.0) -> ProbeResult:
    """Ask `host` (name or address) once; wait at most `timeout` seconds for a valid answer once its name is resolved.

    A name with several addresses is asked at up to eight at once, not counting those that nothing can be sent to. Never raises
    for what the network does.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError):
        return ProbeResult(resolved=False, answered=False)
    with selectors.DefaultSelector() as selector:
        try:
            for family, _, _, _, address in found:
                if len(selector.get_map()) < _ADDRESSES:
                    _send(selector, family, address)
            return _receive(selector, time.monotonic() + timeout)
        finally:
            for key in list(selector.get_map().values()):
                key.fileobj.close()  # type: ignore[union-attr]


def _send(selector: selectors.BaseSelector, family: int, address: tuple[object, ...]) -> None:
    # A random transmit time instead of the real one: the answer must echo it, and nobody off the path can guess it.
    cookie = secrets.token_bytes(8)
    try:
        channel = socket.socket(family, socket.SOCK_DGRAM)
    except OSError:  # IPv6 may be switched off in the kernel; names have such addresses all the same
        return
    try:
        channel.settimeout(0)
        # Connected, so the kernel drops datagrams from anywhere else.
        channel.connect(address)
        sent = time.time()
        channel.send(bytes([_CLIENT]) + bytes(_SIZE - 9) + cookie)
    except OSError:
        channel.close()
        return
    selector.register(channel, selectors.EVENT_READ, (cookie, sent))


def _receive(selector: selectors.BaseSelector, end: float) -> ProbeResult:
    while selector.get_map() and (left := end - time.monotonic()) > 0:
        for key, _ in selector.select(left):
            channel = key.fileobj
            if not isinstance(channel, socket.socket):
                continue
            try:
                packet = channel.recv(1024)
            except BlockingIOError:
                continue
            except OSError:
                # Port or host unreachable: this address will not answer.
                selector.unregister(channel)
                channel.close()
                continue
            cookie, sent = key.data
            result = read_answer(packet, cookie, sent, time.time())
            if result is not None:
                return result
    return ProbeResult(resolved=True, answered=False)


def read_answer(packet: bytes, cookie: bytes, sent: float, received: float) -> ProbeResult | None:
    """The result in an answer, if it is one to our question.

    None when it is too short, not from a server, or does not echo `cookie`. `sent` and `received` are our UNIX times.
    """
    if len(packet) < _SIZE or packet[0] & 7 != _SERVER_MODE or packet[24:32] != cookie:
        return None
    leap, stratum = packet[0] >> 6, packet[1]
    arrived, left = packet[32:40], packet[40:48]
    if stratum == 0 or not any(left):
        return ProbeResult(resolved=True, answered=True, stratum=stratum, leap=leap)
    offset = (_since(arrived, sent) + _since(left, received)) / 2
    return ProbeResult(resolved=True, answered=True, stratum=stratum, leap=leap, offset_seconds=offset)


def _since(stamp: bytes, unix: float) -> float:
    """Seconds from the UNIX time `unix` to an NTP timestamp.

    In the era that brings them closest (the counter wraps in 2036).
    """
    seconds, fraction = struct.unpack("!II", stamp)
    difference: float = seconds - _UNIX_EPOCH - unix + fraction / _ERA_SECONDS
    return (difference + _ERA_SECONDS / 2) % _ERA_SECONDS - _ERA_SECONDS / 2


class Prober(BackgroundProber[tuple[str, int], ProbeResult]):
    """Asks time servers, by host in lower case and port, in the background."""

    def __init__(self, timeout: float = 2.0) -> None:
        """`timeout` in seconds of one probe."""
        super().__init__(lambda key: probe(key[0], port=key[1], timeout=timeout))

    def begin(self, host: str, port: int = 123) -> None:
        """Begin a probe unless one of the last 60 s is known or under way."""
        self.start((host.lower(), port))

    def found(self, host: str, port: int = 123) -> ProbeResult | None:
        """The result of the last 60 s, None while there is none."""
        return self.known((host.lower(), port))
