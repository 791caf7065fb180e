"""``/api/upload/backup`` and ``/api/backup/uploads``: archives that somebody brings (backup contract, section 10)."""

from __future__ import annotations

import asyncio
import hashlib
import mmap
import os
import re
from contextlib import ExitStack
from pathlib import Path

from doorward.api import errors
from doorward.api.backup.answers import BACKUP, ONE, PAGE_QUERY, ROOT, paged
from doorward.api.request import UPLOAD_LIMIT, Request, Response
from doorward.api.resources import FILE, ITEMS, Operation, Resource, answer_schema, envelope, meta, meta_schema
from doorward.areas.threads import HEAVY
from doorward.backup.temporary_files import KeptFile, TemporaryFiles, TemporaryFilesFullError

_PART = b"backup"
_RAW, _MULTIPART = "application/octet-stream", "multipart/form-data"
_ID = {"type": "string", "format": "uuid"}
_SLACK = 1 << 16
"""Bytes that the wrapping of a multipart body may have."""
_NAME = re.compile(rb'(?:^|[;\s])name="?([^";\r\n]*)"?', re.IGNORECASE)


class Upload(Resource):
    """Where archives are uploaded."""

    operations = {
        "POST": Operation(
            "Upload an archive: its bytes, or a multipart body with the part 'backup'.",
            answer_schema(meta_schema("UploadMeta", "upload"), body={"type": "object"}, key=_ID),
            status=201,
            errors=(400, 403, 409, 413),
            content={
                _RAW: FILE,
                _MULTIPART: {"type": "object", "title": "Upload", "properties": {"backup": FILE}, "required": ["backup"]},
            },
        )
    }
    privilege = BACKUP
    media_types = (_RAW, _MULTIPART)

    def __init__(self, shelf: TemporaryFiles) -> None:
        self._shelf = shelf

    async def post(self, request: Request) -> Response:
        """Take the archive in. What is in it is looked at when it is used."""
        kind, _, parameters = request.headers.get("content-type", "").partition(";")
        boundary = _boundary(parameters) if kind.strip().lower() == _MULTIPART else None
        with ExitStack() as until_kept:
            try:
                name, path = await asyncio.to_thread(until_kept.enter_context, self._shelf.room())
            except TemporaryFilesFullError as full:
                await request.drain()
                raise errors.conflict(str(full), resource=f"{ROOT}/uploads") from None
            await _received(request, path, UPLOAD_LIMIT + (_SLACK if boundary else 0))
            kept = await HEAVY.run(request.member.account, self._kept, name, path, boundary)
        if kept is None:
            raise errors.bad_request("A multipart body needs one part with the name backup.")
        if not kept.size:
            await asyncio.to_thread(self._shelf.remove, kept.id)
            raise errors.bad_request("The archive is empty.")
        href = f"{ROOT}/uploads/{kept.id}"
        return Response({"body": kept.body, "key": kept.id, "meta": meta(request, upload=href)}, 201, {"Location": href})

    def _kept(self, name: str, path: Path, boundary: bytes | None) -> KeptFile | None:
        if boundary is not None and not _unwrap(path, boundary):
            return None
        digest, size = hashlib.sha256(), 0
        with path.open("rb") as file:
            while data := file.read(1 << 20):
                digest.update(data)
                size += len(data)
        if size > UPLOAD_LIMIT:
            raise errors.too_large(UPLOAD_LIMIT)
        return self._shelf.keep(name, sha256=digest.hexdigest(), size=size)


async def _received(request: Request, path: Path, limit: int) -> None:
    """Write the body of a request to a new file."""
    request.scope["expect_much"]()
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        async for data in request.pieces(limit):
            await asyncio.to_thread(file.write, data)


def _boundary(parameters: str) -> bytes:
    found = re.search(r'boundary="?([^";,\s]{1,70})"?', parameters)
    if found is None:
        raise errors.bad_request("A multipart body needs a boundary.")
    return b"--" + found[1].encode("latin-1")


def _unwrap(path: Path, boundary: bytes) -> bool:
    """Replace a multipart body by the content of its part ``backup``; False where it does not have that one part."""
    with path.open("r+b") as file:
        if path.stat().st_size == 0:
            return False
        with mmap.mmap(file.fileno(), 0) as body:
            found = _parts(body, boundary)
            if len(found) != 1:
                return False
            start, end = found[0]
            body.move(0, start, end - start)
        file.truncate(end - start)
    return True


def _parts(body: mmap.mmap, boundary: bytes) -> list[tuple[int, int]]:
    """Return beginning and end of every part with the name that is looked for; none where the body is not well formed."""
    found: list[tuple[int, int]] = []
    delimiter = b"\r\n" + boundary
    before = -2 if body[: len(boundary)] == boundary else body.find(delimiter)
    if before == -1:
        return []
    while True:
        begin = before + len(delimiter)
        if body[begin : begin + 2] == b"--":
            return found
        before = body.find(delimiter, begin)
        head = body.find(b"\r\n\r\n", begin)
        if before < 0 or not 0 <= head <= before - 4:
            return []
        if _disposition(body[begin:head]) == _PART:
            found.append((head + 4, before))


def _disposition(lines: bytes) -> bytes | None:
    for line in lines.split(b"\r\n"):
        field, _, value = line.partition(b":")
        if field.strip().lower() == b"content-disposition" and (found := _NAME.search(value)):
            return found[1]
    return None


class Uploads(Resource):
    """The uploaded archives."""

    operations = {
        "GET": Operation("Uploaded archives, newest first.", answer_schema(items=ITEMS), errors=(400,), query=PAGE_QUERY)
    }
    privilege = BACKUP

    def __init__(self, shelf: TemporaryFiles) -> None:
        self._shelf = shelf

    def child(self, segment: str, _request: Request) -> Resource | None:
        """Return one upload."""
        kept = self._shelf.get(segment)
        return OneUpload(self._shelf, kept) if kept else None

    def template(self) -> tuple[str, Resource]:
        """Return what an upload is like."""
        return "id", OneUpload(self._shelf, KeptFile("", "", ""))

    async def get(self, request: Request) -> Response:
        """List a page."""
        return paged(request, [(kept.id, kept.body) for kept in await asyncio.to_thread(self._shelf.all)])


class OneUpload(Resource):
    """One uploaded archive."""

    operations = {
        "GET": Operation("Size, digest and age of the upload.", ONE),
        "DELETE": Operation("Remove the upload.", answer_schema(), errors=(403,)),
    }
    privilege = BACKUP

    def __init__(self, shelf: TemporaryFiles, kept: KeptFile) -> None:
        self._shelf, self._kept = shelf, kept

    async def get(self, request: Request) -> Response:
        """Answer what is known of it."""
        return envelope(request, self._kept.id, self._kept.body)

    async def delete(self, request: Request) -> Response:
        """Remove it."""
        await asyncio.to_thread(self._shelf.remove, self._kept.id)
        return Response({"meta": meta(request)})
