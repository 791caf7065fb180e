"""What a description comes to: requests that would bring it about, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec import Struct

from doorward.tree.problems import Problem


class New(Struct, frozen=True):
    """Stands in a body for the key of an object that another request makes."""

    path: str
    name: str


class DescribedRequest(Struct, frozen=True):
    """One request. ``makes`` is what other requests call the object that it makes, ``label`` what it is about, for people."""

    method: str
    path: str
    value: Any = None
    makes: New | None = None
    label: str = ""


class DescribedPlan(Struct, frozen=True):
    """The requests in an order in which they can be sent, and every problem of the description; with problems, nothing counts."""

    requests: tuple[DescribedRequest, ...] = ()
    problems: tuple[Problem, ...] = ()


def news(value: Any) -> Iterable[New]:
    """Yield what stands in a body for keys that are not there yet."""
    if isinstance(value, New):
        yield value
    elif isinstance(value, (dict, list)):
        for member in value.values() if isinstance(value, dict) else value:
            yield from news(member)


def depends_on(request: DescribedRequest) -> frozenset[New]:
    """Return what other requests have to make first."""
    return frozenset(news(request.value))
