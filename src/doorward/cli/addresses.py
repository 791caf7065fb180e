"""What PATH means on the command line.

A path is relative to ``/api/configuration``; an object is named by its key or by its name. A member follows after ``#`` with
``/`` between names, as in the API, or after ``.`` with ``.`` between names: ``management/webinterface.timeout``.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Any, Protocol

from msgspec import Struct
from pydantic import BaseModel

from doorward.cli.failures import CommandError, Usage
from doorward.cli.naming import key_named
from doorward.tree.nodes import Branch, Collection, Valued, WriteOnce
from doorward.tree.places import ROOT
from doorward.tree.registry import Endpoint, Tree


class ObjectNames(Protocol):
    """Who knows the objects of collections."""

    def objects(self, path: str) -> dict[str, Any]:
        """Return the objects of a collection by key."""


class ResourceAddress(Struct, frozen=True):
    """An endpoint, an object of it if ``key`` is not empty, and a place in the body if ``member`` is not empty."""

    endpoint: Endpoint
    key: str = ""
    member: tuple[str, ...] = ()

    @property
    def href(self) -> str:
        """The href of the resource."""
        return f"{self.endpoint.path}/{self.key}" if self.key else self.endpoint.path

    @property
    def has_body(self) -> bool:
        """Whether the resource has a body of its own, other than branches, collections and stores."""
        return bool(self.key) or self.endpoint.node.has_body


def locate(tree: Tree, objects: ObjectNames, text: str) -> ResourceAddress:
    """Return what a path leads to. Raises Usage where the tree has nothing there, Failure where an object does not exist."""
    resource, mark, inner = text.partition("#")
    member = tuple(part.replace("~1", "/").replace("~0", "~") for part in inner.strip("/").split("/")) if inner.strip("/") else ()
    segments = [part for part in resource.removeprefix(ROOT).split("/") if part]
    endpoint = tree.root
    for index, segment in enumerate(segments):
        if (child := endpoint.children.get(segment)) is not None:
            endpoint = child
            continue
        last = index == len(segments) - 1
        if endpoint.holds_objects:
            rest = "/".join(segments[index:])  # a name may hold slashes
            return _object(endpoint, objects, rest, member, dotted=not mark)
        name, dot, dots = segment.partition(".")
        if last and dot and not mark and name in endpoint.children:
            return _valued(ResourceAddress(endpoint.children[name], "", tuple(dots.split("."))), text)
        raise Usage(_nothing(tree, text, endpoint, segment))
    return _valued(ResourceAddress(endpoint, "", member), text)


def _valued(address: ResourceAddress, text: str) -> ResourceAddress:
    if address.member and not address.has_body:
        raise Usage(f"{text}: only single values, lists and objects have members.")
    return address


def _object(endpoint: Endpoint, objects: ObjectNames, rest: str, member: tuple[str, ...], *, dotted: bool) -> ResourceAddress:
    """Find an object whose name may hold dots: the longest one that exists wins."""
    node = endpoint.node
    if isinstance(node, WriteOnce):  # keys without dots, and no list of them
        key, _, dots = rest.partition(".")
        return ResourceAddress(endpoint, key, tuple(dots.split(".")) if dots and dotted else member)
    if not isinstance(node, Collection):
        raise Usage(f"{endpoint.path.removeprefix(ROOT + '/')} holds no objects.")
    parts = rest.split(".")
    for length in range(len(parts), 0, -1):
        found = key_named(node, objects.objects(endpoint.path), ".".join(parts[:length]))
        if found is not None:
            return ResourceAddress(endpoint, found, tuple(parts[length:]) or member)
        if not dotted:
            break
    raise CommandError(f"{endpoint.path.removeprefix(ROOT + '/')} has no object {rest}.")


def _nothing(tree: Tree, text: str, above: Endpoint, segment: str) -> str:
    if isinstance(above.node, Valued):
        return f"{text}: members follow after a dot or #, as in {above.path.removeprefix(ROOT + '/')}.{segment}."
    known = [endpoint.path.removeprefix(ROOT + "/") for endpoint in tree]
    near = difflib.get_close_matches(text.strip("/"), known, n=1)
    return f"There is no {text}.{f' Did you mean {near[0]}?' if near else ''}"


def completions(tree: Tree, incomplete: str) -> Iterator[tuple[str, str]]:
    """Yield paths, and members of single values, that begin as given, each with a line of help."""
    typed = incomplete.removeprefix(ROOT).lstrip("/")
    prefix = incomplete[: len(incomplete) - len(typed)]
    stem, dot, _ = typed.partition(".")
    for endpoint in tree:
        path = endpoint.path.removeprefix(ROOT).lstrip("/")
        node = endpoint.node
        if (
            dot
            and path == stem
            and isinstance(node, Valued)
            and isinstance(node.model, type)
            and issubclass(node.model, BaseModel)
        ):
            for name, field in node.model.model_fields.items():
                if f"{path}.{name}".startswith(typed):
                    yield f"{prefix}{path}.{name}", field.description or ""
        elif path.startswith(typed) and not isinstance(node, Branch):
            yield f"{prefix}{path}", node.title or endpoint.doc.partition("\n")[0]
