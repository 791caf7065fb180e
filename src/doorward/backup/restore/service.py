"""Restores from the order to the end, one at a time: an archive is fetched, checked, applied and settled (section 10.5)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import structlog
from msgspec.structs import asdict, replace

from doorward.access.logins import Logins
from doorward.areas.threads import HEAVY, StoppedError, call_remote
from doorward.backup.failure import NOT_ALLOWED, BackupError, on_this_node
from doorward.backup.node import NodeView
from doorward.backup.restore.applying import apply
from doorward.backup.restore.checking import RestoreCheck, check
from doorward.backup.restore.opening import ArchiveRefusedError
from doorward.backup.restore.records import Restore, Restores
from doorward.backup.restore.request import ArchiveSource, RestoreCancelledError, RestoreRequest
from doorward.backup.restore.settling import settle
from doorward.backup.temporary_files import TemporaryFiles
from doorward.store.port import CommitRecord
from doorward.transaction.changes import as_changes
from doorward.transaction.commits import CommitService
from doorward.transaction.merge import MergeConflict
from doorward.transaction.pipeline import ApplyFailed
from doorward.transaction.planner import requires_message
from doorward.transaction.queue import QueueTimeoutError
from doorward.tree.problems import Problem, SemanticError, as_json

log = structlog.get_logger()

_HREF = "/api/backup/restores"
_ENDED = "lost its login session: the configuration was restored"

Fetch = Callable[[str, Path], None]
"""Copies a file of the target of the selected policy to a new local file. Blocks; raises BackupError."""


class UploadMissingError(Exception):
    """There is no upload of this key."""

    def __init__(self, key: str) -> None:
        self.key = key
        super().__init__(key)


class RestoreRefusedError(SemanticError):
    """What was asked for can't be, whatever is in the archive."""


class RestoreRunningError(Exception):
    """Another restore, ``id``, is not finished yet."""

    def __init__(self, restore_id: str) -> None:
        self.id = restore_id
        super().__init__(restore_id)


class CommitPendingError(Exception):
    """A commit awaits its confirmation; the text says so."""


class RestoreService:
    """Carries restores out, one at a time. Lives in the event loop."""

    def __init__(self, node: NodeView, commits: CommitService, logins: Logins, uploads: TemporaryFiles, fetch: Fetch) -> None:
        self.node, self._commits, self._logins, self._uploads, self._fetch = node, commits, logins, uploads, fetch
        self.restores = Restores(node.pipeline.store)
        self._at_work: Restore | None = None
        self._task: asyncio.Task[None] | None = None

    async def begin(self, request: RestoreRequest, source: ArchiveSource, *, dry_run: bool) -> Restore:
        """Start a restore; ``dry_run`` only checks.

        Raises UploadMissingError, RestoreRefusedError, RestoreRunningError or CommitPendingError.
        """
        archive = await self._uploaded(source)
        if request.confirm_seconds is not None and request.scope != "configuration":
            message = "A whole system is not taken back by itself; only a restore of the configuration can await confirmation."
            raise RestoreRefusedError([Problem("contradiction", message, "/confirm_seconds", _HREF)])
        if not dry_run and not request.message and requires_message(self.node.pipeline.running.snapshot):
            message = "A commit message is required."
            raise RestoreRefusedError([Problem("message_required", message, "/commit_message", _HREF)])
        if self._at_work is not None:
            raise RestoreRunningError(self._at_work.id)
        self._check_pending()
        restore = Restore(asdict(source), request.scope, request.network, dry_run, request.user)
        self._at_work = restore
        try:
            await asyncio.to_thread(self.restores.save, restore)
        except BaseException:
            self._at_work = None
            raise
        self._task = asyncio.create_task(self._work(restore, request, archive))
        return restore

    async def _uploaded(self, source: ArchiveSource) -> Path | None:
        if source.selection != "upload":
            return None
        path = await asyncio.to_thread(self._uploads.path, source.value)
        if path is None:
            raise UploadMissingError(source.value)
        return path

    def _check_pending(self) -> None:
        confirmations = self._commits.confirmations
        if confirmations.pending is not None:
            raise CommitPendingError(confirmations.reason or "")

    async def ended(self, restore: Restore, seconds: int) -> Restore:
        """Wait for the end of a restore, or for a while; return how far it is then.

        What is restored ends the login sessions from before: who asked in one of them learns of it by this answer alone.
        """
        task = self._task
        if seconds and task is not None and self._at_work is not None and self._at_work.id == restore.id:
            await asyncio.wait([task], timeout=seconds)
        return await asyncio.to_thread(self.restores.get, restore.id) or restore

    def progress(self, restore: Restore) -> Restore:
        """Return a restore with what its commit does just now."""
        record = self.node.pipeline.now_doing.get(restore.commit_id)
        verifying = restore.status == "applying" and record is not None and record.state == "verifying"
        return replace(restore, status="verifying") if verifying else restore

    async def _work(self, restore: Restore, request: RestoreRequest, archive: Path | None) -> None:
        try:
            with on_this_node():
                restore = await self._carried_out(restore, request, archive)
        except RestoreCancelledError:
            # What was found is not for whoever lost the right to look.
            restore = restore.finished("cancelled", "cancelled", NOT_ALLOWED)
        except BackupError as failure:
            restore = restore.finished("failed", failure.code, failure.message)
        except StoppedError:
            # The next start says so in the record.
            self._at_work = None
            return
        except Exception:
            log.exception("a restore failed unexpectedly", restore=restore.id)
            restore = restore.finished("failed", "internal", "An internal error occurred; the log has the details.")
        try:
            await asyncio.to_thread(self.restores.save, restore)
        finally:
            self._at_work = None

    async def _carried_out(self, restore: Restore, request: RestoreRequest, archive: Path | None) -> Restore:
        checked = await self._checked(restore, request, archive)
        try:
            if not request.is_allowed():
                raise RestoreCancelledError
            restore = await asyncio.to_thread(self._with_findings, restore, checked)
            if not checked.passed:
                return restore.finished("failed", *checked.failure)
            if restore.dry_run:
                return restore.finished("succeeded")
            return await self._applied(restore, request, checked)
        finally:
            checked.close()

    async def _checked(self, restore: Restore, request: RestoreRequest, archive: Path | None) -> RestoreCheck:
        """Open and check an archive; None: it is fetched first, and gone afterwards."""
        if archive is not None:
            return await HEAVY.run(request.user, check, self.node, request, archive, None)
        fetched, name = self.node.spool / f"{restore.id}.fetched", restore.source["value"]
        try:
            fetched.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            await call_remote(self._fetch, name, fetched)
            return await HEAVY.run(request.user, check, self.node, request, fetched, name)
        finally:
            fetched.unlink(missing_ok=True)

    def _with_findings(self, restore: Restore, checked: RestoreCheck) -> Restore:
        report = checked.report
        return replace(
            restore,
            checks=checked.checks,
            problems=as_json(checked.problems, _HREF),
            warnings=as_json(checked.warnings, _HREF),
            file=checked.file_name,
            changes=as_changes(self.node.pipeline.tree, report.merged.edits) if report else [],
            plan=[{"action": a.action, "effect": a.effect, "path": a.origin} for a in report.plan.actions] if report else [],
        )

    async def _applied(self, restore: Restore, request: RestoreRequest, checked: RestoreCheck) -> Restore:
        restore = replace(restore, status="applying")
        await asyncio.to_thread(self.restores.save, restore)
        try:
            record, began = await self._commits.queue.run(lambda: self._commit(restore, request, checked))
        except (CommitPendingError, QueueTimeoutError) as busy:
            return restore.finished("failed", "busy", str(busy) or "Other commits were in the way.")
        except ArchiveRefusedError as refusal:
            return restore.finished("failed", refusal.code, refusal.message)
        except SemanticError as refused:
            found = replace(restore, problems=as_json(refused.problems, _HREF))
            return found.finished("failed", refused.problems[0].code, refused.problems[0].message)
        except MergeConflict as conflict:
            return restore.finished("failed", "busy", f"Somebody else changed {conflict} meanwhile.")
        except ApplyFailed as failed:
            result: Literal["reverted", "unknown"] = "reverted" if failed.restored else "unknown"
            if not failed.restored:
                self._logins.close_all(_ENDED)
            what = Problem("host", f"{failed.action}: {failed.reason}.", "", failed.path)
            return replace(restore, problems=as_json([what], _HREF)).finished(result, "host", what.message)
        # A login since then has proven itself to what was restored, and stays.
        self._logins.close_all(_ENDED, before=began)
        return replace(restore.finished("succeeded"), revision=record.revision)

    def _commit(self, restore: Restore, request: RestoreRequest, checked: RestoreCheck) -> tuple[CommitRecord, int | None]:
        """Return the record, and the number of the revision that began with it. Runs in the commit thread.

        None: no number tells before from after, since nothing was changed, or a node without a history took a short one.
        """
        self._check_pending()
        before = self.node.pipeline.running.number
        done = carry_out(self.node, request, checked, restore.commit_id)
        if request.confirm_seconds is not None:
            self._commits.confirmations.load()
        return done, done.revision if done.revision is not None and done.revision > before else None


def carry_out(node: NodeView, request: RestoreRequest, checked: RestoreCheck, commit_id: str) -> CommitRecord:
    """Take the last two steps, apply and settle. Runs in the commit thread; raises what ``apply`` raises."""
    done = apply(node, request, checked, commit_id)
    try:
        settle(node.state, node.pipeline.store, node.pipeline.secrets)
    except Exception:
        # The restore is done all the same, and the node takes its identity at the next start anyway.
        log.exception("files of a restore are put in place at the next start")
    return done
