"""What has to be requested to bring a configuration to a described state. Pure: looks at values, sends nothing.

A description hangs together like the folders of the API. Branches are mappings; single values and lists are their bodies, of
mappings only the members that shall have a certain value; a collection maps names to bodies without the name.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import singledispatchmethod
from typing import Any, Protocol

from doorward.cli import outside, parts
from doorward.cli.described import DescribedPlan, DescribedRequest, New, news
from doorward.cli.described_secrets import DescribedSecrets
from doorward.cli.merging import merged
from doorward.cli.naming import bare, by_name, folded, keys_only
from doorward.cli.ordering import creations, removals
from doorward.cli.referring import At, is_switch, mapped
from doorward.tree.changes import same
from doorward.tree.nodes import Branch, Collection, Node, Valued
from doorward.tree.problems import InvalidBody, Problem, pointer
from doorward.tree.references import RefersTo, RefersToPart
from doorward.tree.registry import Endpoint, Tree
from doorward.tree.validation import check


class Present(Protocol):
    """The configuration as it is."""

    def value(self, path: str) -> Any:
        """Return the body of a single value or list."""

    def objects(self, path: str) -> dict[str, Any]:
        """Return the objects of a collection by key."""


def plan(tree: Tree, present: Present, described: Any, *, prune: bool = False) -> DescribedPlan:
    """Compare a description with what is there. ``prune`` removes the objects of described collections that it does not name."""
    return _Planning(tree, present, prune).plan(described)


@dataclass
class _Planning:
    tree: Tree
    present: Present
    prune: bool
    problems: list[Problem] = field(default_factory=list)
    created: list[DescribedRequest] = field(default_factory=list)
    replaced: list[DescribedRequest] = field(default_factory=list)
    named: dict[str, dict[Any, str]] = field(default_factory=dict)
    """The names that the description has in each collection, folded, and how it spells them."""
    keys: dict[str, dict[Any, str]] = field(default_factory=dict)
    """The keys of the objects that are there, by collection and folded name."""
    parts: dict[str, RefersToPart] = field(default_factory=dict)
    """The branches to parts of whose single values the description refers."""
    singles: dict[str, Any] = field(default_factory=dict)
    """The single values and lists of the description."""

    def __post_init__(self) -> None:
        self.secrets = DescribedSecrets(self.present, self.problems)

    def plan(self, described: Any) -> DescribedPlan:
        leaves = list(self._leaves(self.tree.root.node, self.tree.root, described))
        for endpoint, value in leaves:
            self._note(endpoint.node, endpoint, value)
        for endpoint, value in leaves:
            self._compare(endpoint.node, endpoint, value)
        before, replaced, after = self._single_values()
        requests = [
            *self.secrets.made_first,
            *before,
            *creations(self.created, self.problems),
            *replaced,
            *after,
            *self._removed(),
        ]
        return DescribedPlan(tuple(requests), tuple(self.problems))

    @singledispatchmethod
    def _leaves(self, _node: Node, endpoint: Endpoint, _value: Any) -> Iterator[tuple[Endpoint, Any]]:
        """Yield what is described, endpoint by endpoint; says what the tree does not have, and what is not described there."""
        self._wrong("unsuitable", "Is described where it is used, with from_env or from_file.", endpoint.path)
        yield from ()

    @_leaves.register(Branch)
    def _(self, _node: Branch, endpoint: Endpoint, value: Any) -> Iterator[tuple[Endpoint, Any]]:
        if value is None:
            return
        if not isinstance(value, dict):
            self._wrong("type", "Must be a mapping from the names below it.", endpoint.path)
            return
        for name, member in value.items():
            child = endpoint.children.get(name)
            if child is not None:
                yield from self._leaves(child.node, child, member)
            else:
                self._wrong("unknown_member", "There is no such path.", f"{endpoint.path}/{name}")

    @_leaves.register(Collection)
    def _(self, node: Collection[Any], endpoint: Endpoint, value: Any) -> Iterator[tuple[Endpoint, Any]]:
        if not node.unique or not node.supported:
            message = "Its objects have no names to describe them by." if node.supported else "Not supported by this release."
            self._wrong("not_supported", message, endpoint.path)
        elif value is not None and not isinstance(value, dict):
            self._wrong("type", "Must be a mapping from names to bodies.", endpoint.path)
        else:
            yield endpoint, value or {}

    @_leaves.register(Valued)
    def _(self, _node: Valued[Any], endpoint: Endpoint, value: Any) -> Iterator[tuple[Endpoint, Any]]:
        yield endpoint, value

    @singledispatchmethod
    def _note(self, _node: Node, endpoint: Endpoint, value: Any) -> None:
        """Remember what is described, for what refers to it."""
        self.singles[endpoint.path] = value

    @_note.register(Collection)
    def _(self, node: Collection[Any], endpoint: Endpoint, value: Any) -> None:
        names = self.named[endpoint.path] = {folded(node, name): name for name in value}
        if len(names) < len(value):
            self._wrong("duplicate", "Two names differ only in case.", endpoint.path)

    @singledispatchmethod
    def _compare(self, node: Valued[Any], endpoint: Endpoint, described: Any) -> None:
        """Find out what has to be requested for what is described of an endpoint."""
        path = endpoint.path
        old = keys_only(node, self.present.value(path))
        new = self._resolved(node, merged(old, described, switch=is_switch(node.model)), old, path)
        if not _same(node, old, new):
            self.replaced.append(DescribedRequest("PUT", path, new, label=path))

    @_compare.register(Collection)
    def _(self, node: Collection[Any], endpoint: Endpoint, described: Any) -> None:
        for name, body in described.items():
            self._object(endpoint, node, name, body)

    def _intended(self, path: str) -> Any:
        """Return the body of a single value as it will be."""
        return merged(self.present.value(path), self.singles.get(path, {}))

    def _object(self, endpoint: Endpoint, node: Collection[Any], name: str, described: Any) -> None:
        label = f"{endpoint.path}/{name}"
        if described is not None and not isinstance(described, dict):
            self._wrong("type", "Must be a mapping of members.", label)
            return
        if node.unique in (described or {}):
            self._wrong("contradiction", "The name stands before the colon already.", label, pointer([node.unique]))
            return
        objects = self.present.objects(endpoint.path)
        key = self._present(endpoint.path, node, name)
        old = keys_only(node, objects[key]) if key is not None else {}
        new = self._resolved(node, merged(old, {**(described or {}), node.unique: name}), old, label)
        if key is None:
            self.created.append(DescribedRequest("POST", endpoint.path, new, New(endpoint.path, name), label))
        elif not _same(node, old, new):
            self.replaced.append(DescribedRequest("PUT", f"{endpoint.path}/{key}", new, label=label))

    def _resolved(self, node: Valued[Any], body: Any, old: Any, label: str) -> Any:
        """Return a body with keys, or what stands for them, in place of names and of secrets from outside."""

        def change(to: RefersTo, value: Any, at: At) -> Any:
            if isinstance(value, dict) and outside.meant(value):
                return self.secrets.place(to, value, (old, body), at, label)
            key, target = bare(value), self.tree.endpoints.get(to.to)
            if isinstance(to, RefersToPart) and isinstance(key, str):
                self.parts[to.to] = to
                return parts.key_of(parts.names(self.tree, to, self._intended), key) or key
            if not isinstance(key, str) or target is None or not isinstance(target.node, Collection):
                return key
            return self._key(target, target.node, key, Problem("unknown_reference", "", pointer(at), label))

        return mapped(node.model, body, change)

    def _key(self, target: Endpoint, node: Collection[Any], name: str, problem: Problem) -> str | New:
        if name in self.present.objects(target.path):
            return name
        if (found := self._present(target.path, node, name)) is not None:
            return found
        spelt = self.named.get(target.path, {}).get(folded(node, name))
        if spelt is None:
            self._wrong(problem.code, f"There is no {target.path}/{name}.", problem.path, problem.pointer)
            return name
        return New(target.path, spelt)

    def _present(self, path: str, node: Collection[Any], name: str) -> str | None:
        """Return the key of the object that has a name."""
        if path not in self.keys:
            self.keys[path] = by_name(node, self.present.objects(path))
        return self.keys[path].get(folded(node, name))

    def _single_values(self) -> tuple[list[DescribedRequest], list[DescribedRequest], list[DescribedRequest]]:
        """Return the requests for single values and lists, and before and after them those for what they refer to parts of.

        What gains parts goes before, what loses some goes after.
        """
        before, between, after = [], [], []
        for request in self.replaced:
            to = self.parts.get(request.path.rpartition("/")[0])
            if to is None:
                between.append(request)
            elif parts.keys_in(to, self.present.value(request.path)) <= parts.keys_in(to, request.value):
                before.append(request)
            else:
                after.append(request)
        return before, between, after

    def _removed(self) -> Iterator[DescribedRequest]:
        """Yield the removals that ``prune`` asks for: who refers goes before who is referred to."""
        gone: dict[str, tuple[DescribedRequest, set[str]]] = {}
        for path, names in self.named.items() if self.prune else ():
            if not isinstance(node := self.tree[path].node, Collection):
                continue
            for key, body in self.present.objects(path).items():
                name = body.get(node.unique)
                if folded(node, name) not in names and key not in node.default:
                    href = f"{path}/{key}"
                    gone[href] = DescribedRequest("DELETE", href, label=f"{path}/{name}"), _targets(node, body)
        return removals(gone, self.problems)

    def _wrong(self, code: str, message: str, path: str, at: str = "") -> None:
        self.problems.append(Problem(code, message, at, path))


def _targets(node: Valued[Any], body: Any) -> set[str]:
    """Return the hrefs that a body refers to."""
    found: set[str] = set()
    mapped(node.model, body, lambda to, value, _at: found.add(f"{to.to}/{bare(value)}"))
    return found


def _same(node: Valued[Any], old: Any, new: Any) -> bool:
    """Whether two bodies mean the same once the server has brought them into their canonical form."""
    return not any(news(new)) and same(_canonical(node, old), _canonical(node, new))


def _canonical(node: Valued[Any], body: Any) -> Any:
    try:
        return node.document(check(node.adapter, body, strict=True).model).value
    except InvalidBody:  # the server will say what is wrong; what this machine does not know may be right there
        return body
