"""The files that a session copied, as far as its trail knows them, and the contents that the trail kept."""

from __future__ import annotations

import re
from typing import Any

from doorward.api import errors
from doorward.api.audit.parameters import PAGES, Page, page_of
from doorward.api.audit.service import AuditService, session_href
from doorward.api.audit.shown import time_of
from doorward.api.audit.trail import MEDIA_TYPE, OfTrail
from doorward.api.request import Request, Response
from doorward.api.resources import FILE, Operation, Resource, answer_schema, items_of, meta, meta_schema
from doorward.recording.export import file_name
from doorward.recording.transfers import Transfer, contents, transfers
from doorward.sessions.catalogue.results import Found

_NUMBER = re.compile(r"[1-9]\d{0,8}\Z", re.ASCII)


class TrailFiles(OfTrail):
    """The files that a session copied, by sftp or scp."""

    operations = {
        "GET": Operation(
            "Operations on files, in order.",
            answer_schema(meta_schema("FilesMeta"), items=items_of({"type": "object"})),
            errors=(400, 404, 409, 503),
            query=PAGES,
        )
    }

    def child(self, segment: str, _request: Request) -> Resource | None:
        """Return one file, whether there is one or not."""
        return OneFile(self.service, self.key, int(segment)) if _NUMBER.match(segment) else None

    def template(self) -> tuple[str, Resource]:
        """Return what a file is like."""
        return "number", OneFile(self.service, self.key, 0)

    async def get(self, request: Request) -> Response:
        """List a page."""
        page = page_of(request)
        found = await self.service.look(request, self.found, request)
        made = await self.service.look(request, self._listed, request, found, page)
        items = [
            {
                "body": transfer_body(found, one),
                "key": str(one.number),
                "meta": {"href": f"{request.href}/{one.number}"},
            }
            for one in made
        ]
        return Response({"items": items, "meta": meta(request)})

    def _listed(self, request: Request, found: Found, page: Page) -> list[Transfer]:
        with self.service.reading(request, found) as reader:
            return [one for one in transfers(reader) if page.offset < one.number <= page.offset + page.limit]


def transfer_body(found: Found, one: Transfer) -> dict[str, Any]:
    """Return the body of an operation on a file; what is not known is left out."""
    told: dict[str, Any] = {
        "channel_id": str(one.channel),
        "operation": one.operation,
        "path": one.path,
        "result": one.result,
        "sha256": one.sha256,
        "size": one.size,
        "time": time_of(found.row.began + one.at),
    }
    if one.kept is not None:
        told["download"] = {"href": session_href(found.row.key, "files", str(one.number), "download")}
    return {name: value for name, value in told.items() if value not in ("", None)}


class OneFile(OfTrail):
    """An operation on a file."""

    operations = {
        "GET": Operation(
            "What was done with the file.",
            answer_schema(body={"type": "object"}, key={"type": "string"}),
            errors=(404, 409, 503),
        )
    }

    def __init__(self, service: AuditService, key: str, number: int) -> None:
        super().__init__(service, key)
        self._number = number
        self.children = {"download": TrailFileDownload(service, key, number)}

    async def get(self, request: Request) -> Response:
        """Answer what was done."""
        found = await self.service.look(request, self.found, request)
        one = await self.service.look(request, transfer, self.service, request, found, self._number)
        if one is None:
            raise errors.not_found(request.href, str(self._number))
        return Response({"body": transfer_body(found, one), "key": str(one.number), "meta": meta(request)})


def transfer(service: AuditService, request: Request, found: Found, number: int) -> Transfer | None:
    """Return an operation on a file by its number. Blocks."""
    with service.reading(request, found) as reader:
        return next((one for one in transfers(reader) if one.number == number), None)


class TrailFileDownload(OfTrail):
    """The contents of a file that the trail kept."""

    operations = {
        "GET": Operation(
            "The contents of the file.",
            FILE,
            errors=(404, 409, 503),
            media_type=MEDIA_TYPE,
            sends=("Content-Disposition",),
        )
    }

    def __init__(self, service: AuditService, key: str, number: int) -> None:
        super().__init__(service, key)
        self._number = number

    async def get(self, request: Request) -> Response:
        """Answer the bytes."""
        found = await self.service.look(request, self.found, request)
        one = await self.service.look(request, transfer, self.service, request, found, self._number)
        if one is None or one.kept is None:
            raise errors.not_found(request.href, "download")
        kept = one.kept
        pieces = self.reading(request, found, lambda reader: contents(reader, kept))
        content = await self.stream(request, found, pieces, "file")
        headers = {
            "Content-Disposition": f'attachment; filename="{file_name(one.number, one.path)}"',
            "Content-Security-Policy": "sandbox; default-src 'none'",
            "Content-Type": MEDIA_TYPE,
        }
        return Response(content, headers=headers)
