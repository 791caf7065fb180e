"""How much is logged: a level that can be moved while the process runs."""

from __future__ import annotations

import logging
from collections.abc import MutableMapping
from typing import Any

import structlog


class Verbosity:
    """A processor of structlog that lets records of a level through. Set ``debugging`` and everything passes.

    Only our own records: those of libraries keep their level, for what they would say might hold anything.
    """

    def __init__(self, level: int = logging.INFO) -> None:
        self.level = level
        """The level of the process while nothing is being looked into."""
        self.debugging = False

    @property
    def shows_everything(self) -> bool:
        """Whether records of level debug pass."""
        return self.debugging or self.level <= logging.DEBUG

    def __call__(self, _logger: Any, method: str, values: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """Stop a record that is below the level."""
        if not self.debugging and _LEVELS.get(method, logging.ERROR) < self.level:
            raise structlog.DropEvent
        return values


_LEVELS = {name.lower(): level for name, level in logging.getLevelNamesMapping().items()}

VERBOSITY = Verbosity()
"""The level of this process; the logging of ``doorward.cli`` runs through it, and the senders move it at every commit."""
