"""Errors of ours in the log: where, never what was being worked on, which may be a secret."""

from __future__ import annotations

import traceback

import structlog

log = structlog.get_logger()


def log_failure(event: str, error: BaseException) -> None:
    """Log an error that should not have been."""
    log.error(event, error=type(error).__name__, where="".join(traceback.format_tb(error.__traceback__)))


def place_of(error: BaseException) -> str:
    """Return the place in the code where something went wrong: no content can be in it."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_name}:{trace.tb_lineno}" if trace is not None else ""
