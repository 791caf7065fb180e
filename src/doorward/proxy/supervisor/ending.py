"""Ending a supervisor from another process. Nothing is said to it: it is found by its socket, and gets a signal."""

from __future__ import annotations

import os
import selectors
import signal
import time
from contextlib import suppress
from pathlib import Path

from doorward.proxy.local_sockets import StrangerError, check_peer, dial
from doorward.proxy.supervisor.supervisor import END_SECONDS, LOOK_SECONDS
from doorward.proxy.worker.places import Places


def find(path: Path) -> int | None:
    """Return a descriptor of the process behind a Unix socket, which runs as who owns its directory; None: nobody listens."""
    try:
        with dial(path) as connection:
            return os.pidfd_open(check_peer(connection, {os.geteuid(), path.parent.stat().st_uid}))
    except (OSError, StrangerError):
        return None


def stop(places: Places, seconds: float = 2 * END_SECONDS) -> bool:
    """End a supervisor and all its workers, those too whose supervisor is gone. Whether all have ended."""
    found = [find(places.supervisor), *map(find, places.workers().values())]
    descriptors = [descriptor for descriptor in found if descriptor is not None]
    end = time.monotonic() + seconds
    with selectors.DefaultSelector() as selector:
        for descriptor in descriptors:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(descriptor, signal.SIGTERM)
            selector.register(descriptor, selectors.EVENT_READ)
        while selector.get_map() and time.monotonic() < end:
            for key, _ in selector.select(LOOK_SECONDS):
                selector.unregister(key.fileobj)
        ended = not selector.get_map()
    for descriptor in descriptors:
        os.close(descriptor)
    return ended
