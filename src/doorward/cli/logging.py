"""Where log records go: one JSON object a line on standard error, or readable lines on a terminal."""

from __future__ import annotations

import json
import logging
import os
import sys
from contextlib import suppress
from typing import IO, Any, Final

import msgspec
import structlog

from doorward.events.tap import TAP
from doorward.events.verbosity import VERBOSITY

VARIABLE: Final = "DOORWARD_LOG_LEVEL"
_LEVELS: Final = {
    "debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR,
}  # fmt: skip


class LogLevelError(Exception):
    """The variable names no level."""


class SafeStream:
    """A stream that takes what it can: where the disk of the log is full, or nobody reads it any more, the appliance goes on.

    What was cut off then ends its line before the next record begins: each is on a line of its own.
    """

    def __init__(self, stream: IO[Any]) -> None:
        self._stream = stream
        self._is_cut = False

    def write(self, data: Any) -> None:
        """Write, or leave it."""
        if self._is_cut:
            data = (b"\n" if isinstance(data, bytes) else "\n") + data
        with suppress(OSError):
            if written := self._stream.write(data):
                self._is_cut = written < len(data)

    def flush(self) -> None:
        """Write what is still here, or leave it."""
        with suppress(OSError):
            self._stream.flush()


class StdlibHandler(logging.Handler):
    """Makes records like ours of what libraries log, with ``logger`` for where it comes from."""

    def emit(self, record: logging.LogRecord) -> None:
        """Hand a record on."""
        try:
            text, cause = record.getMessage(), record.exc_info if record.exc_info and record.exc_info[0] else None
            structlog.get_logger().log(record.levelno, text, logger=record.name, **({"exc_info": cause} if cause else {}))
        except Exception:  # noqa: BLE001 - as every handler does
            self.handleError(record)


def _logger_factory(*, terminal: bool) -> Any:
    if terminal:
        return structlog.PrintLoggerFactory(SafeStream(sys.stderr))  # type: ignore[arg-type]
    # Unbuffered: what could not be written must not come up again at the end of the process.
    raw = open(sys.stderr.fileno(), "wb", buffering=0, closefd=False)  # noqa: SIM115 - it lasts as long as the process
    return structlog.BytesLoggerFactory(SafeStream(raw))  # type: ignore[arg-type]


def configure() -> None:
    """Set up logging for the process. ``DOORWARD_LOG_LEVEL`` (debug, info, warning, error) sets the level.

    Raises LogLevelError.
    """
    name = os.environ.get(VARIABLE) or "info"
    if name.lower() not in _LEVELS:
        raise LogLevelError(f"{VARIABLE} must be debug, info, warning or error, not {name}")
    VERBOSITY.level = _LEVELS[name.lower()]
    terminal = sys.stderr.isatty()
    renderer: structlog.typing.Processor = structlog.processors.JSONRenderer(_line)
    if terminal:  # no rich tracebacks: they show local variables, secrets included
        renderer = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(
        processors=[
            VERBOSITY,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            TAP,
            structlog.processors.StackInfoRenderer(),
            *([] if terminal else [structlog.processors.format_exc_info]),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
        logger_factory=_logger_factory(terminal=terminal),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=logging.WARNING, handlers=[StdlibHandler()])


def _line(record: object, **how: Any) -> bytes:
    """Encode a record; the slow way where it holds what JSON or UTF-8 has no place for, such as half of a surrogate pair."""
    try:
        return msgspec.json.encode(record)
    except (TypeError, ValueError, msgspec.MsgspecError):
        return json.dumps(record, **how).encode()
