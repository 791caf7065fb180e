"""What is logged: by the level of the process, and everything while something is looked into."""

from __future__ import annotations

import logging

import pytest
import structlog

from doorward.events.verbosity import Verbosity


def passing(verbosity: Verbosity) -> set[str]:
    """The methods of a logger whose records get through."""
    found = set()
    for method in ("debug", "info", "warning", "error", "critical", "exception"):
        try:
            assert verbosity(None, method, {"event": "x"}) == {"event": "x"}
        except structlog.DropEvent:
            continue
        found.add(method)
    return found


ALL = {"debug", "info", "warning", "error", "critical", "exception"}


@pytest.mark.parametrize(
    ("level", "through"),
    [
        (logging.DEBUG, ALL),
        (logging.INFO, ALL - {"debug"}),
        (logging.WARNING, ALL - {"debug", "info"}),
        (logging.ERROR, {"error", "critical", "exception"}),
    ],
)
def test_the_level_counts_until_something_is_looked_into(level: int, through: set[str]) -> None:
    verbosity = Verbosity(level)
    assert passing(verbosity) == through
    verbosity.debugging = True
    assert passing(verbosity) == ALL
    verbosity.debugging = False
    assert passing(verbosity) == through
