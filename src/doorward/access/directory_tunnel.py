"""The way to a directory server: connected, secured and limited here, so that the LDAP library only talks to a socket of ours.

libldap waits without end for a server that says nothing during the TLS handshake, and takes answers of any size. Here every step
has its time, TLS is that of the rest of Doorward, and both ends are cut off when time or room is used up.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from doorward.configuration._tls import Disabled, ServerCertificateCheck
from doorward.configuration.policies.ldap_servers import Ldaps, LdapServers, Server, StartTls
from doorward.host.tls import client_context

MAX_BYTES = 4 << 20
"""Bytes that a server may say in one conversation."""
CONNECT_SECONDS = 10.0
_PIECE = 64 << 10
_STARTTLS_OID = b"1.3.6.1.4.1.1466.20037"
_EXTENDED = b"\x77" + bytes([len(_STARTTLS_OID) + 2]) + b"\x80" + bytes([len(_STARTTLS_OID)]) + _STARTTLS_OID
_STARTTLS = b"\x30" + bytes([len(_EXTENDED) + 3]) + b"\x02\x01\x01" + _EXTENDED
"""The request (RFC 4511, section 4.14.1), always the same bytes."""
_MAX_REPLY = 4096
_LONG_FORM = 0x80


@contextmanager
def tunnel(settings: LdapServers, server: Server, authority: str | None, deadline: float) -> Iterator[str]:
    """Give the URL at which the library finds a server. ``deadline``: a ``time.monotonic()`` value, when all of it ends.

    Raises ssl.SSLError where TLS can't be agreed on, else OSError.
    """
    remote = _connected(settings.encryption, server, authority, deadline)
    with contextlib.ExitStack() as held:
        held.callback(remote.close)
        directory = held.enter_context(tempfile.TemporaryDirectory(prefix="doorward-directory-"))
        path = Path(directory) / "ldap"
        listening = held.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        listening.bind(str(path))
        listening.listen(1)
        wake, woken = socket.socketpair()
        held.callback(woken.close)
        pump = threading.Thread(target=_pump, args=(listening, remote, woken, deadline), name="directory", daemon=True)
        pump.start()
        try:
            yield f"ldapi://{quote(str(path), safe='')}"
        finally:
            wake.close()
            pump.join()


def _connected(
    encryption: Disabled | StartTls | Ldaps, server: Server, authority: str | None, deadline: float
) -> socket.socket:  # fmt: skip
    seconds = max(0.01, min(CONNECT_SECONDS, deadline - time.monotonic()))
    made = socket.create_connection((server.host.value, server.port), seconds)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        if isinstance(encryption, Disabled):
            return made
        if isinstance(encryption, StartTls):
            made.sendall(_STARTTLS)
            _agreed(made)
        check = isinstance(encryption.server_certificate_check, ServerCertificateCheck)
        context = client_context(authority, checked=check)
        return context.wrap_socket(made, server_hostname=server.host.value)
    except BaseException:
        made.close()
        raise


def _agreed(made: socket.socket) -> None:
    """Read the answer to STARTTLS: a message with the result 0. Raises OSError. Nothing may follow it in clear."""
    said = _exactly(made, 2)
    length = said[1]
    if length & _LONG_FORM:
        more = _exactly(made, length & ~_LONG_FORM)
        length = int.from_bytes(more)
    if said[0] != 0x30 or length > _MAX_REPLY:  # noqa: PLR2004 - a sequence
        raise OSError("it is no LDAP server")
    reply = _exactly(made, length)
    if b"\x0a\x01\x00" not in reply[:16]:
        raise OSError("it refuses STARTTLS")


def _exactly(made: socket.socket, count: int) -> bytes:
    found = b""
    while len(found) < count:
        piece = made.recv(count - len(found))
        if not piece:
            raise OSError("it ended the connection")
        found += piece
    return found


def _pump(listening: socket.socket, remote: socket.socket, woken: socket.socket, deadline: float) -> None:
    """Hand on what both sides say until one of them, the time or the room is at its end."""
    with contextlib.suppress(OSError, ValueError):
        if woken in select.select([listening, woken], [], [], max(0.0, deadline - time.monotonic()))[0]:
            return
        local, _ = listening.accept()
        with local:
            local.settimeout(CONNECT_SECONDS)
            remote.settimeout(CONNECT_SECONDS)
            _relay(local, remote, woken, deadline)


def _relay(local: socket.socket, remote: socket.socket, woken: socket.socket, deadline: float) -> None:
    room = MAX_BYTES
    while (left := deadline - time.monotonic()) > 0 and room > 0:
        ready: list[socket.socket] = [remote] if isinstance(remote, ssl.SSLSocket) and remote.pending() else []
        ready = ready or select.select([local, remote, woken], [], [], left)[0]
        if woken in ready or not ready:
            return
        for one, other in ((local, remote), (remote, local)):
            if one in ready:
                piece = one.recv(_PIECE)
                if not piece:
                    return
                other.sendall(piece)
                room -= len(piece) if one is remote else 0
