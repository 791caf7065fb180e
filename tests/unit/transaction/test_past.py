"""The configuration as it was, and who set what of it."""

from __future__ import annotations

from typing import Any

import pytest

from doorward.store.port import Edit, Revision
from doorward.transaction.past import as_was, blame, blamed, leaves
from doorward.tree.jsontext import encode
from doorward.tree.places import Place
from doorward.tree.shapes import FREE, WHOLE, Shape
from tests.unit.transaction.rig import GROUPS, ROOT, SERVERS, TREE, WEB, ZONE, Rig, ip, place

SWITCH = Shape({"on": WHOLE, "limits": Shape({"low": WHOLE, "high": WHOLE}), "list": WHOLE})
HERE = Place("/here")


def changes(*bodies: Any) -> list[tuple[Revision, Edit]]:
    """The changes through which a place went, newest first; ``...`` stands for nothing there."""
    stored = [None, *(None if body is ... else encode(body) for body in bodies)]
    return [
        (Revision(number, f"author {number}", "", "", None, 1), Edit(HERE, stored[number - 1], stored[number]))
        for number in range(len(bodies), 0, -1)
    ]


def numbers(shape: Shape, *bodies: Any) -> dict[str, int]:
    return {where: revision.number for where, revision in blamed(shape, bodies[-1], changes(*bodies)).items()}


@pytest.mark.parametrize(
    ("value", "shape", "expected"),
    [
        ("x", FREE, [()]),
        ([{"a": 1}], FREE, [()]),
        ({}, FREE, [()]),
        ({"a": {"b": 1, "c": []}}, FREE, [("a", "b"), ("a", "c")]),
        ({"a": {"b": 1}}, Shape({"a": WHOLE}), [("a",)]),
        ({"@order": ["x"], "x": 1}, FREE, [("x",)]),
        ({"@order": []}, FREE, [()]),
    ],
)
def test_leaves_are_the_places_that_changes_name(value: Any, shape: Shape, expected: list[Any]) -> None:
    assert list(leaves(value, shape)) == expected


def test_each_leaf_is_blamed_on_the_last_revision_that_changed_it() -> None:
    one = {"on": False, "limits": {"low": 1, "high": 9}, "list": [1]}
    two = {"on": True, "limits": {"low": 1, "high": 9}, "list": [1]}
    three = {"on": True, "limits": {"low": 1, "high": 8}, "list": [1, 2]}
    assert numbers(SWITCH, one, two, three) == {"/limits/high": 3, "/limits/low": 1, "/list": 3, "/on": 2}


def test_a_value_that_came_back_is_blamed_on_its_return() -> None:
    assert numbers(SWITCH, {"on": False}, {"on": True}, {"on": False}) == {"/on": 3}


def test_what_was_made_again_is_blamed_on_that() -> None:
    assert numbers(SWITCH, {"on": False, "list": []}, ..., {"on": False, "list": []}, {"on": True, "list": []}) == {
        "/list": 3, "/on": 4,
    }  # fmt: skip


def test_a_leaf_that_was_something_else_is_blamed_on_the_change() -> None:
    assert numbers(FREE, {"a": 1, "b": 1}, {"a": {"x": 1}, "b": 1}, {"a": {"x": 1, "y": 2}, "b": 1}) == {
        "/a/x": 2, "/a/y": 3, "/b": 1,
    }  # fmt: skip


def test_an_order_says_nothing_of_the_values_in_it() -> None:
    assert numbers(FREE, {"@order": ["a", "b"], "a": 1, "b": 2}, {"@order": ["b", "a"], "a": 1, "b": 2}) == {"/a": 1, "/b": 1}
    assert numbers(FREE, [1, 2], [2, 1]) == {"": 2}


def test_names_in_pointers_are_escaped() -> None:
    assert numbers(FREE, {"a/b": {"c~d": 1}}) == {"/a~1b/c~0d": 1}


def test_a_configuration_can_be_read_as_it_was(rig: Rig) -> None:
    rig.committed((SERVERS, [ip("192.0.2.1")]), (WEB, {"timeout": 5}))
    candidate = rig.candidate()
    key = rig.post(candidate, GROUPS, {"name": "old"})
    rig.commit(candidate)
    states = {rig.number: rig.pipeline.running.snapshot}
    candidate = rig.candidate()
    rig.delete(candidate, GROUPS, key)
    rig.put(candidate, ZONE, "Asia/Tokyo")
    rig.commit(candidate)
    states[rig.number] = rig.pipeline.running.snapshot
    for number, snapshot in states.items():
        whole = as_was(TREE, rig.store, number)
        assert whole.singletons == snapshot.singletons
        assert whole.collections.keys() == {path for path, objects in snapshot.collections.items() if objects}
        assert all(whole.objects(path).order == objects.order for path, objects in snapshot.collections.items())
        groups = as_was(TREE, rig.store, number, ROOT + GROUPS)
        assert groups.keys(ROOT + GROUPS) == snapshot.keys(ROOT + GROUPS)
        assert not list(groups.singletons)


def test_a_body_that_no_release_takes_any_more_is_shown_as_it_was(rig: Rig) -> None:
    strange, fresh = encode({"timeout": "ten"}), encode({"timeout": 10})
    rig.store.publish(Revision(2, "admin", "", "2026-11-21T10:00:00Z", None, 1), [Edit(place(WEB), fresh, strange)])
    document = as_was(TREE, rig.store, 2, ROOT + WEB).document(place(WEB))
    assert document is not None
    assert document.shown == strange
    assert {where: found.number for where, found in blame(TREE, rig.store, place(WEB), document, 2).items()} == {"/timeout": 2}


def test_blame_goes_back_further_than_a_page(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("doorward.transaction.past._CHANGES_AT_ONCE", 2)
    for minutes in range(20, 27):
        rig.committed((WEB, {"timeout": minutes, "session_hours": 3}))
    document = rig.pipeline.running.snapshot.document(place(WEB))
    assert document is not None
    found = blame(TREE, rig.store, place(WEB), document, rig.number)
    assert {where: (one.number, one.author) for where, one in found.items()} == {
        "/session_hours": (2, "admin"), "/timeout": (8, "admin"),
    }  # fmt: skip
