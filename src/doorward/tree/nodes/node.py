"""What all nodes are, and the ports by which they are written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Literal, NamedTuple, Protocol, TypeVar

from pydantic import TypeAdapter
from typing_extensions import override

from doorward.tree.places import Place
from doorward.tree.problems import Problem
from doorward.tree.shapes import FREE, Shape
from doorward.tree.snapshot import Document, Snapshot

Scope = Literal["cluster", "node", "owner"]
"""Where a setting comes from on a managed host: Central Management, the node itself, or whoever refers to it."""

Rule = Callable[[Snapshot, Place], Iterable[Problem]]
"""A look across the tree, at commit and in the plan: yields problems (``path`` "" is the place itself)."""

Render = Callable[[Snapshot], Iterable[Any]]
"""From a configuration to the host resources that it asks for. Pure."""

Claims = Callable[[Snapshot], Iterable[Any]]
"""From a configuration to the addresses and ports that it wants for its services (``host.claims.Claim``). Pure."""

Warnings = tuple[Problem, ...]
"""What is said of a write without stopping it."""

READS = ("GET", "HEAD", "OPTIONS")
"""The methods of what is only read."""


class OpenCandidate(Protocol):
    """Where writes go: a configuration with uncommitted changes."""

    @property
    def snapshot(self) -> Snapshot:
        """The configuration with all changes so far."""

    @property
    def secrets(self) -> dict[str, str]:
        """The text of the secrets that were written, by key."""

    def put(self, place: Place, document: Document) -> None:
        """Set the body at a place."""

    def remove(self, place: Place) -> None:
        """Remove the object at a place."""


class Maker(Protocol):
    """What makes more of a body than what it says, which may take its time, such as asking a program. Needs no draft."""

    def __call__(self, value: Any, *, strict: bool) -> object:
        """Return what ``replace`` or ``add`` takes in place of the body. Blocks. Raises InvalidBody or SemanticError."""


class Initial(NamedTuple):
    """One body of a fresh appliance: where it stands below the node, and what it is on a machine."""

    key: str
    position: int
    body: Callable[[object], Any]


def constant(value: Any) -> Callable[[object], Any]:
    """Return the body that is the same on all machines."""
    return lambda _machine: value


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

    object_methods: ClassVar[tuple[str, ...]] = READS
    """The methods of an object below the node, sorted."""

    holds_objects: ClassVar[bool] = False
    """Whether there are objects with keys below the node."""

    has_body: ClassVar[bool] = False
    """Whether the node itself has a body, beside those of objects below it."""

    kind: ClassVar[str] = ""
    """What clients call such nodes: ``branch``, ``collection``, ``list``, ``store`` or ``value``."""

    shows_items: ClassVar[bool] = False
    """Whether GET of the node lists what is below it, in place of a body."""

    is_conditional: ClassVar[bool] = True
    """Whether a write may say with If-Match what it replaces."""

    path: str = field(default="", compare=False)
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
    def methods(self) -> tuple[str, ...]:
        """The methods of the node itself, sorted."""
        return READS

    @property
    def is_only_shown(self) -> bool:
        """Whether this release takes nothing but what there is."""
        return not self.supported

    @property
    def is_ordered(self) -> bool:
        """Whether the objects below it have an order, which PUT changes."""
        return False

    @property
    def built_in(self) -> Iterable[str]:
        """The keys of the objects below it that every appliance has."""
        return ()

    @property
    def written(self) -> TypeAdapter[Any] | None:
        """What a written body has to be; None where none is taken but the default."""
        return None

    @property
    def branches(self) -> Mapping[str, Node]:
        """The nodes that it declares below itself, by name."""
        return {}

    @property
    def shape(self) -> Shape:
        """The places of the bodies, for differences."""
        return FREE

    @property
    def maker(self) -> Maker | None:
        """What has to be done with a written body ahead of ``replace`` or ``add``; None where nothing has."""
        return None

    @property
    def initial(self) -> Iterable[Initial]:
        """What a fresh appliance has."""
        return ()

    def hang(self, path: str) -> None:
        """Say where the node hangs, once: folders decide it, and a declaration does not know its folder."""
        object.__setattr__(self, "path", path)

    def load(self, value: Any) -> Document:
        """Return the document of a stored body. Raises pydantic's ValidationError for what is none."""
        raise NotImplementedError("nothing is stored here")

    def replace(self, draft: OpenCandidate, key: str, value: Any, *, strict: bool) -> Warnings:
        """PUT: replace what there is by a decoded body, or what the maker made of one. Raises InvalidBody or SemanticError."""
        raise NotImplementedError("PUT is no method of this node")

    def add(self, draft: OpenCandidate, value: Any, *, strict: bool) -> tuple[str, Warnings]:
        """POST: make an object and return its key, or append to a list and return "". Raises InvalidBody or SemanticError."""
        raise NotImplementedError("POST is no method of this node")

    def delete(self, draft: OpenCandidate, key: str, nodes: Callable[[str], Node]) -> None:
        """DELETE an object; ``nodes`` finds those that refer to it by their path. Raises SemanticError."""
        raise NotImplementedError("DELETE is no method of this node")

    def released(self, document: Document, target: Place) -> Document | None:
        """Return a document without its references to a target; None where one does not stand in a list."""
        raise NotImplementedError("nothing here refers to anything")


@dataclass(frozen=True, kw_only=True, eq=False)
class Modelled(Node):
    """A node that takes bodies of one model: ``model`` is a pydantic model or an annotated type."""

    model: Any = Any

    @cached_property
    def adapter(self) -> TypeAdapter[Any]:
        """The validator of one body as it is sent."""
        return TypeAdapter(self.model)

    @property
    @override
    def written(self) -> TypeAdapter[Any] | None:
        return self.adapter if self.supported else None


@dataclass(frozen=True, kw_only=True, eq=False)
class Branch(Node):
    """Fixed children and nothing else: the modules beside its own, and ``children`` by name, where each takes but a line."""

    kind = "branch"
    shows_items = True

    children: Mapping[str, Node] = field(default_factory=dict)

    @property
    @override
    def branches(self) -> Mapping[str, Node]:
        return self.children


N = TypeVar("N", bound=Node)


def later(kind: type[N], **declared: Any) -> N:
    """Declare an endpoint that this release does not honour yet; its branch lists it (``children``).

    It answers its inert default, takes that same body back and refuses everything else (protocol, section 9.7).
    """
    return kind(supported=False, **declared)
