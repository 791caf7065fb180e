"""References to addresses of network interfaces, by the address in place of the key, in both directions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from doorward.tree.references import RefersToPart
from doorward.tree.registry import Tree

Read = Callable[[str], Any]
"""Gives the body of a single value by its path."""


def names(tree: Tree, to: RefersToPart, read: Read) -> dict[str, str]:
    """Return what can be referred to, by key: an address without its prefix."""
    found: dict[str, str] = {}
    for name, endpoint in tree[to.to].children.items():
        for key, value in _leaves(read(endpoint.path), to.steps):
            found[f"{name}.{key}"] = str(value).partition("/")[0]
    return found


def key_of(found: dict[str, str], name: str) -> str | None:
    """Return the key behind a name, or the key itself; None where no part, or more than one, has the name."""
    if name in found:
        return name
    keys = [key for key, other in found.items() if other == name.partition("/")[0]]
    return keys[0] if len(keys) == 1 else None


def keys_in(to: RefersToPart, body: Any) -> set[str]:
    """Return what can be referred to in the body of one single value: the keys without its name."""
    return {key for key, _ in _leaves(body, to.steps)}


def _leaves(body: Any, steps: Sequence[str | None]) -> Iterator[tuple[str, Any]]:
    if not steps:
        yield "", body
        return
    step, *further = steps
    if isinstance(body, dict):
        for member in body if step is None else [step]:
            if member in body and not member.startswith("@"):
                for key, value in _leaves(body[member], further):
                    yield f"{member}.{key}".rstrip("."), value
