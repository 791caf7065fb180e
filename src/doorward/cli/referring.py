"""Finds the references in a body by the types of its model, whether or not the body is valid."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from doorward.tree.models import Off
from doorward.tree.references import RefersTo

At = tuple[str | int, ...]
Change = Callable[[RefersTo, Any, At], Any]
"""From what stands at the place of a reference to what shall stand there."""


def mapped(kind: Any, value: Any, change: Change, at: At = ()) -> Any:
    """Return a body with every reference in it changed; null stays null. ``kind`` is the type that its model declares."""
    base, to = taken_apart(kind)
    if to is not None:
        return None if value is None else change(to, value, at)
    origin = get_origin(base)
    if origin in (Union, UnionType):
        return mapped(next((option for option in get_args(base) if fits(option, value)), Any), value, change, at)
    if origin is list and isinstance(value, list):
        return [mapped(get_args(base)[0], element, change, (*at, index)) for index, element in enumerate(value)]
    if origin is dict and isinstance(value, dict):
        return {name: mapped(get_args(base)[1], member, change, (*at, name)) for name, member in value.items()}
    if is_body(base) and isinstance(value, dict):
        fields = base.model_fields
        return {
            name: mapped(declared(fields[name]), member, change, (*at, name)) if name in fields else member
            for name, member in value.items()
        }
    return value


def is_switch(kind: Any) -> bool:
    """Whether a type is that of a block that can be switched off."""
    base, _ = taken_apart(kind)
    return get_origin(base) in (Union, UnionType) and any(taken_apart(option)[0] is Off for option in get_args(base))


def options(kind: Any) -> tuple[Any, ...]:
    """Return the variants of a union; nothing for any other type."""
    base, _ = taken_apart(kind)
    return get_args(base) if get_origin(base) in (Union, UnionType) else ()


def declared(field: Any) -> Any:
    """Return the type that a member of a body is declared with."""
    return Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation


def taken_apart(kind: Any) -> tuple[Any, RefersTo | None]:
    """Return a type without its annotations, and the mark of a reference if there is one."""
    if get_origin(kind) is not Annotated:
        return kind, None
    base, *marks = get_args(kind)
    return base, next((mark for mark in marks if isinstance(mark, RefersTo)), None)


def is_body(kind: Any) -> bool:
    """Whether a type is that of a mapping with declared members."""
    return inspect.isclass(kind) and issubclass(kind, BaseModel)


def fits(kind: Any, value: Any) -> bool:
    """Whether a value can be meant for one variant of a union."""
    base, to = taken_apart(kind)
    if to is not None:
        return isinstance(value, (str, dict))
    if is_body(base):
        return isinstance(value, dict) and all(
            value[name] in get_args(field.annotation)
            for name, field in base.model_fields.items()
            if get_origin(field.annotation) is Literal and name in value
        )
    if get_origin(base) in (Union, UnionType):
        return any(fits(option, value) for option in get_args(base))
    if get_origin(base) in (list, dict):
        return isinstance(value, get_origin(base))
    return base is not NoneType and not isinstance(value, (dict, list))
