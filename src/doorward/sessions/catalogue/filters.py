"""Which sessions are meant by the texts of a request: words, and times between which they began and ended."""

from __future__ import annotations

import re
from datetime import tzinfo
from typing import Final

from doorward.sessions.catalogue.criteria import Compared, Criterion
from doorward.sessions.catalogue.fields import FIELDS, moment
from doorward.sessions.catalogue.query import parsed

TIMES: Final = ("start", "end")
WORDS: Final = ("q", "content")
_LOST_PLUS = re.compile(r"(T[\d:.]+) (\d\d:?\d\d)\Z")


def time_criterion(name: str, text: str, zone: tzinfo) -> Criterion:
    """Return the criterion of ``start`` or ``end``. Raises ValueUnfitError."""
    # A + that was not escaped has become a blank on the way.
    at = moment(_LOST_PLUS.sub(r"\1+\2", text), zone, upper=name == "end")
    return Compared(FIELDS["start_time"], ">=", at) if name == "start" else Compared(FIELDS["end_time"], "<=", at)


def word_criterion(name: str, text: str, zone: tzinfo) -> Criterion:
    """Return the criterion of ``q`` or ``content``. Raises QueryRefusedError."""
    return parsed(text, zone, has_fields=name == "q").criterion
