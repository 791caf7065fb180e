"""Ports that stay free until somebody listens there: none of those that the kernel gives to connections and to port 0."""

from __future__ import annotations

import itertools
import socket

from tests.support.server import worker

_FIRST, _EACH = 12_000, 1_500
_turn = itertools.count()


def free_port(address: str = "127.0.0.1", kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A port of an address that nobody has, and that no other worker takes."""
    while True:
        port = _FIRST + worker() % 12 * _EACH + next(_turn) % _EACH
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind) as found:
            try:
                found.bind((address, port))
            except OSError:
                continue
            return port
