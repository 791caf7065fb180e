"""The nodes of a cluster and how they are, for people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.markup import escape
from rich.table import Table

from doorward.cli.render import local_time
from doorward.cli.session import CommandSession
from doorward.client.errors import ApiRefusedError
from doorward.tree.plaintext import plain

_CLUSTER = "/api/cluster"


def answered(session: CommandSession) -> Any:
    """Return what the API answers: the status of the nodes, or how far this node's request to join is."""
    try:
        return session.client.get(f"{_CLUSTER}/status").content
    except ApiRefusedError as refused:
        if refused.type != "NotFound":
            raise
        return session.client.get(f"{_CLUSTER}/join_request").content


def shown(session: CommandSession) -> Iterator[Table | str]:
    """Yield the table of the nodes, then what is wrong with them."""
    try:
        answer = session.client.get(f"{_CLUSTER}/status").content
    except ApiRefusedError as refused:
        if refused.type != "NotFound":
            raise
        yield f"This node: {session.client.get(f'{_CLUSTER}/join_request').content['status']}."
        return
    roles = {item["key"]: item["body"] for item in session.client.get(f"{_CLUSTER}/nodes").content["items"]}
    table = Table(box=None, header_style="bold", pad_edge=False)
    for head in ("NODE", "ADDRESS", "ROLES", "STATUS", "CONFIGURATION", "VERIFIED", "LAST SEEN", "VERSION"):
        table.add_column(head, overflow="fold")
    notes: list[str] = []
    for item in answer["items"]:
        body = roles.get(item["key"], {"address": "", "roles": []})
        table.add_row(*(escape(plain(cell)) for cell in _row(item, body, answer)))
        notes += [escape(plain(note)) for note in _notes(item)]
    yield table
    if (central := answer.get("central_management")) and not central["reachable"]:
        last = f" It did at {local_time(central['last_contact'])}." if central["last_contact"] else ""
        notes.append(escape(plain(f"Central Management at {central['address']} does not answer: {central['reason']}.{last}")))
    yield from notes


def _row(item: dict[str, Any], body: dict[str, Any], answer: dict[str, Any]) -> list[str]:
    own = " (this node)" if answer["meta"]["self"].endswith(item["key"]) else ""
    seen = local_time(item.get("last_seen"))
    return [
        f"{item['fqdn'] or item['key']}{own}", body["address"], ", ".join(body["roles"]) or "-", item["status"],
        item["sync_status"], _verified(item), seen, item["version"] or "-",
    ]  # fmt: skip


def _verified(item: dict[str, Any]) -> str:
    """Return which cluster revision a managed host has applied and proven, and when."""
    applied = item.get("configuration_sync", {}).get("applied")
    return "-" if applied is None else f"{applied['number']} at {local_time(item['configuration_sync']['last_updated'])}"


def _notes(item: dict[str, Any]) -> Iterator[str]:
    issues = item.get("configuration_sync", item).get("issues", {})
    for kind in ("errors", "warnings"):
        for issue in issues.get(kind, []):
            places = f" ({', '.join(issue['paths'])})" if issue["paths"] else ""
            yield f"{item['fqdn'] or item['key']}: {issue['message']}{places}"
