"""A client that may not come in is told why by the gateway itself, in words that real clients show."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import threading

from doorward.proxy.control.refusing import refuse


def test_openssh_shows_why_it_was_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            accepted, _ = listening.accept()
            accepted.setblocking(False)
            asyncio.run(refuse(accepted, "There are too many sessions; try again later."))

        thread = threading.Thread(target=serve)
        thread.start()
        port = str(listening.getsockname()[1])
        done = subprocess.run(
            ["ssh", "-F", "/dev/null", "-o", "BatchMode=yes", "-p", port, "nobody@127.0.0.1"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        thread.join()
    assert done.returncode == 255
    assert "There are too many sessions; try again later." in done.stderr
