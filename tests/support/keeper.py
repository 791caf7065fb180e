"""Runs ``doorward`` as systemd does with FileDescriptorStoreMax=: SIGHUP starts it anew with the sockets it has kept.

``python keeper.py ARGUMENTS``; SIGTERM ends both. While the file in KEEPER_PAUSE is there, nothing is started.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

_FIRST = 3


class Keeper:
    """What is kept, by name, and whether to go on."""

    def __init__(self, directory: str) -> None:
        self.kept: dict[str, int] = {}
        self.is_wanted = True
        self.child = 0
        self.notified = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notified.bind(f"{directory}/notify")
        self.notified.settimeout(0.05)
        signal.signal(signal.SIGTERM, self._end)
        signal.signal(signal.SIGHUP, self._stop)

    def _end(self, *_: object) -> None:
        self.is_wanted = False
        self._stop()

    def _stop(self, *_: object) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.child, signal.SIGTERM)

    def hear(self) -> None:
        """Take one word of the service."""
        try:
            data, descriptors, _, _ = socket.recv_fds(self.notified, 4096, 8)
        except TimeoutError:
            return
        said = dict(line.partition("=")[::2] for line in data.decode().splitlines())
        name = said.get("FDNAME", "")
        if name in self.kept and {"FDSTORE", "FDSTOREREMOVE"} & said.keys():
            os.close(self.kept.pop(name))
        if "FDSTORE" in said:
            [self.kept[name]] = descriptors

    def start(self, arguments: list[str]) -> None:
        """Start the service with what is kept, from descriptor 3 on."""
        self.child = os.fork()
        if self.child:
            return
        environment = {**os.environ, "NOTIFY_SOCKET": str(self.notified.getsockname())}
        given = [os.dup(descriptor) for descriptor in self.kept.values()]
        given = [os.dup2(one, 100 + number) for number, one in enumerate(given)]
        for number, descriptor in enumerate(given):
            os.dup2(descriptor, _FIRST + number)
        os.closerange(_FIRST + len(given), 256)
        environment |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(len(given)), "LISTEN_FDNAMES": ":".join(self.kept)}
        os.execve(sys.executable, [sys.executable, "-m", "doorward", *arguments], environment)  # noqa: S606 - no shell

    def is_paused(self) -> bool:
        """Whether the next start has to wait."""
        return self.is_wanted and Path(os.environ["KEEPER_PAUSE"]).exists()

    def run(self, arguments: list[str]) -> int:
        """Run the service until it is to end; return how it ended."""
        code = 0
        while code == 0:
            while self.is_paused():
                self.hear()
            if not self.is_wanted:
                break
            self.start(arguments)
            while not (ended := os.waitpid(self.child, os.WNOHANG))[0]:
                self.hear()
            code = os.waitstatus_to_exitcode(ended[1])
        return code


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        sys.exit(Keeper(str(Path(made))).run(sys.argv[1:]))
