"""A tap on the log: every record of the process, as it is logged, for those who send records elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

from msgspec import Struct

_OWN = frozenset({"event", "exc_info", "exception", "level", "stack", "stack_info", "timestamp"})


class LogRecord(Struct, frozen=True):
    """A log record: Unix time, level (debug, info, warning, error, critical), what happened, further facts."""

    at: float
    level: str
    name: str
    fields: Mapping[str, Any]


class LogTap:
    """A processor of structlog that changes nothing. Listeners are called in the thread that logs and must not wait."""

    def __init__(self) -> None:
        self.listeners: list[Callable[[LogRecord], None]] = []

    def __call__(self, _logger: Any, method: str, values: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """Hand a record on. Of an exception only the type goes along: tracebacks stay in the log of this machine."""
        if self.listeners:
            fields = {name: value for name, value in values.items() if name not in _OWN}
            if values.get("exc_info") and (kind := sys.exc_info()[0]) is not None:
                fields["exception"] = kind.__name__
            record = LogRecord(time.time(), str(values.get("level", method)), str(values.get("event", "")), fields)
            for listen in tuple(self.listeners):
                listen(record)
        return values


TAP = LogTap()
"""The tap of this process; the logging of ``doorward.cli`` runs through it."""
