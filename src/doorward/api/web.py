"""The web listeners put together: what is served behind which door, and how they open ahead of everything else."""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import structlog

from doorward.api.app import Application, ForUsers
from doorward.api.listeners import Listeners
from doorward.api.redirect import redirect
from doorward.api.server import HttpService, Identity
from doorward.api.tls import no_identity
from doorward.cluster.channel import Channel
from doorward.cluster.server import ChannelProtocol
from doorward.configuration.management import certificates
from doorward.host.errors import HostError
from doorward.host.resources import Listener
from doorward.tree.snapshot import Snapshot

log = structlog.get_logger()

ADMIN = "admin_web"
_OPEN_SECONDS = 10.0


def web_services(app: Application, identity: Callable[[Listener], Identity | None]) -> dict[str, HttpService]:
    """Return the services behind the doors of the web listeners."""
    return {
        ADMIN: HttpService(app, identity),
        "redirect": HttpService(redirect, no_identity),
        "user_web": HttpService(ForUsers(app), identity),
    }


def channel_service(channel: Channel) -> HttpService:
    """Return the service behind the door of the cluster interface: the channel between nodes, with TLS of its own."""
    identity = Identity(channel.context, channel.key.fingerprint.hex())
    return HttpService(channel, lambda _listener: identity, ChannelProtocol)


def open_early(listeners: Listeners, desired: Iterable[object]) -> None:
    """Open the listeners for administrators before the host converges: who asks learns that the server is starting.

    What can't be opened yet is left to the host, unless other programs have every address. Raises HostError. Blocks.
    """
    taken: HostError | None = None
    opened = False
    for listener in administrators(desired):
        try:
            listeners.open(listener, time.monotonic() + _OPEN_SECONDS)
            opened = True
        except HostError as failure:
            log.warning("a listener can't be opened yet", address=listener.name, reason=failure.reason)
            if isinstance(failure.__cause__, OSError) and failure.__cause__.errno == errno.EADDRINUSE:
                taken = failure
    if taken is not None and not opened:
        raise taken


def administrators(desired: Iterable[object]) -> list[Listener]:
    """Return the listeners among some resources behind which administrators are served."""
    found = [resource for resource in desired if isinstance(resource, Listener)]
    return [listener for listener in found if any(door.service == ADMIN for door in listener.doors)]


def hand_out(snapshot: Snapshot, file: Path) -> None:
    """Keep in a file what clients of this machine check the server with."""
    content = certificates.trusted(snapshot).encode()
    with contextlib.suppress(OSError):
        if file.read_bytes() == content:
            return
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = file.with_name(f"{file.name}.part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as written:
        written.write(content)
    part.replace(file)
