"""From a JSON value to a model, or to every problem at once with its pointer (protocol, sections 6, 9.6 and 10)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import TypeAdapter, ValidationError

from doorward.tree.problems import BodyRefused, Problem, pointer


@dataclass(frozen=True, slots=True)
class Checked:
    """A validated body: its model and the warnings about members that were dropped."""

    model: Any
    warnings: tuple[Problem, ...] = ()


def check(adapter: TypeAdapter[Any], value: Any, *, strict: bool = False) -> Checked:
    """Validate a decoded body.

    Unknown members are dropped and reported as warnings, or as problems with ``strict``; members hidden by a switch that is
    off are always dropped. Raises BodyRefused with all problems.
    """
    try:
        return Checked(adapter.validate_python(value))
    except ValidationError as error:
        lines = [_line(line) for line in error.errors(include_url=False)]
    problems: list[Problem] = []
    dropped: list[tuple[tuple[str | int, ...], Problem]] = []
    for line in lines:
        found = _problem(line, value)
        if strict and found.code == "unknown_member":
            found = replace(found, message="Not known here.")
        if found.code == "hidden_member" or (found.code == "unknown_member" and not strict):
            dropped.append((_place(line["loc"]), found))
        else:
            problems.append(found)
    if problems:
        raise BodyRefused(sorted(problems, key=lambda problem: _order(problem.pointer)))
    kept = check(adapter, _without(value, [place for place, _ in dropped]), strict=strict)
    return Checked(kept.model, tuple(sorted((found for _, found in dropped), key=lambda p: _order(p.pointer))) + kept.warnings)


def _line(line: Any) -> dict[str, Any]:
    """Unpack an error that a list of ours raised again; its place is the full one by now."""
    loc = line["loc"]
    while line["type"] == "kept":
        line = line["ctx"]["line"]
    return {**line, "loc": loc}


def _place(loc: Sequence[str | int]) -> tuple[str | int, ...]:
    """Take the union tags out of a pydantic place; the last part of a place is never a tag of ours."""
    return tuple(
        part
        for index, part in enumerate(loc)
        if index == len(loc) - 1 or not (isinstance(part, str) and part.startswith("<") and part.endswith(">"))
    )


def _problem(line: dict[str, Any], body: Any) -> Problem:
    kind, loc, context = str(line["type"]), tuple(line["loc"]), line.get("ctx") or {}
    if kind == "variant":
        return _variant(_place((*loc, "")), context, body)
    if loc and isinstance(loc[-1], str) and loc[-1] in {"<on>", "<off>"}:  # an error of the variant as a whole
        loc = loc[:-1]
    at = pointer(_place(loc))
    if kind == "missing":
        return Problem("missing", "Required.", at)
    if kind == "extra_forbidden":
        if "<off>" in loc[:-1] and loc[-2] == "<off>":
            return Problem("hidden_member", "Hidden while switched off; ignored.", at)
        return Problem("unknown_member", "Not known here; ignored.", at)
    if kind in _TYPES:
        return Problem("type", f"Must be {_TYPES[kind]}.", at)
    if kind == "literal_error":
        return Problem("enum", f"Must be {context['expected'].replace(chr(39), '')}.", at)
    if kind in _RANGES:
        return Problem("range", f"Must be {_RANGES[kind]} {next(iter(context.values()))}.", at)
    if kind in _LENGTHS:
        return Problem("length", f"{_LENGTHS[kind]} {context.get('max_length', context.get('min_length'))} characters.", at)
    if kind == "string_pattern_mismatch":
        return Problem("format", "Not of the required form.", at)
    if kind in _OWN:
        return Problem(kind, line["msg"], at)
    return Problem("type", "Not of the required type.", at)


def _variant(place: tuple[str | int, ...], context: dict[str, Any], body: Any) -> Problem:
    place = place[:-1]
    by, allowed = str(context["by"]), list(context["allowed"])
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
    return Problem(
        "enum", f"Must be {', '.join(allowed[:-1])} or {allowed[-1]}." if allowed[1:] else f"Must be {allowed[0]}.", at
    )


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
    return [(int(part), "") if part.isdigit() else (-1, part) for part in at.split("/")]


_TYPES = {
    "string_type": "a string", "string_unicode": "a string", "int_type": "an integer", "float_type": "a number", "bool_type": "true or false",
    "dict_type": "an object", "model_type": "an object", "model_attributes_type": "an object", "list_type": "an array",
    "none_required": "null", "int_from_float": "an integer", "finite_number": "a number",
}  # fmt: skip
_RANGES = {
    "greater_than": "greater than", "greater_than_equal": "at least", "less_than": "less than", "less_than_equal": "at most",
}  # fmt: skip
_LENGTHS = {"string_too_long": "At most", "string_too_short": "At least"}
_OWN = {"format", "length", "duplicate", "order", "contradiction", "range", "enum", "type", "missing", "not_supported"}
