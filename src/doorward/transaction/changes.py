"""Changes as the wire shows them: place by place, sorted by path (protocol, section 8.5)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from doorward.store.port import Edit
from doorward.transaction.edits import DocumentEdit
from doorward.tree.changes import MISSING, Difference, differences
from doorward.tree.jsontext import decode_own
from doorward.tree.nodes import arranges
from doorward.tree.problems import pointer
from doorward.tree.registry import Tree


def as_changes(tree: Tree, edits: Iterable[Edit]) -> list[dict[str, Any]]:
    """Return the changes of some edits. Values are as GET shows them; secrets are not in documents."""
    changes: list[dict[str, Any]] = []
    for edit in edits:
        old, new = _shown(tree, edit)
        if _is_order(tree, edit):
            before, after = ([] if order is MISSING else order for order in (old, new))
            if before != after:
                changes.append(as_change(edit.place.href, Difference("reorder", (), before, after)))
            continue
        shape = tree.shape(edit.place.path)
        changes.extend(as_change(edit.place.href, difference) for difference in differences(old, new, shape))
    return sorted(changes, key=lambda change: str(change["path"]))


def _is_order(tree: Tree, edit: Edit) -> bool:
    """Whether an edit changes the order of a collection."""
    endpoint = tree.endpoints.get(edit.place.path)
    return endpoint is not None and arranges(endpoint.node, edit.place)


def _shown(tree: Tree, edit: Edit) -> tuple[Any, Any]:
    """Return both bodies of an edit as they are shown."""
    if isinstance(edit, DocumentEdit):
        return edit.before.shown_value if edit.before else MISSING, edit.after.shown_value if edit.after else MISSING
    return _shown_body(tree, edit, edit.old), _shown_body(tree, edit, edit.new)


def _shown_body(tree: Tree, edit: Edit, body: bytes | None) -> Any:
    if body is None:
        return MISSING
    value = decode_own(body)
    try:
        return tree.load(edit.place, value).shown_value if edit.place.path in tree.endpoints else value
    except ValueError:  # an old revision that this release would not take any more
        return value


def as_change(href: str, difference: Difference) -> dict[str, Any]:
    """Return one difference in the body of a resource."""
    path = href + ("#" + pointer(difference.at)[1:] if difference.at else "")
    if difference.kind == "reorder":
        return {"new_order": difference.new, "old_order": difference.old, "path": path, "type": "reorder"}
    values = {"new_value": difference.new, "old_value": difference.old}
    present = {name: value for name, value in values.items() if value is not MISSING}
    return {**present, "path": path, "type": difference.kind}
