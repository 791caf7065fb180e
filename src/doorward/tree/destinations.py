"""Where a stored secret goes: to whom a body shows it, and what protects it on the way.

A model that has a secret, or a member with one, and says to whom it is shown, declares so in one line:
``destination = Destination("server", "port", "encryption")``. A commit then compares by that alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from msgspec import Struct
from pydantic import BaseModel

from doorward.tree.jsontext import encode
from doorward.tree.references import Reference

Path = tuple[str | int, ...]


class Towards(Struct, frozen=True):
    """One destination as it stands in a body. ``fixed`` must stay as it is; of ``lists`` elements may only go."""

    fixed: bytes = b""
    lists: tuple[frozenset[bytes], ...] = ()

    def within(self, other: Towards) -> bool:
        """Whether nobody gets to see a secret here who did not get to see it by the other, and under no weaker protection."""
        return self.fixed == other.fixed and all(own <= its for own, its in zip(self.lists, other.lists, strict=True))


_NOWHERE = Towards()


@dataclass(frozen=True, slots=True, init=False)
class Destination:
    """The members of a model that say to whom its secrets are shown: host, port, protocol, protection.

    Members of members are joined by dots; one that is not there counts as null. ``shrinking`` are lists of what is accepted, such
    as servers or host keys: to accept less shows a secret to nobody new.
    """

    members: tuple[str, ...]
    shrinking: tuple[str, ...]

    def __init__(self, *members: str, shrinking: tuple[str, ...] = ()) -> None:
        object.__setattr__(self, "members", members)
        object.__setattr__(self, "shrinking", shrinking)

    def of(self, model: BaseModel) -> Towards:
        """Return the destination that a body of the model has."""
        body = model.model_dump(mode="json")
        lists = (_member(body, name) or [] for name in self.shrinking)
        return Towards(
            encode([_member(body, name) for name in self.members]),
            tuple(frozenset(map(encode, elements)) for elements in lists),
        )


class Bound(BaseModel):
    """What bodies have in common: ``destination`` is None where no secret of a model is ever shown to anybody."""

    destination: ClassVar[Destination | None] = None

    def towards(self) -> Towards:
        """Return where the secrets in this body go, by what its model declares."""
        return _NOWHERE if self.destination is None else self.destination.of(self)


class Use(Struct, frozen=True):
    """One use of a secret: where it stands in the body, the reference, and to whom it goes."""

    at: Path
    reference: Reference[Any]
    towards: Towards


def uses(value: Any, at: Path = (), towards: Towards = _NOWHERE) -> Iterator[Use]:
    """Yield every use of a secret in a model; the innermost model that declares a destination tells where it goes."""
    if isinstance(value, Reference):
        if value.form is not None:
            yield Use(at, value, towards)
    elif isinstance(value, BaseModel):
        inner = value.towards() if isinstance(value, Bound) and value.destination is not None else towards
        for name, member in value.__dict__.items():
            yield from uses(member, (*at, name), inner)
    elif isinstance(value, list):
        for index, element in enumerate(value):
            yield from uses(element, (*at, index), towards)
    elif isinstance(value, dict):
        for name, member in value.items():
            yield from uses(member, (*at, name), towards)


def _member(body: Any, dotted: str) -> Any:
    for name in dotted.split("."):
        body = body.get(name) if isinstance(body, dict) else None
    return body
