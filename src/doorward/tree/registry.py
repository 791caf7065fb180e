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

from doorward.tree.nodes import Node, Singleton, Supply, arrangement, arranges, keys_of
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

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods of the endpoint itself, sorted."""
        return self.node.methods

    @property
    def object_methods(self) -> tuple[str, ...]:
        """The methods of an object below the endpoint, sorted."""
        return self.node.object_methods

    @property
    def holds_objects(self) -> bool:
        """Whether the endpoint has objects with keys."""
        return self.node.holds_objects


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

    def concerns_host(self, changed: AbstractSet[str]) -> bool:
        """Whether the host can be asked for something else after a change of these paths."""
        return any(endpoint.concerned(changed) for endpoint in (*self.rendering, *self.claiming))

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
        return frozenset(endpoint.path for endpoint in self if endpoint.node.maker is not None)

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

    def within(self, href: str) -> tuple[list[str], str | None] | None:
        """Return the paths of the endpoints at and below a resource, and for an object its key; None: there is no such place."""
        path = self.aliases[href].path if href in self.aliases else href.rstrip("/")
        if path in self.endpoints:
            return [one for one in self.endpoints if one == path or one.startswith(f"{path}/")], None
        above, _, key = path.rpartition("/")
        holder = self.endpoints.get(above)
        return ([above], key) if holder is not None and holder.holds_objects else None

    def load(self, place: Place, value: object) -> Document:
        """Return the document of a stored body at a place."""
        node = self.endpoints[place.path].node
        return arrangement(keys_of(value)) if arranges(node, place) else node.load(value)

    def node(self, path: str) -> Node:
        """Return the node at a path."""
        return self.endpoints[path].node

    def defaults(self, machine: object, beside: Snapshot | None = None) -> Snapshot:
        """Return the configuration of a fresh appliance; defaults that are functions ask the machine.

        What is in ``beside`` is left out, and the machine is not asked for it.
        """
        rows: list[tuple[Place, int, Document]] = []
        for endpoint in self:
            for key, position, body in endpoint.node.initial:
                place = Place(endpoint.path, key)
                if beside is None or beside.document(place) is None:
                    rows.append((place, position, self.load(place, body(machine))))
        return Snapshot.of(rows)


def _walk(endpoint: Endpoint) -> Iterator[Endpoint]:
    yield endpoint
    for child in endpoint.children.values():
        yield from _walk(child)


def discover(package: ModuleType, path: str = ROOT) -> Tree:
    """Build the tree from a package: a package is a branch, a module an endpoint, each with its ``NODE``."""
    return Tree(_endpoint(package, path, None))


def _endpoint(module: ModuleType, path: str, parent: Endpoint | None) -> Endpoint:
    node = module.NODE
    if not isinstance(node, Node):
        raise TypeError(f"{module.__name__}.NODE is no node")
    endpoint = _hung(node, path, inspect.getdoc(module) or "", parent)
    for info in pkgutil.iter_modules(getattr(module, "__path__", ())):
        child = importlib.import_module(f"{module.__name__}.{info.name}")
        if hasattr(child, "NODE"):
            if info.name in endpoint.children:
                raise TypeError(f"{module.__name__} lists {info.name}, which is a module as well")
            endpoint.children[info.name] = _endpoint(child, f"{path}/{info.name}", endpoint)
    endpoint.children = dict(sorted(endpoint.children.items()))
    return endpoint


def _hung(node: Node, path: str, doc: str, parent: Endpoint | None) -> Endpoint:
    """Return a node in its place, and those that a branch declares itself."""
    node.hang(path)
    endpoint = Endpoint(path, path.rpartition("/")[2], node, doc, parent)
    for name, child in sorted(node.branches.items()):
        endpoint.children[name] = _hung(child, f"{path}/{name}", child.title, endpoint)
    return endpoint
