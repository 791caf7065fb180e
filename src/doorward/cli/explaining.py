"""What the declarations say about a place: for ``doorward explain``. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from doorward.cli.reference import KINDS, members
from doorward.cli.render import OutputLine
from doorward.cli.yamltext import dump
from doorward.tree.nodes import Collection
from doorward.tree.places import ROOT
from doorward.tree.registry import Endpoint, Tree


def explained(tree: Tree, path: str) -> dict[str, Any] | None:
    """Return what is known about an endpoint, of its members only those at or below the place that the path names.

    None where there is nothing.
    """
    resource, mark, inner = path.strip("/").removeprefix(ROOT.strip("/")).strip("/").partition("#")
    at = [part for part in inner.split("/") if part]
    if not mark and (dot := resource.find(".", resource.rfind("/") + 1)) >= 0:
        resource, at = resource[:dot], resource[dot + 1 :].split(".")
    endpoint = tree.endpoints.get(f"{ROOT}/{resource}".rstrip("/"))
    if endpoint is None:  # perhaps an object
        endpoint = tree.endpoints.get(f"{ROOT}/{resource.rpartition('/')[0]}")
        if endpoint is None or not isinstance(endpoint.node, Collection):
            return None
    found = _endpoint(endpoint)
    if at:
        wanted = ".".join(at)
        rows = [row for row in found["members"] if _leads(row["member"], wanted)]
        if not rows:
            return None
        found = {**found, "members": rows}
    return found


def _leads(member: str, wanted: str) -> bool:
    """Whether a member stands at or below a place; ids of entries and indices stand for any."""
    have, want = member.replace("[]", ".<n>").split("."), wanted.split(".")
    if len(have) < len(want):
        return False
    return all(part == other or part.startswith("<") for part, other in zip(have, want, strict=False))


def _endpoint(endpoint: Endpoint) -> dict[str, Any]:
    node = endpoint.node
    supported = not node.is_only_shown
    return {
        "path": endpoint.path,
        "title": node.title,
        "kind": KINDS[node.kind],
        "methods": list(endpoint.methods)
        + ([f"{m} on objects" for m in endpoint.object_methods] if endpoint.holds_objects else []),
        "privilege": endpoint.privilege,
        "scope": node.scope,
        "honoured": supported,
        "description": endpoint.doc,
        "children": [child.path for child in endpoint.children.values()],
        "members": list(members(node.written.json_schema())) if node.written is not None and supported else [],
        "default": _default(node),
    }


def _default(node: Any) -> Any:
    default = getattr(node, "default", None)
    if callable(default):
        return "as the machine has it"
    return {key: dict(body) for key, body in default.items()} if isinstance(node, Collection) and default else default


def lines(found: dict[str, Any]) -> Iterator[OutputLine]:
    """Yield what is known, for people."""
    title = f": {found['title']}" if found["title"] else ""
    yield OutputLine(f"{found['path']}{title}", "bold")
    yield OutputLine("")
    yield from (OutputLine(_plain(text)) for text in found["description"].splitlines())
    yield OutputLine("")
    yield OutputLine(f"Kind:       {found['kind']}{'' if found['honoured'] else ', only shown by this release'}")
    yield OutputLine(f"Scope:      {_SCOPES[found['scope']]}")
    yield OutputLine(f"Privilege:  {found['privilege']}")
    yield OutputLine(f"Methods:    {', '.join(found['methods'])}")
    if found["children"]:
        yield OutputLine("Below it:")
        yield from (OutputLine(f"  {path.removeprefix(ROOT + '/')}") for path in found["children"])
    if found["members"]:
        yield OutputLine("Members:")
        for row in found["members"]:
            yield OutputLine(f"  {row['member']}  ({_plain(row['type'])}, {_given(row['default'])})", "cyan")
            yield OutputLine(f"      {': '.join(filter(None, (row['title'].strip('–'), _plain(row['meaning']))))}")
    if found["default"] not in (None, {}):
        yield OutputLine("On a fresh appliance:")
        yield from (OutputLine(f"  {text}") for text in dump(found["default"]).splitlines())


def _plain(text: str) -> str:
    """Return a text without the marks for code, which are for documents: in a terminal they are noise."""
    return text.replace("`", "")


def _given(default: str) -> str:
    return default if default in {"required", "empty"} else f"default {default}"


_SCOPES = {
    "cluster": "cluster: on a managed host it comes from Central Management",
    "node": "node: every node has its own",
    "owner": "owner: it belongs to what refers to it",
}
