"""What the OpenAPI document says of the nodes of the configuration tree, made from their declarations."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from doorward.api.resources import ITEMS, META, Operation
from doorward.tree.nodes import Branch, Collection, ListSingleton, Node, Valued, WriteOnce
from doorward.tree.registry import Endpoint

_HREF = {"type": "string"}
_NODE_META = {
    "type": "object",
    "properties": {
        **META["properties"],  # type: ignore[dict-item]
        "first": _HREF,
        "last": _HREF,
        "next": {"type": ["string", "null"]},
        "previous": {"type": ["string", "null"]},
        "transaction": {"const": "/api/transaction"},
        "warnings": {"type": "array", "items": {"type": "object"}},
    },
    "required": ["first", "href", "last", "next", "parent", "previous", "remaining_seconds", "transaction"],
}
_LIST = {"type": "object", "properties": {"items": ITEMS, "meta": _NODE_META}, "required": ["items", "meta"]}
_REFUSED = (400, 403, 412)


@cache
def node_operations(endpoint: Endpoint, *, is_object: bool) -> Mapping[str, Operation]:
    """Return the operations of an endpoint, or of the objects below it."""
    node, title = endpoint.node, endpoint.node.title or endpoint.doc.partition("\n")[0].rstrip(".")
    methods = endpoint.object_methods if is_object else endpoint.methods
    answer = _LIST if not is_object and isinstance(node, (Branch, Collection)) else _single(_shown_schema(node))
    written = _written_schema(node)
    found: dict[str, Operation] = {}
    if "GET" in methods:
        found["GET"] = Operation(f"{title}: read.", answer, errors=(400, 403))
    if "PUT" in methods:
        found["PUT"] = Operation(f"{title}: replace.", answer, body=written, errors=_REFUSED)
    if "POST" in methods:
        made = _single(_shown_schema(node))
        body = {"anyOf": [written, written.get("items", {})]} if isinstance(node, ListSingleton) else written
        found["POST"] = Operation(f"{title}: add.", made, body=body, status=201, errors=_REFUSED)
    if "DELETE" in methods:
        found["DELETE"] = Operation(f"{title}: remove.", {"type": "object", "required": ["meta"]}, errors=_REFUSED)
    return found


def _single(body: Mapping[str, Any]) -> dict[str, Any]:
    properties = {"body": body, "key": {"type": "string"}, "meta": _NODE_META}
    return {"type": "object", "properties": properties, "required": ["body", "key", "meta"]}


def _written_schema(node: Node) -> dict[str, Any]:
    """Return the JSON schema of a written body; anything for endpoints that take nothing but their default."""
    if not isinstance(node, (Valued, WriteOnce)) or not node.supported:
        return {}
    return node.adapter.json_schema(mode="validation", ref_template="#/$defs/{model}")


def _shown_schema(node: Node) -> dict[str, Any]:
    return _written_schema(node) if isinstance(node, Valued) else {"type": "object"}
