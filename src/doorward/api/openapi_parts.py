"""What the operations of the OpenAPI document share: errors, header fields of requests and answers, tags."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from doorward.api.resources import META
from doorward.tree.references import COMPONENT

_TEXT = {"type": "string"}
_PROBLEM = {
    COMPONENT: "Problem",
    "type": "object",
    "title": "Problem",
    "properties": {
        "code": {**_TEXT, "description": "For programs."},
        "message": {**_TEXT, "description": "For people."},
        "pointer": {**_TEXT, "format": "json-pointer", "description": "The place in the body; empty: all of it."},
        "path": {**_TEXT, "description": "The resource."},
        "parameter": {**_TEXT, "description": "The query parameter."},
        "change": {"type": "integer", "minimum": 0, "description": "Index of the change that it is about."},
    },
    "required": ["code", "message"],
}
ERROR: Mapping[str, Any] = {
    COMPONENT: "Error",
    "type": "object",
    "title": "Error",
    "properties": {
        "error": {
            "type": "object",
            "properties": {
                "details": {
                    "type": "object",
                    "properties": {"errors": {"type": "array", "items": _PROBLEM}},
                    "description": "What else is known, by type.",
                },
                "message": {**_TEXT, "description": "For people."},
                "type": {**_TEXT, "description": "For programs."},
            },
            "required": ["details", "message", "type"],
        },
        "meta": META,
    },
    "required": ["error", "meta"],
}

_FOUND = {
    200: "Done.",
    201: "Made.",
    202: "Begun; GET of its Location tells how far it is.",
    303: "Done; the answer has no body.",
    304: "The resource is the one that the caller has.",
    400: "The body, the query or what they mean is not acceptable.",
    401: "There is no live login session, or the credentials were not accepted.",
    403: "The account has no right to it.",
    404: "Nothing is at the path.",
    405: "The resource does not take the method.",
    409: "The state of things does not allow it.",
    411: "The request does not say how long its body is.",
    412: "The resource is not the one that If-Match names.",
    413: "The body is too large.",
    415: "The body is of another media type.",
    417: "Only 100-continue can be expected.",
    429: "Too many failed logins from this address, or too many snapshots.",
    500: "The host did not take the change, or a fault of the server.",
    503: "Not now; Retry-After tells when.",
}


def described(status: int) -> str:
    """Return what a status says here."""
    return _FOUND[status]


HEADERS: Mapping[str, Mapping[str, Any]] = {
    "Accept-Ranges": {"description": "A range of bytes can be asked for.", "schema": {"const": "bytes", **_TEXT}},
    "Content-Disposition": {"description": "The name of the file.", "schema": _TEXT},
    "ETag": {"description": "What If-Match and If-None-Match name.", "required": True, "schema": _TEXT},
    "Idempotency-Replayed": {
        "description": "The answer of an earlier request with the key.",
        "schema": {"const": "true", **_TEXT},
    },
    "Location": {"description": "The resource that was made.", "required": True, "schema": {**_TEXT}},
    "Preference-Applied": {"description": "The body was read strictly.", "schema": {"const": "handling=strict", **_TEXT}},
    "Retry-After": {"description": "Seconds to wait.", "required": True, "schema": {"type": "integer", "minimum": 1}},
    "Set-Cookie": {"description": "session_id, renewed with every request of a login session.", "schema": _TEXT},
    "WWW-Authenticate": {"description": "How to log in.", "required": True, "schema": _TEXT},
    "X-Request-Id": {"description": "Stands beside the request in the log.", "required": True, "schema": _TEXT},
}
"""Of answers."""

OF_STATUS = {401: ("WWW-Authenticate",), 429: ("Retry-After",), 503: ("Retry-After",)}

PARAMETERS: Mapping[str, Mapping[str, Any]] = {
    "Idempotency-Key": {
        "description": "A key of the caller's: a request that is sent again with it is not carried out again.",
        "schema": {**_TEXT, "minLength": 1, "maxLength": 128},
    },
    "If-Match": {"description": "Only if the resource has one of these entity tags, or * for any.", "schema": _TEXT},
    "If-None-Match": {"description": "Only if the resource has none of these entity tags.", "schema": _TEXT},
    "Prefer": {"description": "handling=strict: unknown members are errors.", "schema": _TEXT},
    "X-Token": {"description": "The token of /api/user/info; browsers must send it.", "schema": _TEXT},
}
"""Header fields of requests."""

TAGS = {
    "audit": "Recorded sessions: found, shown, replayed, downloaded.",
    "authentication": "Logging in and out.",
    "backup": "Backups, restore drills, exports, restores.",
    "cluster": "The nodes of a cluster.",
    "commits": "Records of commits; changes and their commit in one request.",
    "configuration": "The configuration as a whole.",
    "firmware": "Releases.",
    "health_status": "Load, and everything that is wrong.",
    "info": "Name, release and roles of the node.",
    "metrics": "Figures for Prometheus.",
    "openapi.json": "This document.",
    "revisions": "The history of the configuration.",
    "sessions": "Sessions that run: watched, locked, ended.",
    "setup": "The first settings.",
    "ssh-host-keys": "Host keys of proxied servers.",
    "time_status": "Clock and time sources.",
    "tokens": "Tokens of all accounts.",
    "tools": "Tries and look-ups.",
    "transaction": "The transaction of the login session.",
    "troubleshooting": "Support bundles.",
    "upload": "Files that are brought.",
    "user": "The account of the caller.",
}


def tag_of(path: str) -> str:
    """Return the tag of a path: its branch below /api, in the configuration the branch of that."""
    _, _, *parts = path.split("/")
    return "-".join(parts[:2]) if parts[:1] == ["configuration"] else (parts or ["api"])[0]
