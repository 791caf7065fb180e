"""Which sessions are meant by the texts of a request: words, and times between which they began and ended."""

from __future__ import annotations

import re
from datetime import tzinfo
from typing import Final

from doorward.sessions.catalogue.conditions import Condition
from doorward.sessions.catalogue.fields import moment
from doorward.sessions.catalogue.query import parsed

TIMES: Final = ("start", "end")
WORDS: Final = ("q", "content")
_SQL: Final = {"start": "began >= ?", "end": "ended <= ?"}
_LOST_PLUS = re.compile(r"(T[\d:.]+) (\d\d:?\d\d)\Z")


def time_condition(name: str, text: str, zone: tzinfo) -> Condition:
    """Return the condition of ``start`` or ``end``. Raises ValueUnfitError."""
    # A + that was not escaped has become a blank on the way.
    return Condition(_SQL[name], (moment(_LOST_PLUS.sub(r"\1+\2", text), zone, upper=name == "end"),))


def word_condition(name: str, text: str, zone: tzinfo) -> Condition:
    """Return the condition of ``q`` or ``content``. Raises QueryRefusedError."""
    return parsed(text, zone, has_fields=name == "q").condition
