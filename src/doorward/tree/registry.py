"""The tree as it hangs: found by walking a package whose folders mirror the paths of the API."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import cached_property
from types import ModuleType

from doorward.tree.nodes import (
    Branch,
    Collection,
    ListSingleton,
    Node,
    Singleton,
    Supply,
    Valued,
    WriteOnce,
    arrangement,
    arranges,
)
from doorward.tree.places import ROOT, Place
from doorward.tree.shapes import FREE, Shape
from doorward.tree.snapshot import Document, Snapshot


@dataclass(eq=False)
class Endpoint:
    """One node in its place. ``doc`` is the docstring of its module."""

    path: str
    key: str
    node: Node
    doc: str
    parent: Endpoint | None = None
    children: dict[str, Endpoint] = field(default_factory=dict)

    def concerned(self, changed: AbstractSet[str]) -> bool:
        """Whether what the endpoint says follows from something that changed: paths."""
        return self.path in changed or not changed.isdisjoint(self.node.reads)

    @cached_property
    def listed(self) -> tuple[Endpoint, ...]:
        """The children that the endpoint's GET shows, in byte order of their names."""
        return tuple(child for child in self.children.values() if child.node.listed)

    @cached_property
    def privilege(self) -> str:
        """The ACL object that guards the endpoint."""
        return self.node.privilege or (self.parent.privilege if self.parent else "")

    @cached_property
    def methods(self) -> tuple[str, ...]:
        """The methods of the endpoint itself, sorted."""
        match self.node:
            case WriteOnce():
                return ("OPTIONS", "POST")
            case Collection(ordered=True):
                return ("GET", "HEAD", "OPTIONS", "POST", "PUT")
            case Collection():
                return ("GET", "HEAD", "OPTIONS", "POST")
            case ListSingleton():
                return ("GET", "HEAD", "OPTIONS", "POST", "PUT")
            case Singleton(read_only=False):
                return ("GET", "HEAD", "OPTIONS", "PUT")
            case _:
                return ("GET", "HEAD", "OPTIONS")

    @cached_property
    def object_methods(self) -> tuple[str, ...]:
        """The methods of an object below the endpoint, sorted."""
        return ("DELETE", "GET", "HEAD", "OPTIONS", "PUT") if isinstance(self.node, Collection) else ("GET", "HEAD", "OPTIONS")

    @property
    def holds_objects(self) -> bool:
        """Whether the endpoint has objects with keys."""
        return isinstance(self.node, (Collection, WriteOnce))


class Tree:
    """All endpoints by path. ``root`` is that of the configuration; ``others`` hang elsewhere and share its transactions."""

    def __init__(self, root: Endpoint, *others: Endpoint) -> None:
        self.root = root
        self.endpoints: dict[str, Endpoint] = {}
        for top in (root, *others):
            for endpoint in _walk(top):
                self.endpoints[endpoint.path] = endpoint
        self.aliases = {e.node.also_at: e for e in self.endpoints.values() if e.node.also_at}

    def __iter__(self) -> Iterator[Endpoint]:
        return iter(self.endpoints.values())

    def __getitem__(self, path: str) -> Endpoint:
        return self.endpoints[path]

    @property
    def configuration(self) -> Iterator[Endpoint]:
        """The endpoints below ``root``."""
        return _walk(self.root)

    def shape(self, href: str) -> Shape:
        """Return the shape of a body: of the endpoint at a path, or of an object in it; also of another release's."""
        endpoint = self.endpoints.get(href) or self.endpoints.get(href.rpartition("/")[0])
        return endpoint.node.shape if endpoint else FREE

    @cached_property
    def rendering(self) -> tuple[Endpoint, ...]:
        """The endpoints that ask something of the host."""
        return tuple(endpoint for endpoint in self if endpoint.node.render)

    @cached_property
    def claiming(self) -> tuple[Endpoint, ...]:
        """The endpoints that want addresses and ports for services."""
        return tuple(endpoint for endpoint in self if endpoint.node.claims)

    @cached_property
    def guarding(self) -> tuple[Endpoint, ...]:
        """The endpoints that look out for secrets that leave."""
        return tuple(endpoint for endpoint in self if endpoint.node.leaves is not Node.leaves)

    @cached_property
    def supplying(self) -> tuple[tuple[Place, Supply], ...]:
        """Where commits make what the configuration needs."""
        singletons = ((endpoint.path, endpoint.node) for endpoint in self if isinstance(endpoint.node, Singleton))
        return tuple((Place(path), node.supply) for path, node in singletons if node.supply is not None)

    @cached_property
    def readers(self) -> dict[str, tuple[str, ...]]:
        """By path: the endpoints whose rules read what is there."""
        found: dict[str, tuple[str, ...]] = {}
        for endpoint in self:
            for path in endpoint.node.reads:
                found[path] = (*found.get(path, ()), endpoint.path)
        return found

    @cached_property
    def making(self) -> frozenset[str]:
        """The paths whose nodes make more of a body than what it says, which may take its time."""
        makes = (e for e in self if isinstance(e.node, WriteOnce) or (isinstance(e.node, Singleton) and e.node.make))
        return frozenset(endpoint.path for endpoint in makes)

    def find(self, segments: Sequence[str]) -> tuple[Endpoint, str] | int:
        """Address a resource by the path segments below the root.

        Returns (endpoint, key of the object or ""), or the index of the first segment that leads nowhere. Whether an object
        exists is for the snapshot to say.
        """
        endpoint = self.root
        for index, segment in enumerate(segments):
            child = endpoint.children.get(segment)
            if child is not None:
                endpoint = child
            elif endpoint.holds_objects and index == len(segments) - 1:
                return endpoint, segment
            elif endpoint.holds_objects:
                return index + 1
            else:
                return index
        return endpoint, ""

    def load(self, place: Place, value: object) -> Document:
        """Return the document of a stored body at a place."""
        node = self.endpoints[place.path].node
        assert isinstance(node, (Valued, WriteOnce))  # noqa: S101 - branches store nothing
        if arranges(node, place):
            return arrangement(keys_of(value))
        return node.load(value)

    def defaults(self, machine: object, beside: Snapshot | None = None) -> Snapshot:
        """Return the configuration of a fresh appliance; defaults that are functions ask the machine.

        What is in ``beside`` is left out, and the machine is not asked for it.
        """
        rows: list[tuple[Place, int, Document]] = []
        for endpoint in self:
            match endpoint.node:
                case Singleton(default=default) | ListSingleton(default=default):
                    if beside is not None and beside.document(Place(endpoint.path)) is not None:
                        continue
                    body = default(machine) if callable(default) else default
                    rows.append((Place(endpoint.path), 0, self.load(Place(endpoint.path), body)))
                case Collection(default=default, ordered=ordered):
                    if ordered and (beside is None or beside.document(Place(endpoint.path)) is None):
                        rows.append((Place(endpoint.path), 0, arrangement([])))
                    for position, (key, value) in enumerate(default.items()):
                        place = Place(endpoint.path, key)
                        if beside is not None and beside.document(place) is not None:
                            continue
                        rows.append((place, position, self.load(place, value)))
                case _:
                    pass
        return Snapshot.of(rows)


def _walk(endpoint: Endpoint) -> Iterator[Endpoint]:
    yield endpoint
    for child in endpoint.children.values():
        yield from _walk(child)


def keys_of(value: object) -> list[str]:
    """Return a written order. Raises ValueError for what is none."""
    if not isinstance(value, list) or not all(isinstance(key, str) for key in value):
        raise ValueError("an order is a list of keys")
    return value


def discover(package: ModuleType, path: str = ROOT) -> Tree:
    """Build the tree from a package: a package is a branch, a module an endpoint, each with its ``NODE``."""
    return Tree(_endpoint(package, path, None))


def _endpoint(module: ModuleType, path: str, parent: Endpoint | None) -> Endpoint:
    node = module.NODE
    assert isinstance(node, Node)  # noqa: S101 - a module without declaration is a mistake of ours
    endpoint = _hung(node, path, inspect.getdoc(module) or "", parent)
    for name in sorted(info.name for info in pkgutil.iter_modules(getattr(module, "__path__", ()))):
        child = importlib.import_module(f"{module.__name__}.{name}")
        if hasattr(child, "NODE"):
            endpoint.children[name] = _endpoint(child, f"{path}/{name}", endpoint)
    return endpoint


def _hung(node: Node, path: str, doc: str, parent: Endpoint | None) -> Endpoint:
    """Return a node in its place, and those that a branch declares itself."""
    node.hang(path)
    endpoint = Endpoint(path, path.rpartition("/")[2], node, doc, parent)
    if isinstance(node, Branch):
        for name, child in sorted(node.children.items()):
            endpoint.children[name] = _hung(child, f"{path}/{name}", child.title, endpoint)
    return endpoint
