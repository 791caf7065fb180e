"""Which places the bodies of a model have, for differences: what is followed downwards, and what changes whole.

A place is a member, followed through plain objects and maps, but not into arrays, unions, references and inner switches
(protocol, section 8.5).
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from msgspec import Struct, field
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from doorward.tree.models import Elements, Switched, Variants
from doorward.tree.references import RefersTo


class Shape(Struct, frozen=True):
    """The places of a body. Neither ``members`` nor ``entries``: it changes whole.

    ``members`` are those of an object, ``entries`` what stands in a map. ``free`` is a body of no known model: every object in it
    is followed.
    """

    members: Mapping[str, Shape] = field(default_factory=dict)
    entries: Shape | None = None
    free: bool = False

    @property
    def is_followed(self) -> bool:
        """Whether there are places inside."""
        return self.free or bool(self.members) or self.entries is not None

    def inside(self, name: str) -> Shape:
        """Return the shape of what stands under a name."""
        if self.free:
            return self
        return self.entries or self.members.get(name, WHOLE)


WHOLE = Shape()
FREE = Shape(free=True)


def shape_of(kind: Any) -> Shape:
    """Return the shape of the bodies of a model, or of an annotated type. A switch that is the body shows its members."""
    base, marks = _apart(kind)
    if any(isinstance(mark, Switched) for mark in marks):
        found: dict[str, Shape] = {}
        for option in get_args(base):
            found |= _inner(option).members
        return Shape(found)
    return FREE if base is Any else _inner(kind)


def _inner(kind: Any) -> Shape:
    base, marks = _apart(kind)
    if any(isinstance(mark, (Elements, RefersTo, Switched, Variants)) for mark in marks):
        return WHOLE
    if get_origin(base) in (Union, UnionType):
        options = [option for option in get_args(base) if option is not NoneType]
        return _inner(options[0]) if len(options) == 1 else WHOLE
    if get_origin(base) is dict:
        return Shape(entries=_inner(get_args(base)[1]))
    if inspect.isclass(base) and issubclass(base, BaseModel):
        return Shape({one.alias or name: _inner(_declared(one)) for name, one in base.model_fields.items()})
    return WHOLE


def _declared(one: FieldInfo) -> Any:
    return Annotated[(one.annotation, *one.metadata)] if one.metadata else one.annotation


def _apart(kind: Any) -> tuple[Any, tuple[Any, ...]]:
    """Return a type without its annotations, and those."""
    if get_origin(kind) is not Annotated:
        return kind, ()
    base, *marks = get_args(kind)
    return base, tuple(marks)
