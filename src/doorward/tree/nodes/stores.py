"""Nodes with secrets, which are written once and never shown."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Generic

from pydantic import TypeAdapter
from typing_extensions import override

from doorward.tree.jsontext import encode
from doorward.tree.nodes.checks import checked_meaning, located, not_supported
from doorward.tree.nodes.node import Maker, Modelled, OpenCandidate, Warnings
from doorward.tree.nodes.valued import M
from doorward.tree.places import Place
from doorward.tree.problems import SemanticError
from doorward.tree.snapshot import Document


@dataclass(frozen=True, slots=True)
class Made:
    """A write-once object before it is in a draft: its public body, and its secret if it has one."""

    body: dict[str, Any]
    secret: str | None = field(repr=False)
    warnings: Warnings


def _nothing_made(_model: Any) -> tuple[dict[str, Any], str]:
    return {}, ""


def _shown_as_stored(body: dict[str, Any], _owners: list[str], _form: str | None) -> dict[str, Any]:
    return body


@dataclass(frozen=True, kw_only=True, eq=False)
class WriteOnce(Modelled, Generic[M]):
    """A store of secrets: POST creates, an object is read by key and never changed.

    ``model`` validates what is posted. ``make`` takes it apart into (public body, secret text, or None where there is none);
    it may take its time, and raise InvalidBody or SemanticError. ``show`` adds to the public body what follows from the
    object's owners and the form in which they keep it. Unless ``shared``, an object has one owner. ``public`` is the model ``M``
    of a public body.
    """

    holds_objects = True
    kind = "store"
    is_conditional = False

    make: Callable[[Any], tuple[dict[str, Any], str | None]] = _nothing_made
    show: Callable[[dict[str, Any], list[str], str | None], dict[str, Any]] = _shown_as_stored
    public: Any = Any
    shared: bool = False

    @cached_property
    def _public(self) -> TypeAdapter[Any]:
        return TypeAdapter(self.public)

    @property
    @override
    def methods(self) -> tuple[str, ...]:
        return ("OPTIONS", "POST")

    @property
    @override
    def maker(self) -> Maker:
        return self.made

    def parse(self, value: Any) -> M:
        """Return the model of a public body."""
        model: M = self._public.validate_python(value)
        return model

    @override
    def load(self, value: Any) -> Document:
        """Return the document of a public body."""
        stored = encode(value)
        return Document(stored, stored)

    def made(self, value: Any, *, strict: bool) -> Made:
        """Make an object, which may take its time. Raises InvalidBody or SemanticError."""
        if not self.supported:
            raise not_supported(self.path)
        checked = checked_meaning(self.adapter, value, self.path, strict=strict)
        try:
            body, secret = self.make(checked.model)
        except SemanticError as refused:
            raise SemanticError(located(refused.problems, self.path)) from None
        return Made(body, secret, checked.warnings)

    @override
    def add(self, draft: OpenCandidate, value: Any, *, strict: bool) -> tuple[str, Warnings]:
        made, key = value if isinstance(value, Made) else self.made(value, strict=strict), str(uuid.uuid4())
        if made.secret is not None:
            draft.secrets[key] = made.secret
        draft.put(Place(self.path, key), self.load(made.body))
        return key, made.warnings
