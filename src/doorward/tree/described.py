"""What reading needs to know of a node: where its bodies are, and what they are."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Generic, Protocol, TypeVar

from msgspec import Struct
from pydantic import TypeAdapter

M = TypeVar("M")
M_co = TypeVar("M_co", covariant=True)


class Described(Protocol[M_co]):
    """A node of the tree, as far as reading goes."""

    @property
    def path(self) -> str:
        """The href of the endpoint."""

    def parse(self, value: Any) -> M_co:
        """Return the model of a stored body."""


class At(Struct, Generic[M], frozen=True, dict=True):
    """The bodies at a path, for modules that can't import the declaration there, since it is built on them."""

    path: str
    model: Any

    @cached_property
    def _adapter(self) -> TypeAdapter[Any]:
        return TypeAdapter(self.model)

    def parse(self, value: Any) -> M:
        """Return the model of a stored body."""
        model: M = self._adapter.validate_python(value)
        return model
