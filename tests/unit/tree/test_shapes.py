"""What of a body is a place of its own is said by its model, not by the names of members."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from doorward.tree.changes import differences
from doorward.tree.fields import Address
from doorward.tree.models import Body, Elements, Off, Switched, Variants
from doorward.tree.ordered import Ordered
from doorward.tree.references import Reference, RefersTo
from doorward.tree.shapes import FREE, WHOLE, shape_of

FQDN, IP = {"selection": "fqdn", "value": "a.example"}, {"selection": "ip", "value": "192.0.2.1"}
REFERENCE = {"key": "a", "meta": {"href": "/x/a"}}


class Share(Body):
    type: Literal["smb"]
    share: str


class Export(Body):
    type: Literal["nfs"]
    share: str


class On(Body):
    enabled: Literal[True]
    x: int


class Inner(Body):
    """A plain object whose members have the names that unions, switches and references use."""

    type: str
    selection: str
    enabled: bool
    key: int = 0


class Everything(Body):
    address: Address
    block: Annotated[On | Off, Switched()]
    inner: Inner
    listed: Annotated[list[Inner], Elements(most=2)]
    mapped: Annotated[dict[str, Inner], Ordered()]
    maybe: Inner | None
    owner: Annotated[Reference[Any], RefersTo("/x")] | None
    target: Annotated[Share | Export, Variants("type")]
    schema_: Inner = Field(alias="schema")


SHAPE = shape_of(Everything)


def places(name: str, old: Any, new: Any) -> list[str]:
    return ["/".join(one.at) for one in differences({name: old}, {name: new}, SHAPE)]


def inner(**other: Any) -> dict[str, Any]:
    return {"type": "a", "selection": "b", "enabled": True, "key": 1} | other


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        pytest.param("address", FQDN, FQDN | {"value": "b.example"}, id="a union"),
        pytest.param("address", FQDN, IP, id="another variant"),
        pytest.param("target", {"type": "smb", "share": "x"}, {"type": "smb", "share": "y"}, id="a target"),
        pytest.param("block", {"enabled": True, "x": 1}, {"enabled": True, "x": 2}, id="an inner switch"),
        pytest.param("owner", REFERENCE, {"key": "b", "meta": {"href": "/x/b"}}, id="a reference"),
        pytest.param("owner", REFERENCE, None, id="a reference that is gone"),
        pytest.param("listed", [inner()], [inner(type="b")], id="an array"),
        pytest.param("maybe", inner(), None, id="an object that is gone"),
    ],
)
def test_it_changes_whole(name: str, old: Any, new: Any) -> None:
    assert places(name, old, new) == [name]


@pytest.mark.parametrize("name", ["inner", "maybe", "schema"])
@pytest.mark.parametrize(("member", "value"), [("type", "c"), ("selection", "c"), ("enabled", False), ("key", 2)])
def test_members_of_a_plain_object_are_places_whatever_their_names(name: str, member: str, value: Any) -> None:
    assert places(name, inner(), inner(**{member: value})) == [f"{name}/{member}"]


def test_entries_of_a_map_are_places() -> None:
    old, new = ({"@order": ["type"], "type": inner(type=kind)} for kind in "ab")
    assert places("mapped", old, new) == ["mapped/type/type"]


def test_a_switch_that_is_the_body_shows_its_members() -> None:
    shape = shape_of(Annotated[On | Off, Switched()])
    assert [one.at for one in differences({"enabled": True, "x": 1}, {"enabled": True, "x": 2}, shape)] == [("x",)]
    assert [one.at for one in differences({"enabled": False}, {"enabled": True, "x": 2}, shape)] == [("enabled",), ("x",)]


def test_a_union_that_is_the_body_changes_whole() -> None:
    assert shape_of(Address) is WHOLE
    assert shape_of(int) is WHOLE


def test_a_body_of_no_known_model_is_followed_everywhere() -> None:
    assert shape_of(Any) is FREE
    assert [one.at for one in differences({"a": {"type": 1}}, {"a": {"type": 2}})] == [("a", "type")]
