"""How long tests wait for what is sure to come. A machine may be ten times slower than the one that a test was written on."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

PATIENCE = 150.0
"""Seconds until a wait is given up: no measure of speed, and less than it takes until a test counts as stuck."""


def until(condition: Callable[[], Any], seconds: float = PATIENCE, what: str = "") -> Any:
    """Wait for a condition and return its value. ``seconds``: how long at the least, where that is longer than usual."""
    end = time.monotonic() + max(seconds, PATIENCE)
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"never came: {what or condition}")
        time.sleep(0.02)
