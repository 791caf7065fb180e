"""From pydantic's errors to problems of the contract: pointers, codes, sentences, warnings."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorward.tree.problems import pointer
from tests.unit.tree.bodies import EVERYTHING, LEAST, checked, one_problem, problems, warned

UNKNOWN_EVERYWHERE: dict[str, Any] = {
    **LEAST,
    "x": 1,
    "shape": {"selection": "square", "side": 1, "x": {"deep": []}},
    "block": {"enabled": True, "inner": {"x": None}, "x": 1},
    "nested": {"x": 1, "flag": True},
    "servers": [{"selection": "ip", "value": "192.0.2.1"}, {"selection": "ip", "value": "192.0.2.2", "x": 1}],
    "by_name": {"a": {"x": 1}},
}
PLACES = ["/block/inner/x", "/block/x", "/by_name/a/x", "/nested/x", "/servers/1/x", "/shape/x", "/x"]


def test_unknown_members_are_dropped_and_named_at_every_depth() -> None:
    found = checked(UNKNOWN_EVERYWHERE)
    assert [(problem.code, problem.pointer) for problem in found.warnings] == [("unknown_member", at) for at in PLACES]
    assert {problem.message for problem in found.warnings} == {"Not known here; ignored."}
    shown = EVERYTHING.dump_python(found.model, mode="json")
    assert shown["nested"]["flag"] is True
    assert "x" not in shown | shown["nested"] | shown["block"] | shown["shape"] | shown["servers"][1]


def test_unknown_members_are_errors_under_strict_handling() -> None:
    assert problems(UNKNOWN_EVERYWHERE, strict=True) == [("unknown_member", at) for at in PLACES]


def test_errors_leave_no_warnings_behind() -> None:
    assert problems({**UNKNOWN_EVERYWHERE, "number": "5"}) == [("type", "/number")]


@pytest.mark.parametrize(
    "name",
    [
        "<on>",
        "<off>",
        "<selection=square>",
        "<x>",
        "",
        "/",
        "~1",
        "0",
        "-1",
        "\u00b2",
        "\u0663",
        "9" * 5000,
        "\u00e9",
        "__class__",
    ],
)
@pytest.mark.parametrize("at", [(), ("nested",), ("block",), ("shape",), ("servers", 0), ("by_name", "a")], ids=str)
def test_a_member_may_be_called_like_anything(name: str, at: tuple[str | int, ...]) -> None:
    body: dict[str, Any] = {
        **LEAST,
        "nested": {},
        "block": {"enabled": True, "inner": {}},
        "shape": {"selection": "square", "side": 1},
        "servers": [{"selection": "ip", "value": "192.0.2.1"}],
        "by_name": {"a": {}},
    }
    inside: Any = body
    for part in at:
        inside = inside[part]
    inside[name] = {"flag": "x"}
    assert warned(body) == [("unknown_member", pointer([*at, name]))]
    assert problems(body, strict=True) == [("unknown_member", pointer([*at, name]))]


@pytest.mark.parametrize("name", ["<on>", "<off>", "inner"])
def test_a_member_beside_a_switch_that_is_off_may_be_called_like_anything(name: str) -> None:
    assert warned({**LEAST, "block": {"enabled": False, name: 1}}) == [("hidden_member", f"/block/{name}")]


def test_a_key_of_a_map_may_look_like_a_variant_only_if_it_stays_in_the_pointer() -> None:
    assert problems({**LEAST, "by_name": {"a": {"flag": 1}, "b": {"flag": 1}}}) == [
        ("type", "/by_name/a/flag"),
        ("type", "/by_name/b/flag"),
    ]


@pytest.mark.parametrize(
    ("change", "code", "said"),
    [
        ({"number": "5"}, "type", "Must be an integer."),
        ({"number": 5.5}, "type", "Must be an integer."),
        ({"text": 5}, "type", "Must be a string."),
        ({"nested": 5}, "type", "Must be an object."),
        ({"nested": {"flag": 5}}, "type", "Must be true or false."),
        ({"servers": 5}, "type", "Must be an array."),
        ({"by_name": 5}, "type", "Must be an object."),
        ({"shape": 5}, "type", "Must be an object."),
        ({"shape": {"selection": "x"}}, "enum", "Must be circle or square."),
        ({"shape": {"selection": 5}}, "type", "Must be a string."),
        ({"shape": {}}, "missing", "Required."),
        ({"shape": {"selection": "square", "side": 0}}, "range", "Must be at least 1."),
        ({"shape": {"selection": "square", "side": 11}}, "range", "Must be at most 10."),
        ({"shape": {"selection": "circle", "radius": 0}}, "range", "Must be greater than 0.0."),
        ({"shape": {"selection": "circle", "radius": 2.0}}, "range", "Must be less than 1.0."),
        ({"shape": {"selection": "circle", "radius": "x"}}, "type", "Must be a number."),
        ({"block": {"enabled": 1}}, "type", "Must be true or false."),
        ({"nested": {"label": "a"}}, "length", "At least 2 characters."),
        ({"nested": {"label": "abcde"}}, "length", "At most 4 characters."),
        ({"nested": {"label": "AB"}}, "format", "Not of the required form."),
        ({"servers": [{"selection": "ip", "value": "192.0.2.1"}] * 2}, "duplicate", "Equals element 0."),
        ({"block": {"enabled": True, "inner": {}, "sizes": []}}, "length", "At least 1 elements."),
        ({"block": {"enabled": True, "inner": {}, "sizes": [1, 2, 3, 4]}}, "length", "At most 3 elements."),
        ({"owner": 5}, "type", "Must be the key of an object."),
        ({"owner": ""}, "format", "Must be the key of an object."),
    ],
)
def test_every_kind_of_error_has_its_code_and_sentence(change: dict[str, Any], code: str, said: str) -> None:
    problem = one_problem({**LEAST, **change})
    assert (problem.code, problem.message) == (code, said)


def test_an_enumeration_names_what_is_allowed() -> None:
    problem = one_problem({**LEAST, "shape": {"selection": "circle", "radius": 0.5, "colour": "green"}})
    assert problem.code == "enum"
    assert "red" in problem.message
    assert "blue" in problem.message


@pytest.mark.parametrize("value", [None, True, 5, "x", [], [LEAST]])
def test_a_body_of_another_shape_is_refused_as_a_whole(value: Any) -> None:
    assert problems(value) == [("type", "")]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.sampled_from(["square", "circle", "ip", "fqdn"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["enabled", "selection", "value", "inner", "sizes", "flag", "label", "side", "<on>", "key", "meta"])
            | st.text(max_size=2),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from([*EVERYTHING.json_schema()["properties"], "x", "<off>"]), VALUES))
def test_any_body_is_accepted_or_refused_with_pointers_into_it(value: dict[str, Any]) -> None:
    for code, at in problems(value):
        inside: Any = value
        parts = [part.replace("~1", "/").replace("~0", "~") for part in at.split("/")[1:]]
        for index, part in enumerate(parts):
            if code == "missing" and index == len(parts) - 1:
                assert part not in inside
                break
            inside = inside[int(part) if isinstance(inside, list) else part]
    if not problems(value):
        model = checked(value).model
        again = EVERYTHING.dump_python(model, mode="json", context={"expand": True})
        assert checked(again, strict=True).model == model
