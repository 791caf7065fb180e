"""Sockets that listen on while the server is started anew: systemd keeps them (FileDescriptorStoreMax= of the unit).

Whoever connects meanwhile waits in the queue of the kernel until the next server accepts.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import Final

from doorward.host.notify import handed_over, notify

_NAME: Final = "listener-"


def keep(name: str, listening: socket.socket) -> None:
    """Have the socket of a listener kept from now on."""
    # Whether it is alive is for the server to see: systemd need not watch it.
    notify(f"FDSTORE=1\nFDPOLL=0\nFDNAME={_shown(name)}", listening.fileno())


def forget(name: str) -> None:
    """Have the socket of a listener kept no longer: the next connection is to be refused."""
    notify(f"FDSTOREREMOVE=1\nFDNAME={_shown(name)}")


def inherited() -> list[socket.socket]:
    """Return the sockets that were kept for this process; what is no socket that listens to TCP is closed."""
    found = []
    for descriptor in handed_over():
        with suppress(OSError):
            one = socket.socket(fileno=descriptor)
            is_tcp = one.family in {socket.AF_INET, socket.AF_INET6} and one.type == socket.SOCK_STREAM
            if is_tcp and one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                one.setblocking(False)  # noqa: FBT003 - the standard library's signature
                found.append(one)
            else:
                one.close()
    return found


def _shown(name: str) -> str:
    """Return a name of a listener as systemd takes it, which uses colons between names."""
    return f"{_NAME}{name.replace(':', '_')}"
