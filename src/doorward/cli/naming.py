"""References by name in place of keys, in both directions."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_interface
from typing import Any

from doorward.cli import outside
from doorward.cli.failures import Usage
from doorward.cli.parts import key_of
from doorward.cli.referring import At, mapped
from doorward.cli.remote import Remote
from doorward.tree.nodes import Collection, Valued
from doorward.tree.problems import pointer
from doorward.tree.references import RefersTo, RefersToPart
from doorward.tree.registry import Endpoint, Tree


def bare(value: Any) -> Any:
    """Return the key of a reference in either of its forms."""
    return value["key"] if isinstance(value, dict) and isinstance(value.get("key"), str) and value.keys() <= _PAIR else value


_PAIR = {"key", "meta"}


def keys_only(node: Valued[Any], body: Any) -> Any:
    """Return a body whose references are bare keys."""
    return mapped(node.model, body, lambda _to, value, _at: bare(value))


def with_names(node: Valued[Any], body: Any, remote: Remote) -> Any:
    """Return a body whose references are names, where objects have names."""

    def change(to: RefersTo, value: Any, _at: At) -> Any:
        key = bare(value)
        if not isinstance(key, str):
            return key
        if isinstance(to, RefersToPart):
            found = remote.parts(to)
            name = found.get(key, key)
            return name if key_of(found, name) == key else key
        return remote.name(to.to, key)

    return mapped(node.model, body, change)


def with_keys(tree: Tree, node: Valued[Any], body: Any, remote: Remote) -> Any:
    """Return a body whose references by name are keys, and where secrets that were given are made.

    What is no name stays, for the server to judge. Raises Usage.
    """
    named: dict[str, dict[Any, str]] = {}

    def change(to: RefersTo, value: Any, at: At) -> Any:
        if isinstance(value, dict) and outside.meant(value):
            return _made(remote, to.to, value, pointer(at))
        key, target = bare(value), tree.endpoints.get(to.to)
        if isinstance(to, RefersToPart) and isinstance(key, str):
            return key_of(remote.parts(to), key) or _no_address(key)
        if not isinstance(key, str) or target is None or not isinstance(target.node, Collection):
            return key
        objects = remote.objects(to.to)
        if to.to not in named:
            named[to.to] = by_name(target.node, objects)
        return key if key in objects else named[to.to].get(folded(target.node, key), key)

    return mapped(node.model, body, change)


def _made(remote: Remote, store: str, described: Mapping[str, Any], at: str) -> str:
    """Make a secret as it is described; return its key. Raises Usage."""
    if wrong := outside.problem(store, described):
        raise Usage(f"VALUE {at}: {wrong}" if at else f"VALUE: {wrong}")
    try:
        return remote.make(store, outside.body(outside.Outside(store, described)))
    except outside.NotFoundError as error:
        raise Usage(f"VALUE {at}: {error}" if at else f"VALUE: {error}") from None


def _no_address(text: str) -> str:
    """Return what is no address at all, for the server to judge. Raises Usage for an address."""
    try:
        ip_interface(text)
    except ValueError:
        return text
    raise Usage(f"{text} is no address of this node, or more than one; `doorward get network/nics` shows those that it has.")


def key_named(node: Collection[Any], objects: dict[str, Any], name: str) -> str | None:
    """Return the key of an object by its key or name."""
    if name in objects:
        return name
    return by_name(node, objects).get(folded(node, name))


def by_name(node: Collection[Any], objects: dict[str, Any]) -> dict[Any, str]:
    """Return the keys of objects by their folded names; the first of those that have the same."""
    return {folded(node, body.get(node.unique)): key for key, body in reversed(objects.items())}


def folded(node: Collection[Any], name: Any) -> Any:
    """Return a name in the form in which names of the collection are compared."""
    return name.casefold() if node.fold and isinstance(name, str) else name


def nameless(endpoint: Endpoint, body: Any) -> Any:
    """Return the body of an object without its name."""
    node = endpoint.node
    return {k: v for k, v in body.items() if k != node.unique} if isinstance(node, Collection) else body
