"""References: a bare key on write, a key with its href on read."""

from __future__ import annotations

from typing import Any

import pytest

from doorward.tree.references import Reference, references
from tests.unit.tree.bodies import EVERYTHING, LEAST, PLACES, STORE, checked, problems

KEY = "ca2dc85730ca082ee6b5c8"


def written(**members: Any) -> dict[str, Any]:
    return {**LEAST, **members}


def shown(value: dict[str, Any], *, expand: bool) -> dict[str, Any]:
    found: dict[str, Any] = EVERYTHING.dump_python(checked(value).model, mode="json", context={"expand": expand})
    return found


def test_a_reference_is_stored_bare_and_shown_with_its_href() -> None:
    value = written(owner=KEY, others=[KEY])
    assert shown(value, expand=False)["owner"] == KEY
    assert shown(value, expand=True)["owner"] == {"key": KEY, "meta": {"href": f"{STORE}/{KEY}"}}
    assert shown(value, expand=True)["others"] == [{"key": KEY, "meta": {"href": f"{PLACES}/{KEY}"}}]


def test_a_plain_reference_is_never_expanded() -> None:
    assert shown(written(plain=KEY), expand=True)["plain"] == KEY


def test_an_unset_reference_is_null_in_both_forms() -> None:
    assert shown(written(owner=None), expand=False)["owner"] is None
    assert shown(written(owner=None), expand=True)["owner"] is None


@pytest.mark.parametrize(
    "form",
    [KEY, {"key": KEY}, {"key": KEY, "meta": {"href": "/somewhere/else"}}, {"key": KEY, "meta": 5, "more": [1]}],
)
def test_of_what_get_shows_only_the_key_counts(form: Any) -> None:
    assert checked(written(owner=form), strict=True).model.owner == Reference(STORE, KEY, "hash")


@pytest.mark.parametrize(
    ("form", "code"),
    [
        (5, "type"),
        ([], "type"),
        ({}, "type"),
        ({"key": None}, "type"),
        ({"key": {"key": KEY}}, "type"),
        ("", "format"),
        ("a/b", "format"),
        ("a\x00b", "format"),
        ("a\nb", "format"),
        ("x" * 301, "format"),
    ],
)
def test_what_can_be_no_key_is_refused(form: Any, code: str) -> None:
    assert problems(written(owner=form)) == [(code, "/owner")]
    assert problems(written(others=[KEY, form])) == [(code, "/others/1")]


def test_every_reference_of_a_body_is_found_with_its_place() -> None:
    model = checked(written(owner="1", others=["2", "3"], plain="4")).model
    assert dict(references(model)) == {
        ("owner",): Reference(STORE, "1", "hash"),
        ("others", 0): Reference(PLACES, "2"),
        ("others", 1): Reference(PLACES, "3"),
        ("plain",): Reference(PLACES, "4"),
    }
    assert dict(references({"a": [model]}))["a", 0, "owner"] == Reference(STORE, "1", "hash")


def test_the_schema_of_a_reference_has_both_forms() -> None:
    properties = EVERYTHING.json_schema()["properties"]
    reference, unset = properties["owner"]["anyOf"]
    key, expanded = reference["anyOf"]
    assert reference["x-doorward"] == key["x-doorward"] == {"reference": STORE}
    assert key["type"] == "string"
    assert expanded["required"] == ["key"]
    assert unset == {"type": "null"}
    assert properties["plain"]["anyOf"][0]["type"] == "string"
