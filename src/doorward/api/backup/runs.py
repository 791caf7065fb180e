"""``/api/backup``: backup runs, how fresh the backups are, and what else hangs there (backup contract, section 10)."""

from __future__ import annotations

import asyncio

from doorward.api import errors
from doorward.api.backup.answers import BACKUP, ONE, PAGE_QUERY, items, made, page
from doorward.api.bodies import EMPTY, sent
from doorward.api.request import Request, Response
from doorward.api.resources import ITEMS, Operation, Resource, answer_schema, envelope
from doorward.backup.failure import BackupError
from doorward.backup.records import Run
from doorward.backup.runner import AlreadyWaitingError
from doorward.backup.service import Backups
from doorward.backup.shown import run_body, run_href, status_body
from doorward.configuration.management import system_backup
from doorward.tree.problems import Problem


def no_policy() -> errors.ApiError:
    """No backup policy is in effect."""
    problem = Problem("no_backup_policy", "No backup policy is selected in the running configuration.", "", system_backup.PATH)
    return errors.meaning([problem], "request")


def trouble(failure: BackupError, resource: str) -> errors.ApiError:
    """The target can't be looked at now."""
    refusal = errors.unavailable(failure.message, 60)
    refusal.details.update(code=failure.code, resource=resource)
    return refusal


class BackupStatus(Resource):
    """How fresh the backups are."""

    operations = {"GET": Operation("How fresh the backups are.", ONE)}
    privilege = BACKUP

    def __init__(self, backups: Backups) -> None:
        self._backups = backups

    async def get(self, request: Request) -> Response:
        """Answer the freshness."""
        return envelope(request, "status", await asyncio.to_thread(status_body, self._backups))


class Runs(Resource):
    """The backup runs."""

    operations = {
        "GET": Operation("Backup runs, newest first.", answer_schema(items=ITEMS), errors=(400,), query=PAGE_QUERY),
        "POST": Operation("Back up now.", ONE, body=EMPTY, status=202, errors=(400, 403, 409)),
    }
    privilege = BACKUP

    def __init__(self, backups: Backups) -> None:
        self._backups = backups

    def child(self, segment: str, _request: Request) -> Resource | None:
        """Return one run."""
        run = self._backups.runs.get(segment)
        return OneRun(self._backups, run) if run else None

    def template(self) -> tuple[str, Resource]:
        """Return what a run is like."""
        return "id", OneRun(self._backups, Run())

    async def get(self, request: Request) -> Response:
        """List a page."""
        limit, offset = page(request)
        found = await asyncio.to_thread(self._backups.runs.find, limit, offset)
        return items(request, [(run.id, run_body(run)) for run in found])

    async def post(self, request: Request) -> Response:
        """Queue a run."""
        _, warnings = await sent(request, EMPTY)
        try:
            run = await asyncio.to_thread(self._backups.runner.ask, request.member.name, request.is_allowed)
        except AlreadyWaitingError as other:
            raise errors.conflict("Another run is waiting already.", resource=run_href(other.run.id)) from None
        except BackupError:
            raise no_policy() from None
        return made(request, run.id, run_body(run), 202, warnings)


class OneRun(Resource):
    """One backup run."""

    operations = {
        "GET": Operation("How far the run is, or how it ended.", ONE),
        "DELETE": Operation("Cancel the run.", ONE, errors=(403, 409)),
    }
    privilege = BACKUP

    def __init__(self, backups: Backups, run: Run) -> None:
        self._backups, self._run = backups, run

    async def get(self, request: Request) -> Response:
        """Answer the run."""
        return envelope(request, self._run.id, run_body(self._run))

    async def delete(self, request: Request) -> Response:
        """Break the run off."""
        run_id = self._run.id
        if not await asyncio.to_thread(self._backups.runner.cancel, run_id):
            raise errors.conflict("The run is over.", resource=request.href)
        run = await asyncio.to_thread(self._backups.runs.get, run_id)
        return envelope(request, run_id, run_body(run or self._run))
