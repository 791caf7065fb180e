"""Spans of time as people write and read them."""

from __future__ import annotations

import re

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}
MIN_SECONDS, MAX_SECONDS = 10, 3600
"""Seconds that somebody may take to confirm a commit."""


def seconds(text: str) -> int:
    """Return the seconds of ``90``, ``90s``, ``5m`` or ``1h``, from 10 s to an hour. Raises ValueError."""
    found = re.fullmatch(r"([0-9]{1,6})([smh]?)", text.strip())
    given = int(found[1]) * _UNITS[found[2]] if found else 0
    if not MIN_SECONDS <= given <= MAX_SECONDS:
        raise ValueError(f"must be a time from 10s to 1h, such as 90s or 5m, not {text}")
    return given


def words(left: int) -> str:
    """Return a number of seconds as people read it: ``4m 12s``."""
    minutes, rest = divmod(left, 60)
    hours, minutes = divmod(minutes, 60)
    shown = [(hours, "h"), (minutes, "m"), (rest, "s")]
    return " ".join(f"{number}{unit}" for number, unit in shown if number) or "0s"
