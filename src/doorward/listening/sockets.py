"""Sockets as listeners have them."""

from __future__ import annotations

import socket
import struct

from doorward.host.errors import HostError, os_reason
from doorward.host.resources import Listener

_WINDOW = 32 << 10
"""Bytes that a client may send ahead of us, which the kernel doubles: what a thousand clients send without end takes memory."""

_NO_TRACE = struct.pack("ii", 1, 0)
"""SO_LINGER that ends a connection without leaving its port in TIME_WAIT, where nobody could listen on it for a minute."""


def bind(address: str, port: int) -> socket.socket:
    """Return a socket bound to an address, ready to listen. Raises OSError."""
    bound = socket.socket(_family(address), socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _WINDOW)
        bound.bind((address, port))
        bound.setblocking(False)  # noqa: FBT003 - the standard library's signature
    except BaseException:
        bound.close()
        raise
    return bound


def bound_for(listener: Listener) -> socket.socket:
    """Return a socket bound to the address of a listener. Raises HostError."""
    try:
        return bind(listener.address, listener.port)
    except OSError as error:
        raise HostError(os_reason(f"listening on {listener.name} failed", error)) from error


def own_client(listener: Listener, seconds: float) -> socket.socket:
    """Return a socket to reach a listener with, from its own address and a port that is known already. Raises OSError."""
    source = socket.socket(_family(listener.address), socket.SOCK_STREAM)
    try:
        source.settimeout(seconds)
        source.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_TRACE)
        source.bind((listener.address, 0))
    except BaseException:
        source.close()
        raise
    return source


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET
