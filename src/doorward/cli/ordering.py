"""The order of requests: what is referred to is made before and removed after what refers to it."""

from __future__ import annotations

import graphlib
from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import TypeVar

from doorward.cli.described import DescribedRequest, New, news
from doorward.tree.problems import Problem

Item = TypeVar("Item", bound=Hashable)


def creations(requests: Iterable[DescribedRequest], problems: list[Problem]) -> list[DescribedRequest]:
    """Return the requests that make objects; each one is made before another one refers to it."""
    by_object = {request.makes: request for request in requests if request.makes is not None}
    graph: dict[New, set[New]] = {made: set(news(request.value)) & by_object.keys() for made, request in by_object.items()}
    labels = {made: request.label for made, request in by_object.items()}
    order = _in_order(graph, labels, "Objects that are new can't refer to each other in a circle.", problems)
    return [by_object[made] for made in order]


def removals(gone: Mapping[str, tuple[DescribedRequest, set[str]]], problems: list[Problem]) -> Iterator[DescribedRequest]:
    """Yield removals by the hrefs of the objects, each with the hrefs that it refers to: who refers goes first."""
    labels = {href: request.label for href, (request, _) in gone.items()}
    for href in _in_order(_reversed(gone), labels, "Objects that refer to each other in a circle can't be removed.", problems):
        yield gone[href][0]


def _in_order(
    graph: Mapping[Item, set[Item]], labels: Mapping[Item, str], message: str, problems: list[Problem]
) -> list[Item]:  # fmt: skip
    """Return the nodes so that each one comes after those that it is mapped to; in a circle, none and a problem for each."""
    try:
        return list(graphlib.TopologicalSorter(graph).static_order())
    except graphlib.CycleError as error:
        problems += [Problem("contradiction", message, "", labels[node]) for node in dict.fromkeys(error.args[1])]
        return []


def _reversed(gone: Mapping[str, tuple[DescribedRequest, set[str]]]) -> dict[str, set[str]]:
    """Return for each object those that refer to it."""
    found: dict[str, set[str]] = {href: set() for href in gone}
    for other, (_, targets) in gone.items():
        for href in targets & gone.keys() - {other}:
            found[href].add(other)
    return found
