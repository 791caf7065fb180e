"""Unions, switches, lists and scalars: strict, and everything wrong is said at once."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from pydantic import TypeAdapter, ValidationError

from doorward.tree.models import Body, Elements, extension
from doorward.tree.nodes import Singleton
from doorward.tree.snapshot import etag
from tests.unit.tree.bodies import EVERYTHING, LEAST, checked, one_problem, problems, warned

SQUARE = {"selection": "square", "side": 2}


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("number", "5"),
        ("number", 5.0),
        ("number", True),
        ("number", None),
        ("number", [5]),
        ("text", 5),
        ("text", ["x"]),
        ("text", {"x": 1}),
        ("nested", []),
        ("nested", "x"),
        ("nested", {"flag": 1}),
        ("nested", {"flag": "true"}),
        ("nested", {"flag": None}),
        ("nested", {"label": 5}),
        ("servers", {}),
        ("servers", "x"),
        ("servers", None),
        ("servers", [5]),
        ("block", []),
        ("block", None),
        ("block", {"enabled": 1}),
        ("block", {"enabled": "false"}),
        ("block", {"enabled": None}),
        ("shape", []),
        ("shape", "square"),
        ("shape", {"selection": 5}),
        ("shape", {"selection": ["square"]}),
        ("shape", {"selection": "circle", "radius": "0.5"}),
        ("shape", {"selection": "square", "side": 2.0}),
        ("shape", {"selection": "square", "side": True}),
    ],
)
def test_types_are_strict(member: str, value: Any) -> None:
    assert [code for code, _ in problems({**LEAST, member: value})] == ["type"]


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"shape": {"selection": "circle", "radius": 0.5, "colour": "red"}}, []),
        ({"shape": {"selection": "circle", "radius": 0.5, "colour": None}}, []),
        ({"shape": {}}, [("missing", "/shape/selection")]),
        ({"shape": {"selection": "cube"}}, [("enum", "/shape/selection")]),
        ({"shape": {"selection": ""}}, [("enum", "/shape/selection")]),
        ({"shape": {"selection": 5}}, [("type", "/shape/selection")]),
        ({"shape": []}, [("type", "/shape")]),
        ({"shape": {"selection": "square"}}, [("missing", "/shape/side")]),
        ({"shape": {"selection": "square", "side": 11}}, [("range", "/shape/side")]),
        ({"shape": {"selection": "circle", "radius": 0.0}}, [("range", "/shape/radius")]),
        ({"shape": {"selection": "circle", "radius": 1.0}}, [("range", "/shape/radius")]),
        ({"shape": {"selection": "circle", "radius": 0.5, "colour": "green"}}, [("enum", "/shape/colour")]),
        ({"block": {}}, [("missing", "/block/enabled")]),
        ({"block": {"enabled": "no"}}, [("type", "/block/enabled")]),
        ({"block": {"enabled": True}}, [("missing", "/block/inner")]),
        ({"block": {"enabled": True, "inner": {"label": "ABC"}}}, [("format", "/block/inner/label")]),
        ({"block": {"enabled": True, "inner": {}, "sizes": []}}, [("length", "/block/sizes")]),
        ({"block": {"enabled": True, "inner": {}, "sizes": [1, 2, 3]}}, []),
        ({"nested": {"label": "a"}}, [("length", "/nested/label")]),
        ({"nested": {"label": "abcde"}}, [("length", "/nested/label")]),
        ({"by_name": {"x": {"flag": 1}}}, [("type", "/by_name/x/flag")]),
        ({"by_name": {"x/~y": {"flag": 1}}}, [("type", "/by_name/x~1~0y/flag")]),
    ],
)
def test_each_place_has_its_code(change: dict[str, Any], found: list[tuple[str, str]]) -> None:
    assert problems({**LEAST, **change}) == found


def test_everything_wrong_is_said_at_once_in_the_order_of_the_body() -> None:
    value = {
        "text": " x",
        "shape": {"selection": "square", "side": 0},
        "block": {"enabled": True, "inner": {"flag": 1, "label": "X"}, "sizes": [1, "2", 3, 4.0]},
        "servers": [{"selection": "name"}, {"selection": "ip"}, {"selection": "ip", "value": "x"}, 5],
    }
    assert problems(value) == [
        ("type", "/block/inner/flag"),
        ("length", "/block/inner/label"),
        ("length", "/block/sizes"),
        ("type", "/block/sizes/1"),
        ("type", "/block/sizes/3"),
        ("missing", "/number"),
        ("length", "/servers"),
        ("enum", "/servers/0/selection"),
        ("missing", "/servers/1/value"),
        ("format", "/servers/2/value"),
        ("type", "/servers/3"),
        ("range", "/shape/side"),
        ("format", "/text"),
    ]


def test_elements_after_the_ninth_stand_after_it() -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(Annotated[list[str], Elements()])
    assert [at for _, at in problems([1] * 11, adapter)] == [f"/{index}" for index in range(11)]


def test_duplicates_are_found_beside_bad_elements_and_a_bad_length() -> None:
    servers = [
        {"selection": "fqdn", "value": "a.example"},
        {"selection": "ip", "value": "nonsense"},
        {"selection": "fqdn", "value": "A.Example."},
        {"selection": "ip", "value": "::0:1"},
        {"selection": "ip", "value": "::1"},
        {"selection": "fqdn", "value": "a.example"},
    ]
    assert problems({**LEAST, "servers": servers}) == [
        ("length", "/servers"),
        ("format", "/servers/1/value"),
        ("duplicate", "/servers/2"),
        ("duplicate", "/servers/4"),
        ("duplicate", "/servers/5"),
    ]
    assert one_problem({**LEAST, "servers": [servers[0], servers[3], servers[2]]}).message == "Equals element 0."


def test_duplicates_hidden_by_unknown_members_are_found_too() -> None:
    servers = [{"selection": "fqdn", "value": "a.example", "prefer": True}, {"selection": "fqdn", "value": "a.example"}]
    assert problems({**LEAST, "servers": servers}) == [("duplicate", "/servers/1")]


def test_lists_of_lists_keep_their_places() -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(Annotated[list[Annotated[list[int], Elements(most=2)]], Elements(least=1)])
    assert problems([[1], [2, "x"], [1, 2, 3], 4], adapter) == [("type", "/1/1"), ("length", "/2"), ("type", "/3")]
    assert problems([], adapter) == [("length", "")]
    assert problems({}, adapter) == [("type", "")]


def test_the_members_of_a_block_that_is_off_are_dropped_and_named() -> None:
    value = {**LEAST, "block": {"enabled": False, "sizes": "anything", "inner": {"flag": 7}}}
    hidden = [("hidden_member", "/block/inner"), ("hidden_member", "/block/sizes")]
    assert warned(value) == hidden
    assert warned(value, strict=True) == hidden
    assert EVERYTHING.dump_python(checked(value).model, mode="json")["block"] == {"enabled": False}


def test_what_was_left_out_takes_its_default() -> None:
    model = checked({"number": 1, "block": {"enabled": True, "inner": {}}}).model
    shown = EVERYTHING.dump_python(model, mode="json")
    assert shown["block"] == {"enabled": True, "inner": {"flag": False, "label": "ab"}, "sizes": [1]}
    assert shown["servers"] == []
    assert shown["text"] is None


def test_a_body_cannot_be_changed() -> None:
    model = checked(LEAST).model
    with pytest.raises(ValidationError, match="frozen"):
        model.number = 2


def test_the_value_that_was_wrong_is_not_repeated() -> None:
    problem = one_problem({**LEAST, "text": "secret\x00"})
    assert "secret" not in problem.message


def test_schemas_name_the_limits_of_lists() -> None:
    schema = EVERYTHING.json_schema()["properties"]
    assert schema["servers"]["maxItems"] == 3
    assert schema["servers"]["uniqueItems"] is True
    assert "uniqueItems" not in schema["others"]


class Extended(Body):
    """A body with a member that the original does not have."""

    name: str
    hours: int = extension(12, ge=1, le=168, description="An extension.")
    targets: list[str] = extension([], description="Another one.")


EXTENDED: Singleton[Extended] = Singleton(model=Extended, default={"name": "x"})


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ({"name": "x"}, b'{"name":"x"}'),
        ({"name": "x", "hours": 12, "targets": []}, b'{"name":"x"}'),
        ({"name": "x", "hours": 13}, b'{"hours":13,"name":"x"}'),
        ({"name": "x", "targets": ["a"]}, b'{"name":"x","targets":["a"]}'),
    ],
)
def test_an_extension_is_there_only_where_it_differs_from_its_default(sent: dict[str, Any], stored: bytes) -> None:
    document = EXTENDED.load(sent)
    assert (document.stored, document.shown) == (stored, stored)
    assert EXTENDED.load(document.value) == document
    assert etag(document.shown) == etag(stored)


def test_an_extension_is_marked_as_one_in_the_schema() -> None:
    schema = EXTENDED.adapter.json_schema()
    assert schema["required"] == ["name"]
    assert schema["properties"]["hours"]["x-doorward-extension"] is True
    assert (schema["properties"]["hours"]["default"], schema["properties"]["hours"]["maximum"]) == (12, 168)
