"""What a node remembers of its tally in a database that others administer: that there was one, and how far it was.

Who has the database could take out rows together with their tally, or put back an older one. So the number of the last
transaction that was synced is kept here as well: in a file of its own, written over in place, which costs microseconds and
needs no room.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import structlog

from doorward.host.ownership import open_own

log = structlog.get_logger()

MEMORY: Final = "sessions-tally"
"""Name of the file in the state directory."""
_LINE: Final = re.compile(rb"([0-9a-f]{32}) ([0-9]{20})\n\Z")


@dataclass(frozen=True, slots=True)
class TallyKey:
    """What a node keeps its tally with: its key, and the file of what it remembers."""

    key: bytes = field(repr=False)
    memory: Path


class TallyMemory:
    """The memory of one node about one database. ``about``: 32 hex digits that tell this pair, and the key, from others.

    A file about something else counts as none: the node begins anew there, and says so in its log.
    """

    def __init__(self, path: Path, about: str) -> None:
        self._path, self._about = path, about
        self._generation: int | None = None
        self._is_read = False

    @property
    def generation(self) -> int | None:
        """The number of the last transaction that was synced; None: there was none."""
        if not self._is_read:
            self._generation, self._is_read = self._found(), True
        return self._generation

    def reached(self, generation: int) -> None:
        """Note how far the tally is. What can't be noted is told in the log; nothing waits for it."""
        self._generation, self._is_read = generation, True
        try:
            descriptor = open_own(self._path, os.O_WRONLY | os.O_CREAT)
            try:
                os.pwrite(descriptor, b"%s %020d\n" % (self._about.encode(), generation), 0)
            finally:
                os.close(descriptor)
        except OSError as error:
            log.warning("how far the tally of the sessions is could not be noted", file=str(self._path), reason=error.strerror)

    def _found(self) -> int | None:
        with suppress(FileNotFoundError):
            with os.fdopen(open_own(self._path, os.O_RDONLY), "rb") as file:
                found = _LINE.match(file.read(64))
            if found is not None and found[1].decode() == self._about:
                return int(found[2])
        return None
