"""What the OpenAPI document says of the nodes of the configuration tree, made from their declarations."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache, singledispatch
from typing import Any

from msgspec.structs import replace

from doorward.api.past import PARAMETERS
from doorward.api.resources import HREF, ITEMS, META, TIME, WARNINGS, Operation
from doorward.tree.changes import ORDER
from doorward.tree.nodes import ListSingleton, Node, WriteOnce
from doorward.tree.references import COMPONENT
from doorward.tree.registry import Endpoint
from doorward.tree.titles import title_of

_OTHER = {"type": ["string", "null"]}
_META_MEMBERS: Mapping[str, Any] = {
    **META["properties"],
    "first": HREF,
    "last": HREF,
    "next": _OTHER,
    "previous": _OTHER,
    "transaction": {"type": "string", "const": "/api/transaction"},
    "blame": {
        "type": "object",
        "description": "Where asked for: by JSON pointer, the revision that set each place of the body.",
        "additionalProperties": {
            COMPONENT: "Blame",
            "type": "object",
            "properties": {"author": {"type": "string"}, "revision": {"type": "integer", "minimum": 1}, "time": TIME},
            "required": ["author", "revision", "time"],
        },
    },
    "revision": {"type": "integer", "minimum": 1, "description": "Where the past is asked for: the revision that is shown."},
}
_REQUIRED = ["first", "href", "last", "next", "parent", "previous", "remaining_seconds", "transaction"]
_NODE_META = {
    COMPONENT: "NodeMeta", "type": "object", "properties": _META_MEMBERS, "required": _REQUIRED,
}  # fmt: skip
_GONE_META = {
    COMPONENT: "RemovedMeta",
    "type": "object",
    "properties": {"href": HREF, "parent": HREF, "transaction": HREF, "warnings": WARNINGS},
    "required": ["href", "parent", "transaction"],
}
_REMOVED = {"type": "object", "properties": {"meta": _GONE_META}, "required": ["meta"]}
_ORDER = {
    "type": "object",
    "properties": {
        ORDER: {"type": "array", "items": {"type": "string"}, "uniqueItems": True, "description": "All keys in order."}
    },
    "required": [ORDER],
    "additionalProperties": False,
}
_LATER = "Not honoured by this release yet: it shows its default, takes that same body back and refuses every other one."
_READ_ONLY = "This release only shows it."
_REFUSED = (400, 403, 412)


@cache
def node_operations(endpoint: Endpoint, *, is_object: bool) -> Mapping[str, Operation]:
    """Return the operations of an endpoint, or of the objects below it."""
    node, title = endpoint.node, endpoint.node.title or endpoint.doc.partition("\n")[0].rstrip(".")
    methods = endpoint.object_methods if is_object else endpoint.methods
    about, name = about_node(endpoint), _name(endpoint)
    written, answer = _written_schema(node), _answer(endpoint, is_object=is_object)
    matched = ("If-Match",) if node.is_conditional else ()
    taken = Operation(
        "", answer, body=written, errors=_REFUSED, description=about, headers=("Prefer", *matched),
        sends=("ETag", "Preference-Applied"), body_name=name if "properties" in written else "",
    )  # fmt: skip
    found: dict[str, Operation] = {}
    if "GET" in methods:
        found["GET"] = Operation(
            f"{title}: read.", answer, errors=(400, 403), description=about, headers=("If-None-Match",), sends=("ETag",),
            query=PARAMETERS,
        )  # fmt: skip
    if "PUT" in methods:
        found["PUT"] = replace(taken, summary=f"{title}: replace.")
        if node.is_ordered and not is_object:
            found["PUT"] = replace(taken, summary=f"{title}: put in order.", body=_ORDER, body_name=f"{name}Order")
    if "POST" in methods:
        added = _answer(endpoint, is_object=endpoint.holds_objects)
        found["POST"] = _adding(node, replace(taken, summary=f"{title}: add.", answer=added, status=201), written)
    if "DELETE" in methods:
        found["DELETE"] = Operation(f"{title}: remove.", _REMOVED, errors=_REFUSED, headers=("If-Match",), description=about)
    return found


@singledispatch
def _adding(_node: Node, adding: Operation, _written: dict[str, Any]) -> Operation:
    """Return how something is added to a node: as it is replaced, where nothing else is said of its kind."""
    return adding


@_adding.register(ListSingleton)
def _(_node: ListSingleton[Any], adding: Operation, written: dict[str, Any]) -> Operation:
    """A list takes one element or a list of them."""
    if not written:
        return adding
    one = {"anyOf": [{k: v for k, v in written.items() if k != "$defs"}, written["items"]], **_defs(written)}
    return replace(adding, body=one, body_name="")


def about_node(endpoint: Endpoint) -> str:
    """Return what the manual says of an endpoint, and whether this release honours it."""
    node = endpoint.node
    if not node.supported:
        return f"{endpoint.doc}\n\n{_LATER}"
    return f"{endpoint.doc}\n\n{_READ_ONLY}" if node.is_only_shown else endpoint.doc


def node_hints(endpoint: Endpoint) -> dict[str, Any]:
    """Return what a page of an endpoint needs to know beside its schemas."""
    node = endpoint.node
    return {
        "built_in": sorted(node.built_in),
        "kind": node.kind,
        "listed": node.listed,
        "ordered": node.is_ordered,
        "privilege": endpoint.privilege,
        "scope": node.scope,
        "supported": node.supported,
        "title": node.title or title_of(endpoint.key),
        "writable": node.supported and bool({"POST", "PUT"} & {*endpoint.methods}),
    }


def _name(endpoint: Endpoint) -> str:
    """Return the name of the component that bodies of an endpoint are."""
    words = re.findall(r"[A-Za-z0-9]+", endpoint.path.removeprefix("/api/configuration"))
    return "".join(word.capitalize() for word in words) or "Configuration"


def _defs(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"$defs": schema["$defs"]} if "$defs" in schema else {}


def _answer(endpoint: Endpoint, *, is_object: bool) -> dict[str, Any]:
    """Return the schema of what GET answers."""
    node, name = endpoint.node, _name(endpoint)
    about: dict[str, Any] = _NODE_META
    if node.links:
        links = dict.fromkeys(node.links, HREF)
        about = {**_NODE_META, COMPONENT: f"{name}Meta", "properties": {**_META_MEMBERS, **links}}
    if not is_object and node.shows_items:
        return {
            COMPONENT: f"{name}List" if node.links else "NodeList",
            "type": "object",
            "properties": {"items": ITEMS, "meta": about},
            "required": ["items", "meta"],
        }
    body = _shown_schema(node)
    if "properties" in body:  # generators want only objects by name
        body = {**body, COMPONENT: f"{name}Shown"}
    properties = {"body": body, "key": {"type": "string"}, "meta": about}
    whole = {"type": "object", "properties": properties, "required": ["body", "key", "meta"], **_defs(body)}
    body.pop("$defs", None)
    return {COMPONENT: f"{name}Answer", **whole}


def _written_schema(node: Node) -> dict[str, Any]:
    """Return the JSON schema of a written body; anything for endpoints that take nothing but their default."""
    if node.written is None:
        return {}
    return node.written.json_schema(mode="validation", ref_template="#/$defs/{model}")


@singledispatch
def _shown_schema(node: Node) -> dict[str, Any]:
    """Return the JSON schema of a body as GET shows it."""
    return _written_schema(node)


@_shown_schema.register(WriteOnce)
def _(_node: WriteOnce[Any]) -> dict[str, Any]:
    """A store shows what is public of a secret."""
    return {"type": "object"}
