"""Hours in which sessions are allowed: ``/api/configuration/policies/time_policies``.

Each day has a list of times from and to, both minutes included, in the time zone of the node; an empty list means never. The
rules of channel policies refer to them: what counts is the moment at which a channel is asked for. The built-in policy ``7x24``
can't be changed.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints, ValidationError

from doorward.tree.fields import Name, matching
from doorward.tree.models import Body, Elements, wrong
from doorward.tree.nodes import Collection

PATH = "/api/configuration/policies/time_policies"
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")

Clock = Annotated[
    str,
    StringConstraints(max_length=5),
    AfterValidator(matching(r"([01]?[0-9]|2[0-3]):[0-5][0-9]", "Must be a time from 0:00 to 23:59.")),
]


def minutes(time: str) -> int:
    """Return the minutes since midnight."""
    hour, _, minute = time.partition(":")
    return int(hour) * 60 + int(minute)


def _forwards(pair: list[str]) -> list[str]:
    if minutes(pair[0]) >= minutes(pair[1]):
        errors = [wrong("range", f"Must be later than {pair[0]}.", 1)]
        raise ValidationError.from_exception_data("pair", errors, hide_input=True)
    return pair


def _one_after_another(day: list[list[str]]) -> list[list[str]]:
    errors = [
        wrong("order", f"Must begin after {before[1]}.", index, 0)
        for index, (before, pair) in enumerate(pairwise(day), 1)
        if minutes(pair[0]) <= minutes(before[1])
    ]
    if errors:
        raise ValidationError.from_exception_data("day", errors, hide_input=True)
    return day


Day = Annotated[
    list[Annotated[list[Clock], Elements(least=2, most=2), AfterValidator(_forwards)]],
    Elements(most=48),
    AfterValidator(_one_after_another),
    Field(
        description="Times from and to, in order and without overlap; both minutes are included.", examples=[[["9:00", "17:59"]]]
    ),
]


class TimePolicy(Body):
    """A time policy."""

    name: Name = Field(description="Name of the policy, unique.", examples=["7x24"])
    Mon: Day = Field(default_factory=list)
    Tue: Day = Field(default_factory=list)
    Wed: Day = Field(default_factory=list)
    Thu: Day = Field(default_factory=list)
    Fri: Day = Field(default_factory=list)
    Sat: Day = Field(default_factory=list)
    Sun: Day = Field(default_factory=list)


NODE: Collection[TimePolicy] = Collection(
    title="Time policies",
    model=TimePolicy,
    default={"-100": {"name": "7x24", **{day: [["0:00", "23:59"]] for day in _DAYS}}},
    fixed=("name", *_DAYS),
    unique="name",
)
