"""A helper that serves a host in threads of this process, and clients of it."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from doorward.host.helper.remote import HelperClient
from doorward.host.helper.serving import HelperServer, Rules

if TYPE_CHECKING:
    from doorward.host.engine import Host


@contextmanager
def helping(host: Host, path: Path, **rules: Any) -> Iterator[HelperClient]:
    """Serve ``host`` at ``path`` to this user, or as ``rules`` say; give a client."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    listener.listen(16)
    server = HelperServer(host, listener, Rules(**{"users": (os.geteuid(),), **rules}))
    thread = threading.Thread(target=server.serve)
    thread.start()
    client = HelperClient(path, (os.geteuid(),))
    try:
        yield client
    finally:
        client.close()
        server.stop()
        thread.join()
        listener.close()
        path.unlink()
