"""``/api/backup/restores``: archives that become the running configuration, or are only tried (backup contract, section 10.5)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import structlog
from pydantic import AfterValidator, Field, StringConstraints, TypeAdapter

from doorward.access.logins import Logins
from doorward.access.sight import Sight
from doorward.api import errors
from doorward.api.backup.answers import BACKUP, ONE, PAGE_QUERY, ROOT, made, paged
from doorward.api.bodies import sent
from doorward.api.changes import as_changes
from doorward.api.request import Request, Response
from doorward.api.resources import ITEMS, Operation, Resource, answer_schema, envelope, require_everything
from doorward.areas.threads import HEAVY, StoppedError, call_remote
from doorward.backup import names
from doorward.backup.failure import BackupError, on_this_node
from doorward.backup.node import NodeView
from doorward.backup.opening import ArchiveRefusedError
from doorward.backup.restore import RestoreCancelledError, RestoreCheck, RestoreRequest, carry_out, try_out
from doorward.backup.restores import Restore, Restores
from doorward.backup.runner import NOT_ALLOWED
from doorward.backup.temporary_files import TemporaryFiles
from doorward.transaction.commits import CommitMessage, CommitService
from doorward.transaction.confirmation import LONGEST
from doorward.transaction.merge import MergeConflict
from doorward.transaction.pipeline import ApplyFailed, requires_message
from doorward.transaction.queue import QueueTimeoutError
from doorward.tree.fields import Confidential, bad_format
from doorward.tree.models import Body, Variants
from doorward.tree.problems import Problem, SemanticError, as_json

log = structlog.get_logger()

HREF = f"{ROOT}/restores"

Fetch = Callable[[str, Path], None]
"""Copies a file of the target of the selected policy to a new local file. Blocks; raises BackupError."""


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
        None, ge=10, le=LONGEST, description="The configuration goes back by itself after so many seconds."
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


class RestoreService:
    """Carries restores out, one at a time. Lives in the event loop."""

    def __init__(self, node: NodeView, service: CommitService, logins: Logins, uploads: TemporaryFiles, fetch: Fetch) -> None:
        self._node, self._service, self._logins, self._fetch = node, service, logins, fetch
        self.uploads = uploads
        self.restores = Restores(node.pipeline.store)
        self._at_work: Restore | None = None
        self._task: asyncio.Task[None] | None = None

    async def begin(self, order: RestoreOrder, wish: RestoreRequest) -> Restore:
        """Start a restore. Raises 400, 404 or 409."""
        archive = await self._uploaded(order)
        if order.confirm_seconds is not None and order.scope != "configuration":
            message = "A whole system is not taken back by itself; only a restore of the configuration can await confirmation."
            raise errors.meaning([Problem("contradiction", message, "/confirm_seconds", HREF)], "request")
        if not order.dry_run and not order.commit_message and requires_message(self._node.pipeline.running.snapshot):
            raise errors.meaning(
                [Problem("message_required", "A commit message is required.", "/commit_message", HREF)], "request"
            )
        if self._at_work is not None:
            raise errors.conflict("Another restore is not finished yet.", resource=f"{HREF}/{self._at_work.id}")
        if self._service.confirmations.pending is not None:
            raise errors.conflict(self._service.confirmations.reason or "", resource="/api/transaction")
        restore = Restore(order.source.model_dump(), wish.scope, wish.network, order.dry_run, wish.user)
        self._at_work = restore
        try:
            await asyncio.to_thread(self.restores.save, restore)
        except BaseException:
            self._at_work = None
            raise
        self._task = asyncio.create_task(self._work(restore, wish, archive))
        return restore

    async def _uploaded(self, order: RestoreOrder) -> Path | None:
        if order.source.selection != "upload":
            return None
        path = await asyncio.to_thread(self.uploads.path, order.source.value)
        if path is None:
            raise errors.not_found(f"{ROOT}/uploads/{order.source.value}", order.source.value)
        return path

    def sight(self, request: Request) -> Sight:
        """Return what a reader may see of restores at this moment."""
        pipeline = self._node.pipeline
        return Sight(pipeline.tree, request.member.rights, pipeline.running.snapshot)

    async def ended(self, restore: Restore, seconds: int) -> Restore:
        """Wait for the end of a restore, or for a while; return how far it is then.

        The end of a restore ends all login sessions: who asked before learns of it by this answer alone.
        """
        task = self._task
        if seconds and task is not None and self._at_work is not None and self._at_work.id == restore.id:
            await asyncio.wait([task], timeout=seconds)
        return await asyncio.to_thread(self.restores.get, restore.id) or restore

    def progress(self, restore: Restore) -> Restore:
        """Return a restore with what its commit does just now."""
        ticket = self._node.pipeline.now_doing.get(restore.ticket)
        verifying = restore.status == "applying" and ticket is not None and ticket.state == "verifying"
        return replace(restore, status="verifying") if verifying else restore

    async def _work(self, restore: Restore, wish: RestoreRequest, archive: Path | None) -> None:
        try:
            with on_this_node():
                restore = await self._carried_out(restore, wish, archive)
        except RestoreCancelledError:  # what was found is not for whoever lost the right to look
            restore = restore.finished("cancelled", "cancelled", NOT_ALLOWED)
        except BackupError as failure:
            restore = restore.finished("failed", failure.code, failure.message)
        except StoppedError:  # the next start says so in the record
            self._at_work = None
            return
        except Exception:
            log.exception("a restore stumbled", restore=restore.id)
            restore = restore.finished("failed", "internal", "An internal error occurred; the log has the details.")
        try:
            await asyncio.to_thread(self.restores.save, restore)
        finally:
            self._at_work = None
        if restore.result in {"succeeded", "unknown"} and not restore.dry_run:
            self._logins.close_all("lost its login session: the configuration was restored")

    async def _carried_out(self, restore: Restore, wish: RestoreRequest, archive: Path | None) -> Restore:
        fetched = self._node.spool / f"{restore.id}.fetched" if archive is None else None
        try:
            if fetched is not None:
                fetched.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                try:
                    await call_remote(self._fetch, restore.source["value"], fetched)
                except BackupError as failure:
                    return restore.finished("failed", failure.code, failure.message)
            name = None if fetched is None else restore.source["value"]
            trial = await HEAVY.run(wish.user, try_out, self._node, wish, archive or fetched or Path(), name)
        finally:
            if fetched is not None:
                fetched.unlink(missing_ok=True)
        try:
            if not wish.is_allowed():
                raise RestoreCancelledError
            restore = await asyncio.to_thread(self._with_findings, restore, trial)
            if not trial.passed:
                return restore.finished("failed", *trial.failure)
            if restore.dry_run:
                return restore.finished("succeeded")
            return await self._committed(restore, wish, trial)
        finally:
            trial.close()

    def _with_findings(self, restore: Restore, trial: RestoreCheck) -> Restore:
        report = trial.report
        return replace(
            restore,
            checks=trial.checks,
            problems=as_json(trial.problems, HREF),
            warnings=as_json(trial.warnings, HREF),
            file=trial.file_name if trial.opened is not None else None,
            changes=as_changes(self._node.pipeline.tree, report.merged.edits) if report else [],
            plan=[{"action": a.action, "effect": a.effect, "path": a.origin} for a in report.plan.actions] if report else [],
        )

    async def _committed(self, restore: Restore, wish: RestoreRequest, trial: RestoreCheck) -> Restore:
        restore = replace(restore, status="applying")
        await asyncio.to_thread(self.restores.save, restore)
        try:
            ticket = await self._service.queue.run(lambda: self._commit(restore, wish, trial))
        except QueueTimeoutError:
            return restore.finished("failed", "busy", "Other commits were in the way.")
        except (errors.ApiError, ArchiveRefusedError) as refusal:
            code = refusal.code if isinstance(refusal, ArchiveRefusedError) else "busy"
            return restore.finished("failed", code, refusal.message)
        except SemanticError as refused:
            found = replace(restore, problems=as_json(refused.problems, HREF))
            return found.finished("failed", refused.problems[0].code, refused.problems[0].message)
        except MergeConflict as conflict:
            return restore.finished("failed", "busy", f"Somebody else changed {conflict} meanwhile.")
        except ApplyFailed as failed:
            result: Literal["reverted", "unknown"] = "reverted" if failed.restored else "unknown"
            what = Problem("host", f"{failed.action}: {failed.reason}.", "", failed.path)
            return replace(restore, problems=as_json([what], HREF)).finished(result, "host", what.message)
        return replace(restore.finished("succeeded"), revision=ticket.revision)

    def _commit(self, restore: Restore, wish: RestoreRequest, trial: RestoreCheck) -> Any:
        """Runs in the commit thread."""
        if self._service.confirmations.pending is not None:
            raise errors.conflict(self._service.confirmations.reason or "")
        done = carry_out(self._node, wish, trial, restore.ticket)
        if wish.confirm_seconds is not None:
            self._service.confirmations.load()
        return done


class RestoreCollection(Resource):
    """The restores."""

    operations = {
        "GET": Operation("Restores, newest first.", answer_schema(items=ITEMS), errors=(400,), query=PAGE_QUERY),
        "POST": Operation("Restore an archive, or try to.", ONE, body=_ORDER, status=202, errors=(400, 403, 404, 409)),
    }
    personal = frozenset({"POST"})
    privilege = BACKUP

    def __init__(self, desk: RestoreService) -> None:
        self._desk = desk

    def child(self, segment: str, _request: Request) -> Resource | None:
        """Return one restore."""
        restore = self._desk.restores.get(segment)
        return OneRestore(self._desk, restore) if restore else None

    def template(self) -> tuple[str, Resource]:
        """Return what a restore is like."""
        return "id", OneRestore(self._desk, Restore({}, "", "", dry_run=True, author=""))

    async def get(self, request: Request) -> Response:
        """List a page."""
        found = await asyncio.to_thread(self._desk.restores.find)
        sight = self._desk.sight(request)
        return paged(request, [(restore.id, self._desk.progress(restore).shown(sight)) for restore in found])

    async def post(self, request: Request) -> Response:
        """Begin a restore."""
        order, warnings = await sent(request, _ORDER)
        if not order.dry_run or order.accept_signer is not None or order.take_over:
            require_everything(request)
        wish = RestoreRequest(
            request.member.name, request.address, order.scope, order.network, order.password, order.accept_signer,
            order.take_over, order.commit_message or None, order.new_certificate, request.member.account, request.is_allowed,
            order.confirm_seconds,
        )  # fmt: skip
        restore = await self._desk.begin(order, wish)
        if request.wait_seconds:
            restore = await self._desk.ended(restore, request.wait_seconds)
        return made(request, restore.id, self._desk.progress(restore).shown(self._desk.sight(request)), 202, warnings)


class OneRestore(Resource):
    """One restore."""

    operations = {"GET": Operation("How far the restore is, or how it ended.", ONE)}
    privilege = BACKUP

    def __init__(self, desk: RestoreService, restore: Restore) -> None:
        self._desk, self._restore = desk, restore

    async def get(self, request: Request) -> Response:
        """Answer the restore; ``Prefer: wait=N`` waits for its end."""
        restore = await self._desk.ended(self._restore, request.wait_seconds) if request.wait_seconds else self._restore
        return envelope(request, restore.id, self._desk.progress(restore).shown(self._desk.sight(request)))
