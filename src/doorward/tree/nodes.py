"""The declarations of which the configuration tree is made: one ``NODE`` in each module of ``doorward.configuration``.

A node knows its model, its default, its rules and what it asks of the host; it does not know where it hangs: that is the
business of ``registry``, which reads it from the module's place among the folders.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Generic, Literal, TypeVar

from pydantic import TypeAdapter

from doorward.tree.jsontext import encode
from doorward.tree.places import Place
from doorward.tree.problems import Problem
from doorward.tree.references import references
from doorward.tree.shapes import FREE, Shape, shape_of
from doorward.tree.snapshot import Document, Snapshot, encode_shown

Scope = Literal["cluster", "node", "owner"]
"""Where a setting comes from on a managed host: Central Management, the node itself, or whoever refers to it."""

Rule = Callable[[Snapshot, Place], Iterable[Problem]]
"""A look across the tree, at commit and in the plan: yields problems (``path`` "" is the place itself)."""

Render = Callable[[Snapshot], Iterable[Any]]
"""From a configuration to the host resources that it asks for. Pure."""

Claims = Callable[[Snapshot], Iterable[Any]]
"""From a configuration to the addresses and ports that it wants for its services (``host.claims.Claim``). Pure."""

M = TypeVar("M")
"""The model of a body: what ``Snapshot.read`` returns of it."""

E = TypeVar("E")
"""The model of one element of a list."""


def _nothing_leaves(_before: Snapshot, _after: Snapshot) -> Iterable[Problem]:
    return ()


@dataclass(frozen=True, kw_only=True, eq=False)
class Node:
    """What all declarations share.

    ``title`` is one line for the manual; ``privilege`` the ACL object that guards it ("" inherits the parent's); ``reads``
    the hrefs whose change makes rules, render and claims run again; ``listed`` False means reachable, but no sibling; ``also_at``
    a second spelling of the path; ``links`` named links of its ``meta``, name to href; ``supported`` False marks an
    endpoint that only shows its default in this release. ``leaves`` maps two configurations to what is to be said where going
    from one to the other lets secrets go elsewhere: warnings, and problems with code ``privilege_required``, which only those
    have who may not do everything. ``path`` is where the node hangs; the registry says so.
    """

    path: str = field(default="", init=False, compare=False)
    title: str = ""
    scope: Scope = "cluster"
    privilege: str = ""
    rules: tuple[Rule, ...] = ()
    advice: tuple[Rule, ...] = ()
    render: Render | None = None
    claims: Claims | None = None
    reads: tuple[str, ...] = ()
    listed: bool = True
    also_at: str = ""
    links: Mapping[str, str] = field(default_factory=dict)
    supported: bool = True
    leaves: Callable[[Snapshot, Snapshot], Iterable[Problem]] = _nothing_leaves

    @property
    def shape(self) -> Shape:
        """The places of the bodies, for differences."""
        return FREE

    def hang(self, path: str) -> None:
        """Say where the node hangs, once: folders decide it, and a declaration does not know its folder."""
        object.__setattr__(self, "path", path)


@dataclass(frozen=True, kw_only=True, eq=False)
class Branch(Node):
    """Fixed children and nothing else: the modules beside its own, or ``children`` by name, where each takes but a line."""

    children: Mapping[str, Node] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class Valued(Node, Generic[M]):
    """A node with bodies of one model, ``M``.

    ``model`` is the pydantic model or annotated type that ``M`` stands for. ``step`` maps an old and a new body and the new
    configuration to warnings about going from one to the other, ``probe`` the two bodies (old: None where there was none) to the
    (place in the body, host) pairs whose answer to an NTP query is worth a warning, ``reach`` to the (place in the body, host,
    port) of servers that should take a TCP connection; port 0: whose name should resolve.
    ``adopt`` maps a configuration, and a function from a resource to what the host has of it, to the body that says so; None:
    there is none. ``derived`` names the members that a PUT leaves as they are, ``at_write`` the rules that refuse it at the write
    already.
    ``renewed`` maps configuration, place and machine to the body that the stored one becomes at a start; None: it stays.
    """

    model: Any = Any
    step: Callable[[M, M, Snapshot], Iterable[Problem]] | None = None
    probe: Callable[[M | None, M], Iterable[tuple[str, str]]] | None = None
    reach: Callable[[M | None, M], Iterable[tuple[str, str, int]]] | None = None
    adopt: Callable[[Snapshot, Callable[[Any], object]], Any] | None = None
    derived: tuple[str, ...] = ()
    renewed: Callable[[Snapshot, Place, Any], Any] | None = None
    at_write: tuple[Rule, ...] = ()

    @cached_property
    def adapter(self) -> TypeAdapter[Any]:
        """The validator of one body."""
        return TypeAdapter(self.model)

    @cached_property
    def shape(self) -> Shape:
        """The places of the bodies, for differences."""
        return shape_of(self.model)

    def document(self, model: Any) -> Document:
        """Return the document of a validated model."""
        dump = self.adapter.dump_python
        stored = encode(dump(model, mode="json", warnings=False))
        found = frozenset(reference for _, reference in references(model))
        shown = encode_shown(stored, dump(model, mode="json", warnings=False, context={"expand": True})) if found else stored
        return Document(stored, shown, found, self.name_of(model))

    def parse(self, value: Any) -> M:
        """Return the model of a stored body."""
        model: M = self.adapter.validate_python(value)
        return model

    def load(self, value: Any) -> Document:
        """Return the document of a body that was validated before it was stored."""
        return self.document(self.parse(value))

    def name_of(self, _model: Any) -> str | None:
        """Return what must be unique among the siblings of an object."""
        return None


@dataclass(frozen=True, slots=True)
class Supply:
    """What a commit makes for an endpoint where the configuration needs it and nobody brought it: secrets of a store.

    ``store`` is the path of the store, ``make`` yields the public body and the text of each secret, ``body`` maps their keys to
    the body that refers to them.
    """

    store: str
    is_needed: Callable[[Snapshot], bool]
    make: Callable[[], Iterable[tuple[dict[str, Any], str]]]
    body: Callable[[list[str]], Any]


@dataclass(frozen=True, kw_only=True, eq=False)
class Singleton(Valued[M]):
    """One JSON value, replaced by PUT unless ``read_only``. A ``default`` that is a function gets the machine to ask.

    ``make`` takes a validated model to (the model that is stored, warnings) where that takes its time, such as asking a
    program; it may raise InvalidBody or SemanticError. ``supply`` is what commits make for it.
    """

    default: Any
    supply: Supply | None = None
    read_only: bool = False
    make: Callable[[M], tuple[M, Iterable[Problem]]] | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class ListSingleton(Valued[list[E]], Generic[E]):
    """A body that is a list of ``E``: PUT replaces it, POST appends. ``accepts_one``: PUT of one object stands for a list."""

    default: Any
    accepts_one: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class Collection(Valued[M]):
    """Objects with keys made by the server.

    ``default`` holds the built-in objects by key; they can't be deleted, and ``fixed`` names the members of theirs that
    can't be changed. ``unique`` is the member that no two objects share (``fold``: without regard to case), ``reserved`` what of
    it, folded, no write gives to an object.
    ``ordered``: its order counts, is written by PUT of ``{"@order": [all keys]}``, and is a document of its own at the path.
    ``cascade``: on DELETE of an object references to it in lists elsewhere are removed too, instead of refusing. ``removal``
    yields what forbids a DELETE at the write, besides references.
    """

    default: Mapping[str, Any] = field(default_factory=dict)
    fixed: tuple[str, ...] = ()
    unique: str = ""
    fold: bool = False
    reserved: frozenset[str] = frozenset()
    most: int = 10_000
    ordered: bool = False
    cascade: bool = False
    removal: tuple[Rule, ...] = ()

    def name_of(self, model: Any) -> str | None:
        """Return what must be unique among the siblings of an object."""
        if not self.unique:
            return None
        name = str(getattr(model, self.unique))
        return name.casefold() if self.fold else name


def _nothing_made(_model: Any) -> tuple[dict[str, Any], str]:
    return {}, ""


def _shown_as_stored(body: dict[str, Any], _owners: list[str], _form: str | None) -> dict[str, Any]:
    return body


@dataclass(frozen=True, kw_only=True, eq=False)
class WriteOnce(Node, Generic[M]):
    """A store of secrets: POST creates, an object is read by key and never changed.

    ``model`` validates what is posted. ``make`` takes it apart into (public body, secret text, or None where there is none);
    it may take its time, and raise InvalidBody or SemanticError. ``show`` adds to the public body what follows from the
    object's owners and the form in which they keep it. Unless ``shared``, an object has one owner. ``public`` is the model ``M``
    of a public body.
    """

    model: Any = Any
    make: Callable[[Any], tuple[dict[str, Any], str | None]] = _nothing_made
    show: Callable[[dict[str, Any], list[str], str | None], dict[str, Any]] = _shown_as_stored
    public: Any = Any
    shared: bool = False

    @cached_property
    def adapter(self) -> TypeAdapter[Any]:
        """The validator of a posted body."""
        return TypeAdapter(self.model)

    @cached_property
    def _public(self) -> TypeAdapter[Any]:
        return TypeAdapter(self.public)

    def parse(self, value: Any) -> M:
        """Return the model of a public body."""
        model: M = self._public.validate_python(value)
        return model

    def load(self, value: Any) -> Document:
        """Return the document of a public body."""
        stored = encode(value)
        return Document(stored, stored)


def arranges(node: Node, place: Place) -> bool:
    """Whether what stands at a place of a node is the order of its objects: a list of keys."""
    return isinstance(node, Collection) and not place.key


def arrangement(keys: list[str]) -> Document:
    """Return the document of an order."""
    stored = encode(keys)
    return Document(stored, stored)


_Later = TypeVar("_Later", bound=Node)


def later(kind: type[_Later], **declared: Any) -> _Later:
    """Declare an endpoint that this release does not honour yet. A branch of nothing else lists them in one module.

    It answers its inert default, takes that same body back and refuses everything else (protocol, section 9.7).
    """
    return kind(supported=False, **declared)
