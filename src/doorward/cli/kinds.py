"""What the declarations say about a place in a body: whether text goes there as it is."""

from __future__ import annotations

import inspect
from enum import Enum
from typing import Any, Literal, get_args, get_origin

from doorward.cli.referring import At, declared, fits, is_body, options, taken_apart


def kind_at(kind: Any, body: Any, at: At) -> Any:
    """Return the declared type of a place; Any where nothing is declared. ``body`` tells which variant of a union counts."""
    for name in at:
        base = _variant(kind, body)
        origin = get_origin(base)
        if origin is list:
            kind = get_args(base)[0]
        elif origin is dict:
            kind = get_args(base)[1]
        elif is_body(base) and str(name) in base.model_fields:
            kind = declared(base.model_fields[str(name)])
        else:
            return Any
        body = _below(body, name)
    return kind


def element(kind: Any, body: Any) -> Any:
    """Return the type of the elements of a list."""
    base = _variant(kind, body)
    return get_args(base)[0] if get_origin(base) is list else Any


def takes_text(kind: Any) -> bool:
    """Whether a place takes text and no number, list or mapping; null and references apart."""
    found = [option for option in _flat(kind) if option is not type(None)]
    return bool(found) and all(_is_text(option) for option in found)


def takes_null(kind: Any) -> bool:
    """Whether a place takes null."""
    return type(None) in list(_flat(kind))


def _is_text(kind: Any) -> bool:
    base, to = taken_apart(kind)
    if to is not None:
        return True
    if get_origin(base) is Literal:
        return all(isinstance(value, str) for value in get_args(base))
    return inspect.isclass(base) and issubclass(base, str | Enum) and (not issubclass(base, Enum) or issubclass(base, str))


def _flat(kind: Any) -> list[Any]:
    _, to = taken_apart(kind)
    inner = options(kind)
    return [kind] if to is not None or not inner else [found for option in inner for found in _flat(option)]


def _variant(kind: Any, body: Any) -> Any:
    """Return the type without annotations, of a union the variant that a body can be meant for."""
    while inner := options(kind):
        kind = next((option for option in inner if fits(option, body)), inner[0])
    return taken_apart(kind)[0]


def _below(body: Any, name: str | int) -> Any:
    if isinstance(body, dict):
        return body.get(name)
    if isinstance(body, list) and str(name).isdecimal() and int(name) < len(body):
        return body[int(name)]
    return None
