"""What differs between two revisions follows from the changes of those between them."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from doorward.api.changes import as_change
from doorward.cli.revisions import between, place, undone
from doorward.tree.changes import MISSING, differences, same

HREFS = ["/api/configuration/a", "/api/configuration/b/k1"]
names = st.sampled_from(["a", "b/c", "d~e", "key", "enabled", "selection"])
leaves = st.none() | st.booleans() | st.integers(0, 3) | st.sampled_from(["x", "y"])


def ordered_maps(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    entries = st.lists(st.tuples(st.sampled_from(["p", "q", "r", "s"]), inner), unique_by=lambda pair: pair[0], max_size=4)
    return entries.map(lambda pairs: {"@order": [name for name, _ in pairs], **dict(pairs)})


def objects(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """What is an ordered map is one in every revision."""
    plain = st.dictionaries(names, inner, max_size=3)
    return plain | st.builds(lambda one, other: {**one, "map": other}, plain, ordered_maps(inner))


bodies = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | objects(inner),
    max_leaves=8,
)
revisions = st.lists(st.tuples(bodies | st.just(MISSING), bodies), min_size=2, max_size=5)


def changes(old: dict[str, Any], new: dict[str, Any]) -> list[dict[str, Any]]:
    found = [as_change(href, one) for href in HREFS for one in differences(old[href], new[href])]
    return sorted(found, key=lambda change: str(change["path"]))


def without_order(value: Any) -> Any:
    """An entry that was removed comes back at the end: no change says where it stood."""
    if isinstance(value, dict):
        return {n: sorted(m) if n == "@order" else without_order(m) for n, m in value.items()}
    return value


@given(revisions)
def test_changes_can_be_undone(history: list[tuple[Any, Any]]) -> None:
    states = [dict(zip(HREFS, reversed(state), strict=True)) for state in history]
    steps = [changes(old, new) for old, new in pairwise(states)]
    back = states[-1]
    for old, step in zip(reversed(states[:-1]), reversed(steps), strict=True):
        back = undone(back, step)
        assert all(same(without_order(back[href]), without_order(old[href])) for href in HREFS)


@given(revisions, st.data())
def test_the_difference_is_that_of_the_bodies(history: list[tuple[Any, Any]], data: st.DataObject) -> None:
    states = [dict(zip(HREFS, reversed(state), strict=True)) for state in history]
    steps = [changes(old, new) for old, new in pairwise(states)]
    last = data.draw(st.integers(0, len(states) - 1))
    first = data.draw(st.integers(0, last))
    found = between(states[-1], reversed(steps[last:]), reversed(steps[first:last]))
    direct = changes(states[first], states[last])
    wanted = [(change["path"], change["type"]) for change in direct if change["type"] != "reorder"]
    assert [(change["path"], change["type"]) for change in found if change["type"] != "reorder"] == wanted


def test_orders_are_undone_when_all_that_they_name_is_back() -> None:
    old = {"map": {"@order": ["x", "a", "b"], "a": 1, "b": 2, "x": 3}}
    new = {"map": {"@order": ["b", "a"], "a": 1, "b": 2}}
    states = [{HREFS[0]: old, HREFS[1]: MISSING}, {HREFS[0]: new, HREFS[1]: MISSING}]
    assert undone(states[1], changes(*states)) == states[0]


def test_places_are_decoded() -> None:
    assert place("/api/configuration/a#b~1c/d~0e") == ("/api/configuration/a", ("b/c", "d~e"))
    assert place("/api/configuration/a") == ("/api/configuration/a", ())
