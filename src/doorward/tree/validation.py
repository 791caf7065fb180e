"""From a JSON value to a model, or to every problem at once with its pointer (protocol, sections 6, 9.6 and 10)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace
from pydantic import TypeAdapter, ValidationError

from doorward.tree.models import OFF, is_tag
from doorward.tree.problems import InvalidBody, Problem, pointer


class Checked(Struct, frozen=True):
    """A validated body: its model and the warnings about members that were dropped."""

    model: Any
    warnings: tuple[Problem, ...] = ()


def check(adapter: TypeAdapter[Any], value: Any, *, strict: bool = False) -> Checked:
    """Validate a decoded body.

    Unknown members are dropped and reported as warnings, or as problems with ``strict``; members hidden by a switch that is
    off are always dropped. Raises InvalidBody with all problems.
    """
    try:
        return Checked(adapter.validate_python(value, strict=True))
    except ValidationError as error:
        lines = [_line(line) for line in error.errors(include_url=False)]
    problems: list[Problem] = []
    dropped: list[tuple[tuple[str | int, ...], Problem]] = []
    for line in lines:
        found = _problem(line, value)
        if strict and found.code == "unknown_member":
            found = replace(found, message="Not known here.")
        if found.code == "hidden_member" or (found.code == "unknown_member" and not strict):
            dropped.append((_place(line), found))
        else:
            problems.append(found)
    if problems:
        raise InvalidBody(sorted(problems, key=lambda problem: _order(problem.pointer)))
    kept = check(adapter, _without(value, [place for place, _ in dropped]), strict=strict)
    return Checked(kept.model, tuple(sorted((found for _, found in dropped), key=lambda p: _order(p.pointer))) + kept.warnings)


def _line(line: Any) -> dict[str, Any]:
    """Unpack an error that a list of ours raised again; its place is the full one by now."""
    loc = line["loc"]
    while line["type"] == "kept":
        line = line["ctx"]["line"]
    return {**line, "loc": loc}


def _place(line: Mapping[str, Any]) -> tuple[str | int, ...]:
    """Take the union tags out of a pydantic place. The last part may look like a tag and be the name of an unknown member."""
    *above, last = (*line["loc"], None) if line["type"] != "extra_forbidden" else line["loc"]
    place = tuple(part for part in above if not is_tag(part))
    return place if last is None else (*place, last)


def _problem(line: dict[str, Any], body: Any) -> Problem:
    kind, place, context = str(line["type"]), _place(line), line.get("ctx") or {}
    if kind == "variant":
        return _variant(place, context, body)
    if kind == "extra_forbidden" and line["loc"][-2:-1] == (OFF,):
        return Problem("hidden_member", "Hidden while switched off; ignored.", pointer(place))
    if kind in _OWN:
        return Problem(kind, line["msg"], pointer(place))
    code, message = _EXPLAINED.get(kind, ("type", "Not of the required type."))
    return Problem(code, message.format(**context), pointer(place))


def _variant(place: tuple[str | int, ...], context: dict[str, Any], body: Any) -> Problem:
    by, allowed = str(context["by"]), str(context["allowed"])
    value = body
    for part in place:
        value = value[part]
    if not isinstance(value, dict):
        return Problem("type", "Must be an object.", pointer(place))
    at = pointer((*place, by))
    if by not in value:
        return Problem("missing", "Required.", at)
    if not allowed:
        return Problem("type", "Must be true or false.", at)
    if not isinstance(value[by], str):
        return Problem("type", "Must be a string.", at)
    return Problem("enum", f"Must be {allowed}.", at)


def _without(value: Any, places: Sequence[tuple[str | int, ...]]) -> Any:
    """Return a copy without the members at the places."""
    here = {place[0] for place in places if len(place) == 1}
    below: dict[str | int, list[tuple[str | int, ...]]] = {}
    for place in places:
        if len(place) > 1:
            below.setdefault(place[0], []).append(place[1:])
    if isinstance(value, dict):
        return {k: _without(v, below[k]) if k in below else v for k, v in value.items() if k not in here}
    return [_without(v, below[i]) if i in below else v for i, v in enumerate(value)]


def _order(at: str) -> list[tuple[int, str]]:
    """Sort pointers as people read a body: elements by number, members by name."""
    return [(int(part), "") if re.fullmatch("[0-9]{1,9}", part) else (-1, part) for part in at.split("/")]


_TYPES = {
    "bool_type": "true or false",
    "dict_type": "an object",
    "finite_number": "a number",
    "float_type": "a number",
    "int_from_float": "an integer",
    "int_type": "an integer",
    "list_type": "an array",
    "model_attributes_type": "an object",
    "model_type": "an object",
    "none_required": "null",
    "string_type": "a string",
    "string_unicode": "a string",
}
_EXPLAINED = {
    "extra_forbidden": ("unknown_member", "Not known here; ignored."),
    "greater_than": ("range", "Must be greater than {gt}."),
    "greater_than_equal": ("range", "Must be at least {ge}."),
    "less_than": ("range", "Must be less than {lt}."),
    "less_than_equal": ("range", "Must be at most {le}."),
    "literal_error": ("enum", "Must be {expected}."),
    "missing": ("missing", "Required."),
    "string_pattern_mismatch": ("format", "Not of the required form."),
    "string_too_long": ("length", "At most {max_length} characters."),
    "string_too_short": ("length", "At least {min_length} characters."),
} | {kind: ("type", f"Must be {wanted}.") for kind, wanted in _TYPES.items()}
"""From pydantic's kinds of errors to our codes and sentences; a test pins it."""

_OWN = {"format", "length", "duplicate", "order", "contradiction", "range", "enum", "type", "not_supported"}
"""Codes that our own validators raise, with their sentences."""
