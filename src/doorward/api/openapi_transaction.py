"""What the OpenAPI document says of transactions and commits: status, changes, header fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from doorward.api.resources import answer_schema, meta_schema

_STATE = {"type": "string", "enum": ["open", "closed"]}
STATUS = answer_schema(
    meta_schema(
        "TransactionMeta",
        "changes",
        "commit",
        confirm_deadline={
            "type": "integer",
            "description": "When the commit that runs goes back: Unix time by the clock of the node.",
        },
        confirm_revision={"type": "integer", "minimum": 1, "description": "The revision that awaits its confirmation."},
        confirm_user={"type": "string", "description": "Whose commit awaits its confirmation."},
        confirm_remaining_seconds={"type": "integer", "minimum": 0, "description": "Until the commit that runs goes back."},
        proposal={"type": "string", "description": "What the commit became, where somebody has to accept it first (202)."},
        revision={"type": "integer", "minimum": 1, "description": "Number of the revision that runs."},
        waits_for={"type": "array", "items": {"type": "string"}, "description": "The groups that have to accept it."},
    ),
    body={
        "type": "object",
        "properties": {"commit_message": {"type": "string", "enum": ["optional", "required"]}, "status": _STATE},
        "required": ["commit_message", "status"],
    },
    key={"type": "string", "const": "transaction"},
    transaction={"type": "object", "properties": {"status": _STATE}, "required": ["status"]},
)
ORDERING: Mapping[str, Any] = {
    "headers": ("Idempotency-Key", "Prefer"),
    "sends": ("Idempotency-Replayed", "Preference-Applied"),
    "also": (202,),
}
"""Header fields of what commits, and the status of what waits for somebody's approval."""

CHANGE_LIST = answer_schema(
    meta_schema("ChangesMeta", "transaction"),
    changes={
        "type": "array",
        "items": {
            "x-component": "Change",
            "type": "object",
            "properties": {
                "path": {"type": "string", "description": "The resource; behind # the place in its body."},
                "type": {"type": "string", "enum": ["create", "delete", "reorder", "replace"]},
                "new_value": {"description": "As GET shows it."},
                "old_value": {"description": "As GET showed it."},
                "new_order": {"type": "array", "items": {}},
                "old_order": {"type": "array", "items": {}},
            },
            "required": ["path", "type"],
        },
    },
)
