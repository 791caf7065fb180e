"""``doorward reference``: the manual of every configuration node, made from the declarations."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import doorward.configuration
from doorward.tree.nodes import Branch, Collection, Valued
from doorward.tree.registry import Endpoint, discover
from doorward.tree.titles import title_of

KINDS = {
    "branch": "branch",
    "collection": "collection of objects",
    "list": "list",
    "store": "write-once store",
    "value": "single value",
}
"""How the manual calls what nodes are (`Node.kind`)."""


def manual() -> str:
    """Return the whole manual as Markdown."""
    tree = discover(doorward.configuration)
    lines = [
        "# Reference: the configuration tree",
        "",
        "Made by `make docs` from the declarations under `src/doorward/configuration`; change it there.",
        "",
        "An endpoint marked *shown only* answers its default and refuses every other body in this release.",
        "",
    ]
    for endpoint in tree:
        lines.extend(_section(endpoint))
    return "\n".join(lines)


def _section(endpoint: Endpoint) -> Iterator[str]:
    node = endpoint.node
    yield f"## {endpoint.path}"
    yield ""
    yield endpoint.doc
    yield ""
    marks = [KINDS[node.kind], f"methods {', '.join(endpoint.methods)}"]
    if endpoint.holds_objects:
        marks.append(f"objects {', '.join(endpoint.object_methods)}")
    marks += [f"guarded by `{endpoint.privilege}`", f"scope {node.scope}"]
    if not isinstance(node, Branch):
        marks.append("shown only" if node.is_only_shown else "in effect")
    if not node.listed:
        marks.append("not listed by its parent")
    yield "*" + "; ".join(marks) + "*"
    yield ""
    if node.written is not None and not node.is_only_shown:
        yield from _members(node.written.json_schema())
    if isinstance(node, Valued):
        yield from _default(node)


def _members(schema: dict[str, Any]) -> Iterator[str]:
    rows = list(members(schema))
    if rows:
        yield "| member | title | type | default | meaning |"
        yield "|---|---|---|---|---|"
        for row in rows:
            yield f"| `{row['member']}` | {row['title']} | {row['type']} | {row['default']} | {row['meaning']} |"
        yield ""


def members(schema: dict[str, Any]) -> Iterator[dict[str, str]]:
    """Yield what the schema of a body says about its members: member, title, type, default, meaning."""
    yield from _rows(schema, schema.get("$defs", {}), "")


def _rows(schema: dict[str, Any], definitions: dict[str, Any], prefix: str) -> Iterator[dict[str, str]]:
    schema = _resolved(schema, definitions)
    if schema.get("type") == "array":
        yield from _rows(schema["items"], definitions, f"{prefix}[].")
    optional = [option for option in schema.get("anyOf", []) if "oneOf" in _resolved(option, definitions)]
    for variant in (*schema.get("oneOf", []), *optional):
        yield from _rows(variant, definitions, prefix)
    if isinstance(entries := schema.get("additionalProperties"), dict):
        found = _resolved(entries, definitions)
        yield _row(f"{prefix}<id>", "–", _type(found, definitions), "–", str(found.get("description", "An entry.")))
        yield from _rows(found, definitions, f"{prefix}<id>.")
    for name, member in schema.get("properties", {}).items():
        found = _resolved(member, definitions)
        default = json.dumps(member["default"]) if "default" in member else "required"
        if name not in schema.get("required", []) and "default" not in member:
            default = "empty"
        meaning = str(member.get("description") or found.get("description", "")).replace("\n", " ")
        yield _row(f"{prefix}{name}", title_of(name), _type(found, definitions), default, meaning)
        inside = "" if "items" in found else "."
        yield from _rows(found, definitions, f"{prefix}{name}{inside}")


def _row(member: str, title: str, kind: str, default: str, meaning: str) -> dict[str, str]:
    return {"default": default, "meaning": meaning, "member": member, "title": title, "type": kind}


def _resolved(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in schema:
        schema = {**definitions[schema["$ref"].rpartition("/")[2]], **{k: v for k, v in schema.items() if k != "$ref"}}
    return schema


def _type(schema: dict[str, Any], definitions: dict[str, Any]) -> str:
    if "const" in schema:
        return f"`{json.dumps(schema['const'])}`"
    if "enum" in schema:
        return " or ".join(f"`{json.dumps(value)}`" for value in schema["enum"])
    if "oneOf" in schema:
        return "object, in one of the forms below"
    if "anyOf" in schema:
        kinds = [_type(_resolved(option, definitions), definitions) for option in schema["anyOf"]]
        return " or ".join(dict.fromkeys("reference" if kind == "object" else kind for kind in kinds))
    if schema.get("type") == "array":
        return f"list of {_type(_resolved(schema['items'], definitions), definitions)}"
    limits = [f"{word} {schema[key]}" for key, word in _LIMITS.items() if key in schema]
    return ", ".join([str(schema.get("type", "any")), *limits])


_LIMITS = {"minimum": "from", "maximum": "to", "minLength": "at least", "maxLength": "at most"}


def _default(node: Valued[Any]) -> Iterator[str]:
    default = getattr(node, "default", None)
    if isinstance(node, Collection) and not default:
        yield "Empty on a fresh appliance."
    elif callable(default):
        yield "On a fresh appliance: as the machine has it."
    else:
        yield "On a fresh appliance:"
        yield ""
        yield "```json"
        yield json.dumps(default, indent=1, ensure_ascii=False)
        yield "```"
    yield ""
