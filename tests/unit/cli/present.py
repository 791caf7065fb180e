"""A configuration in memory: what `doorward apply` compares with, and what carries its requests out."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import doorward.configuration
from doorward.cli.described import DescribedPlan, DescribedRequest, New, depends_on
from doorward.cli.outside import Outside
from doorward.host.machine import Machine
from doorward.tree.nodes import Collection, ListSingleton, Singleton, Valued
from doorward.tree.registry import Tree, discover
from doorward.tree.validation import check

GROUPS = "/api/configuration/aaa/local_database/groups"


@cache
def tree() -> Tree:
    return discover(doorward.configuration)


@dataclass
class Memory:
    """As the API shows it: references expanded, but not inside the items of collections."""

    values: dict[str, Any] = field(default_factory=dict)
    collections: dict[str, dict[str, Any]] = field(default_factory=dict)
    made: int = 0

    @classmethod
    def fresh(cls) -> Memory:
        found = cls()
        for endpoint in tree():
            match endpoint.node:
                case Collection(default=default):
                    found.collections[endpoint.path] = copy.deepcopy(dict(default))
                case Singleton(default=default) | ListSingleton(default=default):
                    found.values[endpoint.path] = default(Machine()) if callable(default) else copy.deepcopy(default)
                case _:
                    pass
        return found

    def value(self, path: str) -> Any:
        return self.values[path]

    def objects(self, path: str) -> dict[str, Any]:
        return self.collections[path]

    def named(self, path: str) -> dict[str, Any]:
        return {body["name"]: body for body in self.collections[path].values()}

    def carry_out(self, plan: DescribedPlan) -> None:
        """As the server does, in order: every reference must lead somewhere by then."""
        assert plan.problems == ()
        keys: dict[New, str] = {}
        for request in plan.requests:
            assert depends_on(request) <= keys.keys()
            self._one(request, keys)

    def _one(self, request: DescribedRequest, keys: dict[New, str]) -> None:
        path, _, key = request.path.rpartition("/")
        if isinstance(request.value, Outside):
            self._made(request, keys)
        elif request.method == "DELETE":
            node = tree()[path].node
            assert isinstance(node, Collection)
            for group in self.collections[GROUPS].values() if node.cascade else ():
                group["members"] = [member for member in group["members"] if member != key]
            href = f"{path}/{key}"
            assert not any(href in self.targets(p, body) for p, body in self.everything()), f"{href} is still used"
            del self.collections[path][key]
        elif request.method == "POST":
            self.collections[request.path][self._made(request, keys)] = self.stored(request.path, request.value, keys)
        elif request.path in self.values:
            self.values[request.path] = self.stored(request.path, request.value, keys, expanded=True)
        else:
            assert key in self.collections[path]
            self.collections[path][key] = self.stored(path, request.value, keys)

    def _made(self, request: DescribedRequest, keys: dict[New, str]) -> str:
        assert request.makes is not None
        self.made += 1
        keys[request.makes] = f"{self.made:022x}"
        return keys[request.makes]

    def everything(self) -> Iterable[tuple[str, Any]]:
        yield from self.values.items()
        for path, objects in self.collections.items():
            for body in objects.values():
                yield path, body

    @staticmethod
    def targets(path: str, body: Any) -> frozenset[str]:
        node = tree()[path].node
        assert isinstance(node, Valued)
        return frozenset(reference.href for reference in node.load(body).references) if node.supported else frozenset()

    @staticmethod
    def stored(path: str, value: Any, keys: dict[New, str], *, expanded: bool = False) -> Any:
        node = tree()[path].node
        assert isinstance(node, Valued)
        document = node.document(check(node.adapter, resolved(value, keys), strict=True).model)
        return document.shown_value if expanded else document.value


def resolved(value: Any, keys: dict[New, str]) -> Any:
    if isinstance(value, New):
        return keys[value]
    if isinstance(value, dict):
        return {name: resolved(member, keys) for name, member in value.items()}
    return [resolved(element, keys) for element in value] if isinstance(value, list) else value
