"""Ordered maps: an order that names every entry once, and all faults at once."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from pydantic import Field, TypeAdapter

from doorward.tree.changes import ORDER
from doorward.tree.jsontext import encode
from doorward.tree.models import Body
from doorward.tree.ordered import Ordered
from doorward.tree.problems import InvalidBody
from doorward.tree.validation import check


class Address(Body):
    prefix: int = Field(24, ge=0, le=32)


class Interface(Body):
    addresses: Annotated[dict[str, Address], Ordered(most=2)]


class Nic(Body):
    interfaces: Annotated[dict[str, Interface], Ordered(most=3)]


ADAPTER: TypeAdapter[Any] = TypeAdapter(Nic)


def ordered(*ids: str, **entries: Any) -> dict[str, Any]:
    return {ORDER: list(ids), **entries}


def interface(*ids: str, **entries: Any) -> dict[str, Any]:
    return {"addresses": ordered(*ids, **entries)}


def nic(*ids: str, **entries: Any) -> dict[str, Any]:
    return {"interfaces": ordered(*ids, **entries)}


def problems(value: Any, *, strict: bool = False) -> list[tuple[str, str]]:
    try:
        check(ADAPTER, value, strict=strict)
    except InvalidBody as refused:
        return [(problem.code, problem.pointer) for problem in refused.problems]
    return []


def kept(value: Any) -> Any:
    return ADAPTER.dump_python(check(ADAPTER, value, strict=True).model, mode="json")


@pytest.mark.parametrize(
    "value",
    [
        nic(),
        nic("a", a=interface()),
        nic("b", "a", a=interface(), b=interface("x", "w", w={"prefix": 1}, x={"prefix": 2})),
    ],
)
def test_an_ordered_map_is_kept_in_its_order(value: dict[str, Any]) -> None:
    assert kept(value) == value
    model = check(ADAPTER, value).model
    assert list(model.interfaces) == value["interfaces"][ORDER]


def test_the_order_of_the_members_themselves_does_not_matter() -> None:
    one = {"interfaces": {"b": interface(), ORDER: ["a", "b"], "a": interface()}}
    assert encode(kept(one)) == encode(nic("a", "b", a=interface(), b=interface()))


def test_defaults_of_entries_are_filled_in() -> None:
    assert kept(nic("a", a=interface("x", x={})))["interfaces"]["a"]["addresses"]["x"] == {"prefix": 24}


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ({"interfaces": {}}, [("missing", "/interfaces/@order")]),
        ({"interfaces": {"a": interface()}}, [("missing", "/interfaces/@order")]),
        ({"interfaces": []}, [("type", "/interfaces")]),
        ({"interfaces": None}, [("type", "/interfaces")]),
        ({"interfaces": {ORDER: "a", "a": interface()}}, [("type", "/interfaces/@order")]),
        ({"interfaces": {ORDER: [1], "a": interface()}}, [("type", "/interfaces/@order/0")]),
        (nic("a"), [("order", "/interfaces/@order")]),
        (nic(a=interface()), [("order", "/interfaces/@order")]),
        (nic("a", "a", a=interface()), [("order", "/interfaces/@order")]),
        (nic("a", "b", a=interface()), [("order", "/interfaces/@order")]),
        (nic("A", A=interface()), [("format", "/interfaces/A")]),
        (nic("", **{"": interface()}), [("format", "/interfaces/")]),
        (nic("x" * 65, **{"x" * 65: interface()}), [("format", "/interfaces/" + "x" * 65)]),
        (nic("a/b", **{"a/b": interface()}), [("format", "/interfaces/a~1b")]),
        (nic("a\n", **{"a\n": interface()}), [("format", "/interfaces/a\n")]),
        (nic(*"abcd", **{name: interface() for name in "abcd"}), [("length", "/interfaces")]),
        (nic("a", a=5), [("type", "/interfaces/a")]),
        (nic("a", a={}), [("missing", "/interfaces/a/addresses")]),
        (nic("a", a=interface("x", x={"prefix": 33})), [("range", "/interfaces/a/addresses/x/prefix")]),
    ],
)
def test_what_is_wrong_is_refused_in_its_place(value: Any, found: list[tuple[str, str]]) -> None:
    assert problems(value) == found


def test_everything_wrong_is_said_at_once() -> None:
    value = nic("a", "z", a=interface("x", X={"prefix": "1"}), B={"addresses": ordered("y")})
    assert problems(value) == [
        ("order", "/interfaces/@order"),
        ("format", "/interfaces/B"),
        ("order", "/interfaces/B/addresses/@order"),
        ("order", "/interfaces/a/addresses/@order"),
        ("format", "/interfaces/a/addresses/X"),
        ("type", "/interfaces/a/addresses/X/prefix"),
    ]


def test_unknown_members_of_entries_are_dropped_and_named() -> None:
    value = nic("a", a={**interface("x", x={"prefix": 8, "mtu": 1}), "speed": 2})
    warnings = check(ADAPTER, value).warnings
    assert [(warning.code, warning.pointer) for warning in warnings] == [
        ("unknown_member", "/interfaces/a/addresses/x/mtu"),
        ("unknown_member", "/interfaces/a/speed"),
    ]
    assert problems(value, strict=True) == [
        ("unknown_member", "/interfaces/a/addresses/x/mtu"),
        ("unknown_member", "/interfaces/a/speed"),
    ]


def test_the_schema_has_the_order_beside_the_entries() -> None:
    schema = ADAPTER.json_schema()["properties"]["interfaces"]
    assert schema["required"] == [ORDER]
    assert schema["properties"][ORDER]["type"] == "array"
    assert "$ref" in schema["additionalProperties"]
