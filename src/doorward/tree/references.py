"""References from one body to another object: a bare key inside and on write, ``{"key", "meta": {"href"}}`` on read.

See the protocol, section 5.2.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

from msgspec import Struct
from pydantic import BaseModel, GetCoreSchemaHandler, GetJsonSchemaHandler, SerializationInfo
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from doorward.tree.described import Described
from doorward.tree.places import Place

Form = Literal["hash", "sealed"]
"""What the owner of a secret needs of it: an argon2id hash to compare with, or the sealed text to use."""

COMPONENT = "x-component"
"""Member of a JSON schema of ours that names what it is in a document of several."""

HINTS = "x-doorward"
"""Member of a JSON schema of ours for whoever makes a form of it.

``reference`` is the path of the collection or store that a key leads to, ``steps`` the way to a part of such an object (null
stands for an id), ``ordered`` marks a map whose order counts, ``secret`` a text that is never shown again, ``object`` what a
right is for.
"""

NEW = "@new:"
"""Begins a reference to an object that an earlier change of the same request makes; the id of that change follows."""

_NOTHING_NEW: Mapping[str, str] = {}
_new_keys: ContextVar[Mapping[str, str]] = ContextVar("new_keys", default=_NOTHING_NEW)


@contextmanager
def new_keys(keys: Mapping[str, str]) -> Iterator[None]:
    """Read references that begin with ``@new:`` as the keys that stand here by id, for the time of a block."""
    token = _new_keys.set(keys)
    try:
        yield
    finally:
        _new_keys.reset(token)


def resolved(key: str) -> str:
    """Return the key that ``@new:<id>`` stands for now; anything else as it is."""
    return _new_keys.get().get(key.removeprefix(NEW), key) if key.startswith(NEW) else key


M = TypeVar("M")


@dataclass(frozen=True, slots=True)
class Reference(Generic[M]):
    """A reference as it stands in a model. ``to`` is the href of the collection or branch, ``key`` the object in it.

    ``inside`` leads to a part of that object's body ("interfaces/ff75/addresses/2553"); "" is the object itself. ``M`` is the
    model of what it leads to, which ``Snapshot.follow`` returns, and ``node`` the declaration there; None where it is not known.
    """

    to: str
    key: str
    form: Form | None = None
    inside: str = ""
    node: Described[M] | None = field(default=None, compare=False, repr=False)

    @property
    def href(self) -> str:
        """The href of the object referred to; a part of it stands behind a ``#``."""
        return f"{self.to}/{self.key}#{self.inside}" if self.inside else f"{self.to}/{self.key}"

    @property
    def text(self) -> str:
        """The reference as it stands on the wire; the steps to a part of an object are joined by dots."""
        return f"{self.key}.{self.inside.replace('/', '.')}" if self.inside else self.key

    @property
    def place(self) -> Place:
        """The place of the object; objects with parts that are referred to are singletons of a branch."""
        return Place(f"{self.to}/{self.key}") if self.inside else Place(self.to, self.key)

    def found_in(self, value: Any) -> bool:
        """Whether the body of the object has the part."""
        for step in self.inside.split("/") if self.inside else ():
            if not isinstance(value, dict) or step not in value:
                return False
            value = value[step]
        return True


class RefersTo(Struct, frozen=True):
    """Annotation that makes a field a reference into the collection or store ``into``: its declaration, or its path.

    ``form`` is what is kept of a secret once this field owns it; ``plain`` references are never expanded on read.
    """

    into: Described[Any] | str
    form: Form | None = None
    plain: bool = False

    @property
    def to(self) -> str:
        """The path of the collection or store."""
        return self.into if isinstance(self.into, str) else self.into.path

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self._read,
            serialization=core_schema.plain_serializer_function_ser_schema(self._show, info_arg=True),
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        hints = self._hints()
        key = {"type": "string", "description": f"Key of an object of {self.to}.", HINTS: hints}
        if self.plain:
            return key
        meta = {"type": "object", "properties": {"href": {"type": "string"}}, "required": ["href"], "additionalProperties": True}
        expanded = {
            COMPONENT: "".join(("ReferenceTo", *(word.capitalize() for word in re.findall("[A-Za-z0-9]+", self.to)[2:]))),
            "type": "object",
            "description": f"As it is shown: an object of {self.to}.",
            "properties": {"key": {"type": "string"}, "meta": meta},
            "required": ["key"],
            "additionalProperties": True,
            HINTS: hints,
        }
        return {"anyOf": [key, expanded], HINTS: hints}

    def _hints(self) -> dict[str, Any]:
        return {"reference": self.to}

    def _read(self, value: Any) -> Reference[Any]:
        key = value.get("key") if isinstance(value, dict) else value
        if not isinstance(key, str):
            raise PydanticCustomError("type", "Must be the key of an object.")
        if not 0 < len(key) <= 300 or not key.isprintable() or "/" in key:  # noqa: PLR2004 - far above every key we make
            raise PydanticCustomError("format", "Must be the key of an object.")
        return Reference(self.to, resolved(key), self.form, node=None if isinstance(self.into, str) else self.into)

    def _show(self, value: Reference[Any], info: SerializationInfo) -> Any:
        if self.plain or not (info.context or {}).get("expand"):
            return value.text
        return {"key": value.text, "meta": {"href": value.href}}


class RefersToPart(RefersTo, frozen=True):
    """Annotation of a reference to a part of a singleton below the branch ``to``.

    ``steps`` are the names on the way, None where an id stands: ("interfaces", None, "addresses", None) takes
    ``nic1.interfaces.<id>.addresses.<id>``.
    """

    steps: tuple[str | None, ...] = ()

    def _hints(self) -> dict[str, Any]:
        return {"reference": self.to, "steps": list(self.steps)}

    def _read(self, value: Any) -> Reference[Any]:
        whole = RefersTo._read(self, value)  # noqa: SLF001 - the base class; `super` does not work in a slotted dataclass
        key, *found = whole.key.split(".")
        if len(found) != len(self.steps) or any(step not in {None, part} for step, part in zip(self.steps, found, strict=True)):
            shape = ".".join(("<name>", *(step or "<id>" for step in self.steps)))
            raise PydanticCustomError("format", "Must be a key of the form {shape}.", {"shape": shape})
        return Reference(self.to, key, self.form, "/".join(found))


Located = tuple[tuple[str | int, ...], Reference[Any]]
"""A reference with its place inside a model."""

_SCALARS = frozenset({bool, float, int, str, type(None)})
"""The types of most members, which hold no reference: a look at them would be half of the work of a write."""


def references(value: Any) -> list[Located]:
    """Return every reference inside a model, with its place."""
    found: list[Located] = []
    _gather(value, (), found)
    return found


def _gather(value: Any, at: tuple[str | int, ...], found: list[Located]) -> None:
    if isinstance(value, Reference):
        found.append((at, value))
        return
    members: Iterable[tuple[str | int, Any]] = ()
    if isinstance(value, BaseModel):
        members = value.__dict__.items()
    elif isinstance(value, list):
        members = enumerate(value)
    elif isinstance(value, dict):
        members = value.items()
    for name, member in members:
        if type(member) not in _SCALARS:
            _gather(member, (*at, name), found)
