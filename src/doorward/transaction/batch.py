"""Single changes of a list, each put into a candidate as a write of its own would be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from doorward.transaction import writing
from doorward.transaction.candidate import Candidate
from doorward.tree.jsontext import encode
from doorward.tree.nodes import ListSingleton, Singleton, WriteOnce
from doorward.tree.problems import InvalidBody, SemanticError
from doorward.tree.references import NEW
from doorward.tree.registry import Endpoint, Tree


@dataclass(frozen=True, slots=True)
class Change:
    """A write: its method and what it brings. ``strict``: unknown members of the body are problems."""

    method: Literal["DELETE", "POST", "PUT"]
    body: Any
    strict: bool = False


def mentions(body: Any, identifier: str = "") -> bool:
    """Whether a body can refer to an object that an earlier change makes; with an identifier, to that one."""
    return f'"{NEW}{identifier}{chr(34) if identifier else ""}'.encode() in encode(body)


def ahead(endpoint: Endpoint, key: str, change: Change) -> Change:
    """Return the change with what its node makes of the body, where that takes its time and needs no candidate.

    What is wrong with the body is left for ``write`` to say. Blocks.
    """
    node = endpoint.node
    try:
        if isinstance(node, WriteOnce) and change.method == "POST":
            return Change("POST", writing.make(endpoint, change.body, strict=change.strict), change.strict)
        if isinstance(node, Singleton) and node.make is not None and change.method == "PUT" and not mentions(change.body):
            return Change("PUT", writing.prepared(endpoint, key, change.body, strict=change.strict), change.strict)
    except (InvalidBody, SemanticError):
        pass
    return change


def write(tree: Tree, candidate: Candidate, endpoint: Endpoint, key: str, change: Change) -> tuple[str, writing.Warnings]:
    """Put a change into a candidate. Returns the key of the object that it made, or else ``key``, and warnings.

    Raises InvalidBody or SemanticError; then the candidate is as before.
    """
    if change.method == "DELETE":
        writing.delete(tree, candidate, endpoint, key)
        return key, ()
    if change.method == "PUT":
        return key, writing.replace_body(candidate, endpoint, key, change.body, strict=change.strict)
    if isinstance(endpoint.node, ListSingleton):
        return key, writing.append(candidate, endpoint, change.body, strict=change.strict)
    if isinstance(change.body, writing.Made):
        return writing.keep(candidate, endpoint, change.body)
    return writing.create(candidate, endpoint, change.body, strict=change.strict)
