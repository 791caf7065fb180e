"""``/api/backup/exports``: the configuration as a file, made by hand and kept for a day (backup contract, section 10.6)."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints, TypeAdapter

from doorward.api import errors
from doorward.api.backup.answers import BACKUP, ONE, PAGE_QUERY, WITH_DOWNLOAD, made, paged
from doorward.api.bodies import sent
from doorward.api.request import LocalFile, Request, Response
from doorward.api.resources import FILE, ITEMS, READING, Operation, Resource, answer_schema, envelope, meta, require_everything
from doorward.areas.threads import HEAVY
from doorward.backup import archive, encryption
from doorward.backup.failure import BackupError, on_this_node
from doorward.backup.names import export_name
from doorward.backup.node import NodeView
from doorward.backup.temporary_files import KeptFile, TemporaryFiles, TemporaryFilesFullError
from doorward.configuration.management import exported_configuration_encryption as settings
from doorward.configuration.passwords import printable
from doorward.events.node import hostname, zone
from doorward.tree.fields import Confidential
from doorward.tree.models import Body, Variants
from doorward.tree.problems import Problem, as_json

_KEY_CODES = {"gpg_absent", "key_expired", "key_revoked", "encryption_check"}


class Gpg(Body):
    """Encrypted to the configured key."""

    selection: Literal["gpg"] = Field(description="Encrypted to the key of exported_configuration_encryption.")


class Password(Body):
    """Encrypted under a password."""

    selection: Literal["password"] = Field(description="Encrypted under a password.")
    password: Annotated[str, StringConstraints(min_length=12, max_length=150), AfterValidator(printable), Confidential] = Field(
        description="The password, 12-150 characters without control characters."
    )


class Clear(Body):
    """Not encrypted."""

    selection: Literal["none"] = Field(description="Not encrypted; holds secrets in clear text.")


Encryption = Annotated[Gpg | Password | Clear, Variants("selection")]


class ExportOrder(Body):
    """What export to make."""

    encryption: Encryption = Field(description="How it is protected.")


_ORDER: TypeAdapter[ExportOrder] = TypeAdapter(ExportOrder)


class Exports(Resource):
    """The exports."""

    operations = {
        "GET": Operation("Exports, newest first.", answer_schema(items=ITEMS), errors=(400,), query=PAGE_QUERY),
        "POST": Operation("Export the configuration.", ONE, body=_ORDER, status=201, errors=(400, 403, 409, 503)),
    }
    privilege = BACKUP

    def __init__(self, node: NodeView, shelf: TemporaryFiles) -> None:
        self._node, self._shelf = node, shelf

    def child(self, segment: str, _request: Request) -> Resource | None:
        """Return one export."""
        kept = self._shelf.get(segment)
        return OneExport(self._shelf, kept) if kept else None

    def template(self) -> tuple[str, Resource]:
        """Return what an export is like."""
        return "id", OneExport(self._shelf, KeptFile("", "", ""))

    async def get(self, request: Request) -> Response:
        """List a page."""
        return paged(request, [(kept.id, kept.body) for kept in await asyncio.to_thread(self._shelf.all)])

    async def post(self, request: Request) -> Response:
        """Make an export."""
        order, warnings = await sent(request, _ORDER)
        selection = order.encryption.selection
        if selection == "none":
            require_everything(request)
        if selection == "gpg" and encryption.configured(self._node.pipeline.running.snapshot) is None:
            raise errors.meaning(
                [Problem("no_public_key", "No public key is configured.", "/encryption", settings.PATH)], "request"
            )
        try:
            password = getattr(order.encryption, "password", "")
            kept = await HEAVY.run(request.member.account, self._made, request, selection, password)
        except TemporaryFilesFullError as full:
            raise errors.conflict(str(full), resource=request.href) from None
        except BackupError as failure:
            raise _refused(failure, request) from failure
        if selection == "none":
            clear = Problem("secrets_in_clear", "The file holds passwords and keys in clear text.", "/encryption/selection")
            warnings += as_json([clear], request.href)
        return made(request, kept.id, kept.body, 201, warnings)

    def _made(self, request: Request, selection: Literal["gpg", "password", "none"], password: str) -> KeptFile:
        with on_this_node(), self._shelf.room() as (name, path):
            facts = archive.export(self._node, path, selection, password)
            if not request.is_allowed():  # making it takes its time; nothing of it is kept
                raise errors.cancelled(request.href)
            snapshot = self._node.pipeline.running.snapshot
            file_name = export_name(hostname(snapshot), datetime.now(zone(snapshot)), selection)
            return self._shelf.keep(name, **facts, encryption=selection, file_name=file_name)


def _refused(failure: BackupError, request: Request) -> errors.ApiError:
    """A key that can't be used is a matter of the configuration; the rest is trouble of this node."""
    if failure.code in _KEY_CODES:
        return errors.meaning([Problem(failure.code, failure.message, "/encryption", settings.PATH)], "request")
    refusal = errors.unavailable(failure.message, 60)
    refusal.details.update(code=failure.code, resource=request.href)
    return refusal


class OneExport(Resource):
    """One export."""

    operations = {
        "GET": Operation("Name, size and digest of the export.", WITH_DOWNLOAD),
        "DELETE": Operation("Remove the export.", answer_schema(), errors=(403,)),
    }
    privilege = BACKUP

    def __init__(self, shelf: TemporaryFiles, kept: KeptFile) -> None:
        self._shelf, self._kept = shelf, kept
        self.children = {"download": ExportDownload(shelf, kept)}

    async def get(self, request: Request) -> Response:
        """Answer what is known of it."""
        return envelope(request, self._kept.id, self._kept.body, download=f"{request.href}/download")

    async def delete(self, request: Request) -> Response:
        """Remove it."""
        await asyncio.to_thread(self._shelf.remove, self._kept.id)
        return Response({"meta": meta(request)})


class ExportDownload(Resource):
    """The file of an export. Whoever fetches it can read every secret in it, so that reading is not enough."""

    operations = {
        "GET": Operation("The file.", FILE, errors=(403,), media_type="application/octet-stream", sends=("Content-Disposition",))
    }
    privilege = BACKUP

    def __init__(self, shelf: TemporaryFiles, kept: KeptFile) -> None:
        self._place, self._file_name = shelf.place(kept), kept.file_name
        if kept.encryption == "none":
            self.reserved = READING

    def may_read(self, request: Request) -> bool:
        """Who may write the backups may have one."""
        return self.may_write(request)

    async def get(self, _request: Request) -> Response:
        """Answer the bytes."""
        disposition = f'attachment; filename="{self._file_name}"'
        headers = {"Content-Type": "application/octet-stream", "Content-Disposition": disposition}
        return Response(LocalFile(self._place), headers=headers)
