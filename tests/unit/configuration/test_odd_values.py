"""Whatever stands in place of a value in a body, it is refused or taken: nothing that was sent is an error of ours."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import doorward.configuration
from doorward.host.machine import Machine
from doorward.tree.nodes import Valued
from doorward.tree.places import Place
from doorward.tree.problems import InvalidBody
from doorward.tree.registry import discover
from doorward.tree.validation import check
from tests.contract.test_privileges import MADE

ODD: list[Any] = [None, True, [], {}, [False], [[]], {"selection": []}, "", "\0", -1, 10**400, 0.5]


def with_odd_values(value: Any) -> Iterator[Any]:
    """Yield a value with one place of it replaced, for each place and each odd value."""
    yield from ODD
    if isinstance(value, dict):
        for name, member in value.items():
            yield from (value | {name: odd} for odd in with_odd_values(member))
    elif isinstance(value, list) and value:
        yield from ([odd, *value[1:]] for odd in with_odd_values(value[0]))


def test_no_value_in_a_body_is_an_error_of_ours() -> None:
    tree, tried = discover(doorward.configuration), 0
    defaults = tree.defaults(Machine())
    for endpoint in tree:
        if not isinstance(node := endpoint.node, Valued):
            continue
        if endpoint.holds_objects:
            documents = [document for _, document in defaults.objects(endpoint.path).items()]
        else:
            documents = [found] if (found := defaults.document(Place(endpoint.path))) else []
        bodies = [document.value for document in documents] or [MADE.get(endpoint.path, {})]
        for odd in with_odd_values(bodies[0]):
            tried += 1
            try:
                check(node.adapter, odd)
            except InvalidBody:
                continue
            except Exception as error:
                error.add_note(f"{endpoint.path}: {odd}")
                raise
    assert tried > 2000
