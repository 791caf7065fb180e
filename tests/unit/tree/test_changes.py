"""What differs between two bodies, place by place, and carrying it over to a third."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from doorward.tree.changes import MISSING, ORDER, apply, differences, overlapping, same, value_at

FQDN, IP = {"selection": "fqdn", "value": "a.example"}, {"selection": "ip", "value": "192.0.2.1"}
REFERENCE = {"key": "a", "meta": {"href": "/x/a"}}


def found(old: Any, new: Any) -> list[tuple[str, str, Any, Any]]:
    return [(d.kind, "/".join(d.at), d.old, d.new) for d in differences(old, new)]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        pytest.param(1, 1, [], id="nothing"),
        pytest.param("a", "b", [("replace", "", "a", "b")], id="a scalar is one place"),
        pytest.param([IP], [IP, FQDN], [("replace", "", [IP], [IP, FQDN])], id="an array is one place"),
        pytest.param([IP, FQDN], [FQDN, IP], [("reorder", "", [IP, FQDN], [FQDN, IP])], id="same elements, other order"),
        pytest.param([1, 1, 2], [1, 2, 2], [("replace", "", [1, 1, 2], [1, 2, 2])], id="other multiplicity is no reorder"),
        pytest.param([1, 1, 2], [2, 1, 1], [("reorder", "", [1, 1, 2], [2, 1, 1])], id="reorder with repetition"),
        pytest.param([1], [1.0], [("replace", "", [1], [1.0])], id="an integer is no float"),
        pytest.param([1], [True], [("replace", "", [1], [True])], id="an integer is no boolean"),
        pytest.param(MISSING, {"a": 1}, [("create", "", MISSING, {"a": 1})], id="an object made"),
        pytest.param({"a": 1}, MISSING, [("delete", "", {"a": 1}, MISSING)], id="an object gone"),
        pytest.param({"a": 1, "b": 2}, {"a": 1, "b": 3}, [("replace", "b", 2, 3)], id="each member is a place"),
        pytest.param({"a": None}, {"a": 1}, [("replace", "a", None, 1)], id="null is a value"),
        pytest.param({"a": {"b": {"c": 1, "d": 2}}}, {"a": {"b": {"c": 3, "d": 2}}}, [("replace", "a/b/c", 1, 3)], id="deep"),
        pytest.param({"a": {"b": 1}}, {"a": 5}, [("replace", "a", {"b": 1}, 5)], id="object to scalar"),
        pytest.param({"a": {"x": [1]}}, {"a": {"x": [2]}}, [("replace", "a/x", [1], [2])], id="not into arrays"),
        pytest.param(
            {"enabled": False},
            {"enabled": True, "x": 1},
            [("replace", "enabled", False, True), ("create", "x", MISSING, 1)],
            id="a switch that is the body shows its members",
        ),
        pytest.param(
            {"enabled": True, "x": 1},
            {"enabled": False},
            [("replace", "enabled", True, False), ("delete", "x", 1, MISSING)],
            id="and hides them",
        ),
        pytest.param(
            {"m": {ORDER: ["a"], "a": 1}},
            {"m": {ORDER: ["a", "b"], "a": 1, "b": 2}},
            [("create", "m/b", MISSING, 2)],
            id="appending to an ordered map is no reorder",
        ),
        pytest.param(
            {"m": {ORDER: ["a", "b", "c"], "a": 1, "b": 2, "c": 3}},
            {"m": {ORDER: ["a", "c"], "a": 1, "c": 3}},
            [("delete", "m/b", 2, MISSING)],
            id="nor is removing",
        ),
        pytest.param(
            {"m": {ORDER: ["a", "b"], "a": 1, "b": 2}},
            {"m": {ORDER: ["b", "a"], "a": 1, "b": 2}},
            [("reorder", "m", ["a", "b"], ["b", "a"])],
            id="an ordered map in another order",
        ),
    ],
)
def test_places_that_differ(old: Any, new: Any, expected: list[tuple[str, str, Any, Any]]) -> None:
    assert found(old, new) == expected


def test_a_new_entry_at_the_front_is_a_reorder_as_well() -> None:
    old = {ORDER: ["a"], "a": 1}
    new = {ORDER: ["b", "a"], "a": 1, "b": 2}
    assert {(kind, at) for kind, at, _, _ in found(old, new)} == {("reorder", ""), ("create", "b")}


LEAVES = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([0.0, 1.0, 2.5]) | st.sampled_from(["", "a", "b"])
UNIONS = st.fixed_dictionaries({"selection": st.sampled_from(["ip", "fqdn"]), "value": LEAVES})
SWITCHES = st.just({"enabled": False}) | st.fixed_dictionaries({"enabled": st.just(value=True), "x": LEAVES})
NAMES = st.sampled_from(["a", "b", "c", "d", "e/~f"])


def ordered_map(entries: dict[str, Any], random: Any) -> dict[str, Any]:
    order = list(entries)
    random.shuffle(order)
    return {ORDER: order, **entries}


def maps(values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.builds(ordered_map, st.dictionaries(NAMES, values, max_size=4), st.randoms(use_true_random=False))


VALUES = st.recursive(
    LEAVES | UNIONS | SWITCHES | st.lists(LEAVES | UNIONS, max_size=4),
    lambda inner: st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=10,
)
# A model gives each member its kind: an ordered map stands where the other body has one too.
BODIES = st.fixed_dictionaries(
    {"map": maps(st.dictionaries(NAMES, VALUES, max_size=2) | LEAVES), "rest": VALUES},
    optional={"more": VALUES, "within": st.fixed_dictionaries({"map": maps(LEAVES)})},
)


@given(BODIES | VALUES, BODIES | VALUES)
def test_carrying_all_differences_over_to_the_old_body_gives_the_new_one(old: Any, new: Any) -> None:
    body = old
    for difference in differences(old, new):
        body = apply(difference, body)
    assert same(body, new)


@example({"map": {ORDER: ["a"], "a": 1}}, {"map": {ORDER: ["b", "a"], "a": 1, "b": 2}})
@example({"map": {ORDER: ["a", "b"], "a": 1, "b": 2}}, {"map": {ORDER: ["c", "d", "b"], "b": 2, "c": 3, "d": 4}})
@given(BODIES, BODIES)
def test_so_it_does_with_ordered_maps(old: Any, new: Any) -> None:
    body = old
    for difference in differences(old, new):
        body = apply(difference, body)
    assert same(body, new)


@given(BODIES, BODIES)
def test_there_is_a_difference_exactly_where_bodies_differ(old: Any, new: Any) -> None:
    assert bool(found(old, new)) == (not same(old, new))
    places = [at for _, at, _, _ in found(old, new)]
    kinds = [kind for kind, *_ in found(old, new)]
    assert len(set(zip(places, kinds, strict=True))) == len(places)


@given(BODIES, BODIES, BODIES)
def test_changes_of_two_people_in_different_places_both_arrive(base: Any, one: Any, other: Any) -> None:
    mine, theirs = list(differences(base, one)), list(differences(base, other))
    if any(overlapping(a.at, b.at) for a in mine for b in theirs):
        return
    body = other
    for difference in mine:
        body = apply(difference, body)
    for difference in mine + theirs:
        if difference.kind != "reorder":
            assert same(value_at(body, difference.at), difference.new)
    again = base
    for difference in mine + theirs:
        again = apply(difference, again)
    for name in ("rest", "more"):
        assert same(again.get(name), body.get(name))


@given(BODIES)
def test_the_order_of_a_carried_map_names_each_entry_once(base: Any) -> None:
    [difference] = differences(base, {**base, "map": {**base["map"], "new": 1, ORDER: [*base["map"][ORDER], "new"]}})
    for start in (base, {**base, "map": {ORDER: []}}):
        body = apply(difference, start)
        assert sorted(body["map"][ORDER]) == sorted(set(body["map"]) - {ORDER})
        assert body["map"][ORDER][-1] == "new"


def test_what_is_not_there_is_missing() -> None:
    assert value_at({"a": {"b": 1}}, ("a", "b")) == 1
    assert value_at({"a": {"b": 1}}, ("a", "c")) is MISSING
    assert value_at({"a": 1}, ("a", "b")) is MISSING
    assert repr(MISSING) == "missing"


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ((), ("a",), True),
        (("a",), ("a",), True),
        (("a",), ("a", "b"), True),
        (("a", "b"), ("a", "c"), False),
        (("a",), ("ab",), False),
    ],
)
def test_places_overlap_when_one_is_above_the_other(one: tuple[str, ...], other: tuple[str, ...], expected: bool) -> None:
    assert overlapping(one, other) is expected
    assert overlapping(other, one) is expected
