"""``/api/backup/files``: the archives on the target, read live (backup contract, section 10.3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from doorward.api import errors
from doorward.api.backup.answers import BACKUP, PAGE_QUERY, WITH_DOWNLOAD, items, page
from doorward.api.backup.runs import no_policy, trouble
from doorward.api.request import LocalFile, Request, Response
from doorward.api.resources import FILE, ITEMS, READING, Operation, Resource, answer_schema, envelope
from doorward.areas.threads import call_remote
from doorward.backup.failure import BackupError
from doorward.backup.names import parse
from doorward.backup.service import Backups

_POLICY = {"backup_policy": {"type": "string", "description": "Key of a backup policy; without: the selected one."}}
DOWNLOAD_SECONDS = 1200.0


def policy_of(backups: Backups, request: Request) -> Mapping[str, Any]:
    """Return the policy that a request is about. Raises 400 where there is none."""
    key = request.query.get("backup_policy")
    if key is None:
        selected = backups.selected()
        if selected is None:
            raise no_policy()
        return selected.body
    body = backups.policy(key)
    if body is None:
        raise errors.invalid_query([("unknown_reference", "There is no such backup policy.", "backup_policy")])
    return body


class ArchiveFiles(Resource):
    """The archives on the target."""

    operations = {
        "GET": Operation(
            "Archives on the target, newest first.",
            answer_schema(items=ITEMS),
            errors=(400, 503),
            query={**PAGE_QUERY, **_POLICY},
        )
    }
    privilege = BACKUP

    def __init__(self, backups: Backups) -> None:
        self._backups = backups

    def child(self, segment: str, _request: Request) -> Resource | None:
        """Return one archive, whether it is there or not: only the target knows."""
        return ArchiveFile(self._backups, segment) if parse(segment) is not None else None

    def template(self) -> tuple[str, Resource]:
        """Return what an archive is like."""
        return "name", ArchiveFile(self._backups, "")

    async def get(self, request: Request) -> Response:
        """List a page."""
        limit, offset = page(request)
        policy = policy_of(self._backups, request)
        try:
            found = await call_remote(self._backups.files, policy, limit, offset)
        except BackupError as failure:
            raise trouble(failure, request.href) from None
        return items(request, [(file.parsed.name, file.as_json()) for file in found])


class ArchiveFile(Resource):
    """One archive on the target."""

    operations = {"GET": Operation("What is known of the archive.", WITH_DOWNLOAD, errors=(400, 503), query=_POLICY)}
    privilege = BACKUP

    def __init__(self, backups: Backups, name: str) -> None:
        self._backups, self._name = backups, name
        self.children = {"download": ArchiveDownload(backups, name)}

    async def get(self, request: Request) -> Response:
        """Answer what the manifest says."""
        policy = policy_of(self._backups, request)
        try:
            found = await call_remote(self._backups.file, policy, self._name)
        except BackupError as failure:
            raise trouble(failure, request.href) from None
        if found is None:
            raise errors.not_found(request.href, self._name)
        return envelope(request, self._name, found.as_json(), download=f"{request.href}/download")


class ArchiveDownload(Resource):
    """The archive itself."""

    operations = {
        "GET": Operation(
            "The archive as it is on the target.",
            FILE,
            errors=(400, 403, 503),
            query=_POLICY,
            media_type="application/octet-stream",
            sends=("Content-Disposition",),
        )
    }
    privilege = BACKUP
    seconds = DOWNLOAD_SECONDS

    def __init__(self, backups: Backups, name: str) -> None:
        self._backups, self._name = backups, name
        if (parsed := parse(name)) is not None and not parsed.encrypted:
            self.reserved = READING

    def may_read(self, request: Request) -> bool:
        """Whether the caller may have the archive: whoever holds it may hold every secret."""
        return self.may_write(request)

    async def get(self, request: Request) -> Response:
        """Answer the bytes."""
        policy = policy_of(self._backups, request)
        try:
            path = await call_remote(self._backups.download, policy, self._name)
        except BackupError as failure:
            raise trouble(failure, request.href) from None
        if path is None:
            raise errors.not_found(request.href, self._name)
        headers = {
            "Content-Disposition": f'attachment; filename="{self._name}"',
            "Content-Type": "application/octet-stream",
        }
        return Response(LocalFile(path, remove=True), headers=headers)
