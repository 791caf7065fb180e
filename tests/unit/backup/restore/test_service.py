"""Restores whose author lost the account or the right before they took effect."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from doorward.backup.archive import prepare
from doorward.backup.restore import service as service_module
from doorward.backup.restore.request import ArchiveSource, RestoreRequest
from doorward.backup.restore.service import RestoreService
from doorward.backup.temporary_files import TemporaryFiles
from doorward.transaction.commits import CommitService
from doorward.transaction.queue import CommitQueue
from tests.support.accounts import ADMIN, logins
from tests.unit.backup.parts import Site
from tests.unit.transaction.rig import ZONE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from doorward.access.logins import Logins, LoginSession
    from doorward.access.rights import Allowed


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path / "node")
    yield made
    made.rig.close()


def restored(site: Site, is_allowed: Allowed, sessions: Logins | None = None, *, dry_run: bool = False) -> Any:
    """The record of a restore of an archive on the target; ``sessions`` are those of logins."""
    prepared = prepare(site.node, site.spool)
    site.rig.committed((ZONE, "Asia/Tokyo"))
    ended = logins() if sessions is None else sessions
    ended.open(ADMIN)

    def fetch(_name: str, into: Path) -> None:
        shutil.copy(prepared.archive, into)

    async def work(queue: CommitQueue) -> Any:
        service = CommitService(site.rig.pipeline, queue, site.rig.confirmations)
        restores = RestoreService(
            site.node, service, ended, TemporaryFiles(site.directory / "u", site.rig.store, "upload"), fetch
        )
        request = RestoreRequest("jane", "192.0.2.9", is_allowed=is_allowed)
        restore = await restores.begin(request, ArchiveSource("target", prepared.name), dry_run=dry_run)
        assert restores._task is not None
        await restores._task
        return restores.restores.get(restore.id)

    with contextlib.closing(CommitQueue()) as queue:
        return asyncio.run(work(queue))


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_restore_whose_author_lost_the_right_is_cancelled_and_shows_nothing(site: Site, *, dry_run: bool) -> None:
    found = restored(site, lambda: False, dry_run=dry_run)
    assert (found.status, found.result, found.code) == ("finished", "cancelled", "cancelled")
    assert (found.checks, found.changes, found.plan, found.file) == ([], [], [], None)
    assert site.rig.value(ZONE) == "Asia/Tokyo"


def test_a_restore_is_cancelled_up_to_the_moment_of_its_commit(site: Site) -> None:
    asked = iter((True, False))
    found = restored(site, lambda: next(asked))
    assert (found.result, found.code, found.changes) == ("cancelled", "cancelled", [])
    assert site.rig.value(ZONE) == "Asia/Tokyo"


def test_a_restore_that_may_be_is_carried_out(site: Site) -> None:
    before = site.rig.value(ZONE)
    found = restored(site, lambda: True)
    assert (found.result, site.rig.value(ZONE)) == ("succeeded", before)


def test_who_logs_in_between_the_commit_of_a_restore_and_its_end_stays(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the login sessions from before end: the others belong to what was restored."""
    sessions = logins(revision=lambda: site.rig.pipeline.running.number)
    ended: list[LoginSession] = []
    sessions.ended = lambda login, _how: ended.append(login)
    later: list[LoginSession] = []
    monkeypatch.setattr(service_module, "settle", lambda *_: later.append(sessions.open(ADMIN)[0]))
    found = restored(site, lambda: True, sessions)
    assert (found.result, len(ended), len(later), len(sessions)) == ("succeeded", 1, 1, 1)
    assert later[0].is_live


def test_a_restore_of_what_runs_ends_all_login_sessions_too(site: Site) -> None:
    sessions = logins(revision=lambda: site.rig.pipeline.running.number)
    site.rig.committed((ZONE, "Asia/Tokyo"))
    assert restored(site, lambda: True, sessions).result == "succeeded"
    assert len(sessions) == 0
