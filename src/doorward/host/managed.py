"""What of the machine Doorward has taken over, of that which a fresh appliance leaves as it was found."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from doorward.host.errors import HostError
from doorward.host.files import DiskFiles, FileEntry

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_NAME: Final = "/managed.json"


class Managed:
    """A set of origins (configuration hrefs) that survives restarts: those that a commit has changed.

    Without a directory it is kept in memory.
    """

    def __init__(self, directory: Path | None = None) -> None:
        """`directory` holds the file ``managed.json``. `HostError` where that can't be read."""
        self._files = DiskFiles(directory) if directory is not None else None
        entry = self._files.read(_NAME) if self._files is not None else None
        try:
            self._origins = frozenset[str](json.loads(entry.content)) if entry is not None else frozenset()
        except (TypeError, ValueError) as error:
            raise HostError(f"the file {directory}{_NAME} is damaged: it does not say what of the machine is managed") from error

    def __contains__(self, origin: str) -> bool:
        return origin in self._origins

    @property
    def origins(self) -> frozenset[str]:
        """All of them."""
        return self._origins

    def keep(self, origins: Iterable[str]) -> None:
        """Replace the set; durable when this returns. `HostError` when it can't be written."""
        wanted = frozenset(origins)
        if wanted == self._origins:
            return
        if self._files is not None:
            self._files.write(_NAME, FileEntry(json.dumps(sorted(wanted)).encode(), 0o600))
        self._origins = wanted
