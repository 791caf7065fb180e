"""Errors of ours in the log: where, never what was being worked on, which may be a secret."""

from __future__ import annotations

import traceback

import structlog

log = structlog.get_logger()


def log_failure(event: str, error: BaseException) -> None:
    """Log an error that should not have been."""
    log.error(event, error=type(error).__name__, where="".join(traceback.format_tb(error.__traceback__)))
