"""Word from the kernel that something on the host changed: files by inotify, the network by netlink.

It only wakes whoever then looks at what is there. What the kernel can't tell, such as a directory that was not there yet, is seen
by looking now and then anyway.
"""

from __future__ import annotations

import os
import select
import socket
import threading
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog

if TYPE_CHECKING:
    from inotify_simple import INotify

_log = structlog.stdlib.get_logger(__name__)

_LINKS, _ADDRESSES_4, _ROUTES_4, _ADDRESSES_6, _ROUTES_6 = 0x1, 0x10, 0x40, 0x100, 0x400
_GROUPS: Final = _LINKS | _ADDRESSES_4 | _ROUTES_4 | _ADDRESSES_6 | _ROUTES_6
_MESSAGE_BYTES: Final = 1 << 16


class HostChanges:
    """Calls `tell`, in a thread of its own, after anything changed in some directories, or in the network."""

    def __init__(self, tell: Callable[[], None], *, network: bool) -> None:
        """`network` is False where the host has none of its own, as in a sandbox."""
        self._tell, self._network = tell, network
        self._watched: dict[Path, int] = {}
        self._files: INotify | None = None
        self._end = -1
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to listen; where the kernel has no more room for that, only the log says so."""
        with ExitStack() as opened:
            try:
                from inotify_simple import INotify

                sources: list[INotify | socket.socket] = [opened.enter_context(INotify())]
                self._files = sources[0] if isinstance(sources[0], INotify) else None
                if self._network:
                    kernel = opened.enter_context(socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE))
                    kernel.bind((0, _GROUPS))
                    sources.append(kernel)
                self._end = os.eventfd(0)
            except OSError as error:
                self._files = None
                _log.warning("changes of the host are not heard of", reason=error.strerror)
                return
            keep = opened.pop_all()
        self._thread = threading.Thread(target=self._listen, args=(sources, keep), name="host changes", daemon=True)
        self._thread.start()

    def watch(self, directories: Iterable[Path]) -> None:
        """Listen to exactly these directories, as far as they are there."""
        files = self._files
        if files is None:
            return
        from inotify_simple import flags

        mask = flags.CREATE | flags.DELETE | flags.MOVED_FROM | flags.MOVED_TO | flags.CLOSE_WRITE | flags.ATTRIB | flags.ONLYDIR
        watched: dict[Path, int] = {}
        for directory in directories:
            try:  # again where it is known already: it may be another directory by now
                watched[directory] = files.add_watch(directory, mask)
            except OSError:
                continue
        for gone in set(self._watched.values()) - set(watched.values()):
            try:
                files.rm_watch(gone)
            except OSError:  # the directory went away, and the watch with it
                continue
        self._watched = watched

    def stop(self) -> None:
        """Listen no more."""
        if self._thread is not None:
            os.eventfd_write(self._end, 1)
            self._thread.join()
            self._thread, self._files = None, None

    def _listen(self, sources: list[INotify | socket.socket], keep: ExitStack) -> None:
        numbers = [source.fileno() for source in sources]
        with keep:
            while True:
                ready, _, _ = select.select([self._end, *numbers], [], [])
                if self._end in ready:
                    break
                for number in ready:
                    with suppress(OSError):  # more than fits has changed: that is word enough
                        os.read(number, _MESSAGE_BYTES)
                self._tell()
        os.close(self._end)
