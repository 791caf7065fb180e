"""Times as they are kept and shown: UTC, whole seconds, such as ``2026-11-21T10:00:00Z``."""

from __future__ import annotations

from datetime import UTC, datetime


def stamp(at: datetime) -> str:
    """Return a time as a text."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def now() -> str:
    """Return the present time as a text."""
    return stamp(datetime.now(UTC))
