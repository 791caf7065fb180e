"""Sessions as ``/api/audit`` shows them (sessions contract, section 10): nested bodies, chosen fields, lines of CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from doorward.api.audit.service import session_href
from doorward.sessions.catalogue.results import Found
from doorward.sessions.catalogue.rows import Peer, TrailArchive

COLUMNS: Final = (
    "session_id", "protocol", "active", "verdict", "start_time", "end_time", "duration", "user.name", "user.gateway_username",
    "user.server_username", "client.ip", "client.name", "client.port", "server.ip", "server.name", "server.port",
    "recording.connection_policy", "recording.channel_policy", "recording.auth_method", "recording.target.ip",
    "recording.target.port", "recording.deny_reason", "recording.index_status", "recording.archived", "node_id", "key",
)  # fmt: skip
"""Columns of a CSV that was asked for without ``fields``."""
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What a spreadsheet may take for the beginning of a formula."""


def body_of(found: Found) -> dict[str, Any]:
    """Return the body of a session. What is not known is left out, but for ``trail_download_link``."""
    row = found.row

    def href(below: str) -> dict[str, str]:
        return {"href": session_href(row.key, below)}

    body: dict[str, Any] = {
        "active": row.ended is None,
        "alerts": href("alerts"),
        "analytics": {
            "interesting_events": [], "scripted": False, "scripted_results": {}, "similar_sessions": [], "tags": [],
        },
        "channels": href("channels"),
        "client": peer(row.client),
        "creation_time": time_of(row.began),
        "events": href("events"),
        "hidden": False,
        "indexing": href("indexing"),
        "node_id": row.node,
        "origin": "RECORDING",
        "phantom": False,
        "protocol": row.protocol,
        "recording": _recording(found),
        "start_time": time_of(row.began),
        "trail_download_link": None,
        "user": _user(found),
        "verdict": row.verdict,
    }  # fmt: skip
    if row.ended is not None:
        body |= {"duration": (row.ended - row.began) // 1000, "end_time": time_of(row.ended)}
    if row.server.ip or row.server.name:
        body["server"] = {"id": row.server.ip or row.server.name, **peer(row.server)}
    return body


def _recording(found: Found) -> dict[str, Any]:
    row = found.row
    told: dict[str, Any] = {
        "archived": row.is_archived,
        "auth_method": row.auth_method,
        "channel_policy": row.channel_policy,
        "command_extracted": found.has_commands,
        "connection_policy": row.policy,
        "connection_policy_id": row.policy_key,
        "content_reference_id": found.id,
        "deny_reason": row.reason,
        "has_accepted_channel": row.has_accepted_channel,
        "index_status": row.index_status,
        "server_local": peer(row.server_local),
        "session_id": row.session_id,
        "target": peer(row.target),
        "verdict": row.verdict,
        "window_title_extracted": found.has_titles,
    }
    if row.trail and row.ended is not None and (row.has_local_trail or row.is_archived):
        told["audit_trail"] = {"download": {"href": session_href(row.key, "audit_trail")}}
    if row.archive is not None and row.archive.at is not None:
        told["archive"] = archive_of(row.archive)
    return {name: value for name, value in told.items() if value not in ("", {})}


def archive_of(archive: TrailArchive) -> dict[str, Any]:
    """Return where the trail of a session went, and when; without a server it was only deleted on the node."""
    told = {"date": time_of(archive.at or 0), "path": archive.path, "policy": archive.policy, "server": archive.target}
    return {name: value for name, value in told.items() if value}


def _user(found: Found) -> dict[str, Any]:
    row = found.row
    told: dict[str, Any] = {"gateway_username": row.gateway_user, "id": row.user, "name": row.user}
    told = {name: value for name, value in told.items() if value}
    return told | {"server_username": [row.server_user] if row.server_user else []}


def peer(one: Peer) -> dict[str, Any]:
    """Return one end of a connection; nothing where nothing is known."""
    if not one.ip and not one.name:
        return {}
    told = {"ip": one.ip, "name": one.name or one.ip, "port": one.port}
    return {name: value for name, value in told.items() if value}


def time_of(at: int) -> str:
    """Return a time, ms since 1970, as it is shown."""
    return plain_time_of(at) + "Z"


def plain_time_of(at: int) -> str:
    """Return a time, ms since 1970, in UTC, as events and alerts show it: without saying so (REST guide)."""
    moment = datetime.fromtimestamp(at / 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{at % 1000:03d}"


# Chosen fields


def chosen(body: dict[str, Any], fields: Sequence[str]) -> dict[str, Any]:
    """Return the members of a body that were asked for, by their names with dots; ``*`` is all."""
    if "*" in fields:
        return body
    found: dict[str, Any] = {}
    for name in fields:
        place, value = found, _at(body, name)
        if value is not None:
            *above, last = name.split(".")
            for part in above:
                place = place.setdefault(part, {})
            place[last] = value
    return found


def _at(body: dict[str, Any], name: str) -> Any:
    value: Any = body
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


# CSV


def csv_lines(founds: Iterable[Found], fields: Sequence[str]) -> Iterator[str]:
    """Yield sessions as lines of CSV (RFC 4180), the names of columns first. Nothing in it is a formula."""
    columns = COLUMNS if not fields or "*" in fields else tuple(fields)
    yield _line(columns)
    for found in founds:
        body = body_of(found) | {"key": found.row.key, "session_id": found.row.session_id}
        yield _line([cell(_at(body, name)) for name in columns])


def _line(cells: Sequence[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\r\n").writerow(cells)
    return line.getvalue()


def cell(value: Any) -> str:
    """Return a value as a cell. Text that a spreadsheet would take for a formula gets an apostrophe, which makes it text."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, dict):
        value = value.get("href", "")
    text = " ".join(map(str, value)) if isinstance(value, list) else str(value)
    return f"'{text}" if text.lstrip(" ").startswith(_FORMULA) else text
