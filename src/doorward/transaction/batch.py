"""Single changes of a list, each put into a candidate as a write of its own would be."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import replace

from doorward.transaction.candidate import Candidate
from doorward.tree.jsontext import encode
from doorward.tree.nodes import Warnings
from doorward.tree.problems import InvalidBody, SemanticError
from doorward.tree.references import NEW
from doorward.tree.registry import Endpoint, Tree


class BatchChange(Struct, frozen=True):
    """A write: its method and what it brings. ``strict``: unknown members of the body are problems."""

    method: Literal["DELETE", "POST", "PUT"]
    body: Any
    strict: bool = False


def mentions(body: Any, identifier: str = "") -> bool:
    """Whether a body can refer to an object that an earlier change makes; with an identifier, to that one."""
    return f'"{NEW}{identifier}{chr(34) if identifier else ""}'.encode() in encode(body)


def ahead(endpoint: Endpoint, change: BatchChange) -> BatchChange:
    """Return the change with what its node makes of the body, where that takes its time and needs no candidate.

    What is wrong with the body is left for ``write`` to say. Blocks.
    """
    maker = endpoint.node.maker
    if maker is None or change.method == "DELETE" or mentions(change.body):
        return change
    try:
        return replace(change, body=maker(change.body, strict=change.strict))
    except (InvalidBody, SemanticError):
        return change


def write(tree: Tree, candidate: Candidate, endpoint: Endpoint, key: str, change: BatchChange) -> tuple[str, Warnings]:
    """Put a change into a candidate. Returns the key of the object that it made, or else ``key``, and warnings.

    Raises InvalidBody or SemanticError; then the candidate is as before.
    """
    node = endpoint.node
    match change.method:
        case "DELETE":
            node.delete(candidate, key, tree.node)
            return key, ()
        case "PUT":
            return key, node.replace(candidate, key, change.body, strict=change.strict)
        case "POST":
            made, warnings = node.add(candidate, change.body, strict=change.strict)
            return made or key, warnings
