"""A partial body changes what it names."""

from __future__ import annotations

from typing import Any

import pytest

from doorward.cli.merging import merged


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({"a": 1, "b": {"c": 2, "d": 3}}, {"b": {"d": 4}}, {"a": 1, "b": {"c": 2, "d": 4}}),
        ({"a": 1}, {"a": None}, {"a": None}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({"a": {"b": 1}}, {"a": "key"}, {"a": "key"}),
        ({"a": None}, {"a": {"b": 1}}, {"a": {"b": 1}}),
        ([1], [2], [2]),
        ("x", "y", "y"),
        ({"t": {"selection": "a", "x": 1}}, {"t": {"selection": "b"}}, {"t": {"selection": "b"}}),
        ({"t": {"selection": "a", "x": 1, "y": 2}}, {"t": {"selection": "a", "x": 3}}, {"t": {"selection": "a", "x": 3, "y": 2}}),
        ({"t": {"type": "a", "x": 1}}, {"t": {"type": "b"}}, {"t": {"type": "b"}}),
        ({"t": {"enabled": True, "x": 1}}, {"t": {"enabled": False}}, {"t": {"enabled": False}}),
        ({"t": {"enabled": False}}, {"t": {"enabled": True, "x": 1}}, {"t": {"enabled": True, "x": 1}}),
        ({"@order": ["b", "a"], "a": {"x": 1}, "b": {}}, {"a": {"y": 2}, "c": {}}, {
            "@order": ["b", "a", "c"], "a": {"x": 1, "y": 2}, "b": {}, "c": {},
        }),
        ({"@order": ["a", "b"], "a": {"x": 1}, "b": {"x": 2}}, {"@order": ["b", "c"], "c": {}}, {
            "@order": ["b", "c"], "b": {"x": 2}, "c": {},
        }),
    ],
)  # fmt: skip
def test_merging(old: Any, new: Any, expected: Any) -> None:
    assert merged(old, new) == expected
    assert merged(merged(old, new), new) == expected


def test_a_body_that_is_no_switch_keeps_the_members_beside_enabled() -> None:
    assert merged({"enabled": True, "limit": 1}, {"enabled": False}, switch=False) == {"enabled": False, "limit": 1}
