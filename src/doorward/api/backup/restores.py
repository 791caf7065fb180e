"""``/api/backup/restores``: archives that become the running configuration, or are only tried (backup contract, section 10.5)."""

from __future__ import annotations

import asyncio
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints, TypeAdapter

from doorward.access.sight import Sight
from doorward.api import errors
from doorward.api.backup.answers import BACKUP, ONE, PAGE_QUERY, ROOT, made, paged
from doorward.api.bodies import sent
from doorward.api.request import Request, Response
from doorward.api.resources import ITEMS, Operation, Resource, answer_schema, envelope, require_everything
from doorward.backup import names
from doorward.backup.restore.records import Restore
from doorward.backup.restore.request import ArchiveSource, RestoreRequest
from doorward.backup.restore.service import (
    CommitPendingError,
    RestoreRefusedError,
    RestoreRunningError,
    RestoreService,
    UploadMissingError,
)
from doorward.transaction.commits import CommitMessage
from doorward.transaction.confirmation import MAX_CONFIRM_SECONDS
from doorward.tree.fields import Confidential, bad_format
from doorward.tree.models import Body, Variants

HREF = f"{ROOT}/restores"


class FromUpload(Body):
    """An archive that was uploaded."""

    selection: Literal["upload"] = Field(description="An uploaded archive.")
    value: Annotated[str, StringConstraints(min_length=1, max_length=64)] = Field(description="Key of the upload.")


def _archive(value: str) -> str:
    if names.parse(value) is None:
        raise bad_format("Must be the name of an archive, such as doorward-20261121T230002Z-46f97a58.config.")
    return value


class FromTarget(Body):
    """An archive on the target of the selected backup policy."""

    selection: Literal["target"] = Field(description="An archive on the target of the backup policy.")
    value: Annotated[str, StringConstraints(max_length=100), AfterValidator(_archive)] = Field(description="Its name.")


Source = Annotated[FromUpload | FromTarget, Variants("selection")]


class RestoreOrder(Body):
    """What to restore, and how."""

    source: Source = Field(description="Where the archive is.")
    accept_signer: Annotated[str, StringConstraints(max_length=100)] | None = Field(
        None, description="Fingerprint of the key whose signature is accepted though this node does not know it."
    )
    commit_message: CommitMessage | None = Field(None, description="Why.")
    confirm_seconds: int | None = Field(
        None, ge=10, le=MAX_CONFIRM_SECONDS, description="The configuration goes back by itself after so many seconds."
    )
    dry_run: bool = Field(default=False, description="Whether everything is only tried.")
    network: Literal["keep", "restore"] = Field("keep", description="Whether the network stays as it is on this node.")
    new_certificate: bool = Field(
        default=False, description="Whether the node gets a new server certificate, for the names and addresses that it has then."
    )
    password: Annotated[str, StringConstraints(max_length=1024), Confidential] | None = Field(
        None, description="Password of the archive."
    )
    scope: Literal["configuration", "system"] = Field("configuration", description="What is replaced.")
    take_over: bool = Field(default=False, description="Whether this machine takes the place of the one in the archive.")


_ORDER: TypeAdapter[RestoreOrder] = TypeAdapter(RestoreOrder)


def _sight(service: RestoreService, request: Request) -> Sight:
    """Return what a reader may see of restores at this moment."""
    pipeline = service.node.pipeline
    return Sight(pipeline.tree, request.member.rights, pipeline.running.snapshot)


class RestoreCollection(Resource):
    """The restores."""

    operations = {
        "GET": Operation("Restores, newest first.", answer_schema(items=ITEMS), errors=(400,), query=PAGE_QUERY),
        "POST": Operation("Restore an archive, or try to.", ONE, body=_ORDER, status=202, errors=(400, 403, 404, 409)),
    }
    personal = frozenset({"POST"})
    privilege = BACKUP

    def __init__(self, service: RestoreService) -> None:
        self._service = service

    def child(self, segment: str, _request: Request) -> Resource | None:
        """Return one restore."""
        restore = self._service.restores.get(segment)
        return OneRestore(self._service, restore) if restore else None

    def template(self) -> tuple[str, Resource]:
        """Return what a restore is like."""
        return "id", OneRestore(self._service, Restore({}, "", "", dry_run=True, author=""))

    async def get(self, request: Request) -> Response:
        """List a page."""
        found = await asyncio.to_thread(self._service.restores.find)
        sight = _sight(self._service, request)
        return paged(request, [(restore.id, self._service.progress(restore).shown(sight)) for restore in found])

    async def post(self, request: Request) -> Response:
        """Begin a restore."""
        order, warnings = await sent(request, _ORDER)
        if not order.dry_run or order.accept_signer is not None or order.take_over:
            require_everything(request)
        asked = RestoreRequest(
            request.member.name, request.address, order.scope, order.network, order.password, order.accept_signer,
            order.take_over, order.commit_message or None, order.new_certificate, request.member.account, request.is_allowed,
            order.confirm_seconds,
        )  # fmt: skip
        try:
            restore = await self._service.begin(asked, ArchiveSource(**order.source.model_dump()), dry_run=order.dry_run)
        except UploadMissingError as missing:
            raise errors.not_found(f"{ROOT}/uploads/{missing.key}", missing.key) from None
        except RestoreRefusedError as refused:
            raise errors.meaning(refused.problems, "request") from None
        except RestoreRunningError as other:
            raise errors.conflict("Another restore is not finished yet.", resource=f"{HREF}/{other.id}") from None
        except CommitPendingError as pending:
            raise errors.conflict(str(pending), resource="/api/transaction") from None
        if request.wait_seconds:
            restore = await self._service.ended(restore, request.wait_seconds)
        return made(request, restore.id, self._service.progress(restore).shown(_sight(self._service, request)), 202, warnings)


class OneRestore(Resource):
    """One restore."""

    operations = {"GET": Operation("How far the restore is, or how it ended.", ONE)}
    privilege = BACKUP

    def __init__(self, service: RestoreService, restore: Restore) -> None:
        self._service, self._restore = service, restore

    async def get(self, request: Request) -> Response:
        """Answer the restore; ``Prefer: wait=N`` waits for its end."""
        restore = await self._service.ended(self._restore, request.wait_seconds) if request.wait_seconds else self._restore
        return envelope(request, restore.id, self._service.progress(restore).shown(_sight(self._service, request)))
