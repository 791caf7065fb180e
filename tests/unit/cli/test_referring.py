"""References are found by the types of a model, in bodies that need not be valid."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest

from doorward.cli.describe import plan
from doorward.cli.referring import At, is_switch, mapped
from doorward.tree.models import Body, Variants
from doorward.tree.nodes import Branch, Collection
from doorward.tree.references import Reference, RefersTo
from doorward.tree.registry import Endpoint, Tree
from tests.unit.cli.present import Memory
from tests.unit.tree.bodies import PLACES, STORE, Block, Everything, Shape

NAMED = Annotated[dict[str, Annotated[Reference[Any], RefersTo(STORE)]], "by name"]


class ToStore(Body):
    selection: Literal["store"]
    to: Annotated[Reference[Any], RefersTo(STORE)]


class ToPlace(Body):
    selection: Literal["place"]
    to: Annotated[Reference[Any], RefersTo(PLACES)]


Either = Annotated[ToStore | ToPlace, Variants("selection")]


def found(kind: Any, value: Any) -> dict[At, tuple[str, Any]]:
    places: dict[At, tuple[str, Any]] = {}

    def change(to: RefersTo, there: Any, at: At) -> Any:
        places[at] = (to.to, there)
        return "changed"

    mapped(kind, value, change)
    return places


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (Everything, {"owner": "o", "others": ["a", {"key": "b"}], "plain": "p", "number": "no number"}, {
            ("owner",): (STORE, "o"), ("plain",): (PLACES, "p"),
            ("others", 0): (PLACES, "a"), ("others", 1): (PLACES, {"key": "b"}),
        }),
        (Everything, {"owner": None, "others": None, "unknown": {"owner": "x"}}, {}),
        (Everything, {"owner": {"from_env": "A"}}, {("owner",): (STORE, {"from_env": "A"})}),
        (Everything, {"others": "no list", "nested": 5, "by_name": []}, {}),
        (Everything, "no mapping", {}),
        (NAMED, {"one": "a", "other": None}, {("one",): (STORE, "a")}),
        (Shape, {"selection": "square"}, {}),
        (Either, {"selection": "store", "to": "a"}, {("to",): (STORE, "a")}),
        (Either, {"selection": "place", "to": "a"}, {("to",): (PLACES, "a")}),
        (Either, {"selection": "neither", "to": "a"}, {}),
        (int, 5, {}),
    ],
)  # fmt: skip
def test_references_are_found(kind: Any, value: Any, expected: Any) -> None:
    assert found(kind, value) == expected


def test_only_references_are_changed() -> None:
    value = {"owner": "o", "block": {"enabled": True, "sizes": [1]}, "unknown": [{"owner": "x"}]}
    assert mapped(Everything, value, lambda _to, there, _at: f"{there}!") == {**value, "owner": "o!"}


def test_switches_are_known() -> None:
    assert is_switch(Block)
    assert not is_switch(Shape)
    assert not is_switch(Everything)


class Left(Body):
    name: str
    other: Annotated[Reference[Any], RefersTo("/r/right")]


class Right(Body):
    name: str
    other: Annotated[Reference[Any], RefersTo("/r/left")] | None = None


def mutual() -> Tree:
    """Two collections whose objects may refer to each other."""
    root = Endpoint("/r", "r", Branch(), "")
    for key, model in (("left", Left), ("right", Right)):
        root.children[key] = Endpoint(f"/r/{key}", key, Collection(model=model, unique="name"), "", root)
    return Tree(root)


def test_new_objects_in_a_circle_are_a_problem() -> None:
    described = {"left": {"a": {"other": "b"}}, "right": {"b": {"other": "a"}, "c": None}}
    found = plan(mutual(), Memory(collections={"/r/left": {}, "/r/right": {}}), described)
    assert sorted(problem.path for problem in found.problems) == ["/r/left/a", "/r/right/b"]


def test_removals_go_from_who_refers_to_who_is_referred_to() -> None:
    left = {"l1": {"name": "a", "other": "r1"}, "l2": {"name": "x", "other": "r2"}}
    right = {"r1": {"name": "b", "other": "l2"}, "r2": {"name": "y", "other": None}}
    found = plan(mutual(), Memory(collections={"/r/left": left, "/r/right": right}), {"right": {}, "left": None}, prune=True)
    assert [request.path for request in found.requests] == ["/r/left/l1", "/r/right/r1", "/r/left/l2", "/r/right/r2"]


def test_references_are_let_go_before_what_they_refer_to_is_removed() -> None:
    left, right = {"l1": {"name": "a", "other": "r1"}}, {"r1": {"name": "b", "other": None}}
    described = {"left": {"a": {"other": "c"}}, "right": {"c": None}}
    found = plan(mutual(), Memory(collections={"/r/left": left, "/r/right": right}), described, prune=True)
    assert [(request.method, request.path) for request in found.requests] == [
        ("POST", "/r/right"),
        ("PUT", "/r/left/l1"),
        ("DELETE", "/r/right/r1"),
    ]


def test_removals_in_a_circle_are_a_problem_too() -> None:
    left, right = {"l1": {"name": "a", "other": "r1"}}, {"r1": {"name": "b", "other": "l1"}}
    found = plan(mutual(), Memory(collections={"/r/left": left, "/r/right": right}), {"right": {}, "left": {}}, prune=True)
    assert sorted(problem.path for problem in found.problems) == ["/r/left/a", "/r/right/b"]
