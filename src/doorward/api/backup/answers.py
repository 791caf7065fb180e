"""What the resources below ``/api/backup`` share: pages and answers (backup contract, section 10)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from doorward.api import errors
from doorward.api.request import Request, Response
from doorward.api.resources import answer_schema, meta, meta_schema

BACKUP = "/special/backup"
ROOT = "/api/backup"
PAGE_QUERY: Mapping[str, Mapping[str, Any]] = {
    "limit": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100},
    "offset": {"type": "integer", "minimum": 0, "default": 0},
}
ONE = answer_schema(body={"type": "object"}, key={"type": "string"})
WITH_DOWNLOAD = answer_schema(meta_schema("DownloadMeta", "download"), body={"type": "object"}, key={"type": "string"})

_BOUNDS = {"limit": (100, 1, 1000), "offset": (0, 0, 1_000_000)}


def page(request: Request) -> tuple[int, int]:
    """Return ``limit`` and ``offset`` of a request for a collection. Raises 400."""
    wrong, found = [], []
    for name, (default, least, most) in _BOUNDS.items():
        text = request.query.get(name, str(default))
        if text.isascii() and text.isdecimal() and len(text) < 10 and least <= int(text) <= most:  # noqa: PLR2004 - fits
            found.append(int(text))
        else:
            wrong.append(("range", f"Must be a number from {least} to {most}.", name))
    if wrong:
        raise errors.invalid_query(wrong)
    return found[0], found[1]


def paged(request: Request, rows: Iterable[tuple[str, dict[str, Any]]]) -> Response:
    """Return the page of a collection that was asked for; every row is key and body, newest first."""
    limit, offset = page(request)
    return items(request, list(rows)[offset : offset + limit])


def below(request: Request, key: str) -> str:
    """Return the path of an object of a collection."""
    return f"{request.href}/{key.replace('/', '%2F')}"


def items(request: Request, rows: Iterable[tuple[str, dict[str, Any]]]) -> Response:
    """Return one page of a collection; every row is key and body."""
    shown = [{"body": body, "key": key, "meta": {"href": below(request, key)}} for key, body in rows]
    return Response({"items": shown, "meta": meta(request)})


def made(request: Request, key: str, body: dict[str, Any], status: int, warnings: list[dict[str, str]]) -> Response:
    """Return the answer to a POST that made something."""
    href = below(request, key)
    about = {"href": href, "parent": request.href} | ({"warnings": warnings} if warnings else {})
    headers = {"Location": href} | ({"Preference-Applied": "handling=strict"} if request.strict else {})
    return Response({"body": body, "key": key, "meta": about}, status, headers)
