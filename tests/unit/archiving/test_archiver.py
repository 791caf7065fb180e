"""Recordings go to the archive once, proven, whatever happens in between."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from doorward.archiving.archiver import LATER_SECONDS, LOOK_SECONDS
from doorward.archiving.waiting import ArchiveMark
from doorward.backup.runs import PAUSES
from doorward.sessions.retention import SessionRetention
from tests.support.recorded import BEGAN, key_of
from tests.unit.archiving.parts import LABEL, PLACE, ArchivingSite, ConnectionLostError
from tests.unit.configuration.ssh.checks import OPTIONS
from tests.unit.configuration.ssh.samples import ON

if TYPE_CHECKING:
    from pathlib import Path

POLICIES = "/api/configuration/policies/archive_cleanup_policies"


def test_what_has_ended_is_sent_and_noted(site: ArchivingSite) -> None:
    site.put(1, b"first")
    site.put(2, b"second", ends=False)
    site.put(3, b"of another policy", policy_key="another")
    site.put(4, b"of another node", node="another")
    assert site.turn() == LOOK_SECONDS
    assert site.bucket.objects == {f"{PLACE}/{key_of(1)}.dwr": b"first"}
    archive = site.row(1).archive
    assert archive is not None
    assert (archive.target, archive.path, archive.policy) == (LABEL, f"{PLACE}/{key_of(1)}.dwr", "archive_all_with_filelist")
    assert (archive.size, archive.sha256) == (5, hashlib.sha256(b"first").hexdigest())
    assert archive.at == int(site.clock.now.timestamp() * 1000)
    assert site.here == [1, 2, 3, 4], "copies stay"
    assert [site.row(n).is_archived for n in (1, 2, 3, 4)] == [True, False, False, False]
    site.end(2, 6)
    site.turn()
    assert site.row(2).is_archived
    assert len(site.bucket.objects) == 2
    assert [metric.value for metric in site.archiver.metrics()][:2] == [0, False]


def test_a_connection_that_comes_to_be_archived_brings_its_earlier_sessions(site: ArchivingSite) -> None:
    site.unarchived()
    site.put(1)
    site.turn()
    assert not site.row(1).is_archived
    candidate = site.rig.candidate()
    body = site.rig.value("ssh/connections", site.connection)
    body["policies"]["archive_cleanup_policy"] = site.policy
    site.rig.put(candidate, "ssh/connections", body, site.connection)
    site.rig.commit(candidate)
    site.turn()
    assert site.row(1).is_archived


def test_without_policies_nothing_is_looked_for(site: ArchivingSite) -> None:
    site.unarchived()
    assert site.turn() is None


def test_another_catalogue_is_looked_through_from_its_beginning(site: ArchivingSite) -> None:
    for number in (1, 2, 3):
        site.put(number)
    site.turn()
    site.archiver._waiting._after = 1_000_000
    site.put(4)
    site.turn()
    assert site.row(4).is_archived


def test_a_catalogue_of_another_sort_is_looked_through_from_its_beginning(
    site: ArchivingSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (1, 2, 3):
        site.put(number)
    site.bucket.failing["send"] = "name_exists"
    site.turn()
    site.archiver._waiting._kept.put(ArchiveMark(2, (site.connection,)))
    monkeypatch.setattr(type(site.catalogue), "node", site.node)  # its ids are those of other sessions
    site.bucket.failing.clear()
    site.archiver = site.begun()
    site.turn()
    assert [site.row(number).is_archived for number in (1, 2, 3)] == [True, True, True]


def test_sessions_that_wait_for_the_archive_are_not_deleted(site: ArchivingSite) -> None:
    candidate = site.rig.candidate()
    site.rig.put(candidate, OPTIONS, {**ON, "channel_database_cleanup": {"enabled": True, "days": 31}})
    site.rig.commit(candidate)
    retention = SessionRetention(site.catalogue, site.trails, lambda: site.rig.pipeline.running.snapshot)
    later = site.clock.now + timedelta(days=40)
    site.bucket.failing["connect"] = "connect"
    site.put(1)
    site.put(2, trail="")
    site.turn()
    assert retention.clean(later) == 1, "what has no trail waits for nothing"
    assert site.here == [1, 2]
    site.bucket.failing.clear()
    site.retry()
    site.turn()
    assert retention.clean(later) == 1
    assert site.catalogue.session(key_of(1)) is None
    assert site.here == [2], "of which no row tells"
    assert len(site.bucket.objects) == 1, "the archive keeps it"


def test_a_session_that_nobody_knew_of_waits_for_its_worker(site: ArchivingSite) -> None:
    site.put(1, b"cut", ends=False)
    site.clock.now = site.clock.now.replace(hour=10, minute=2)
    site.end(1, 0, recovered=True)
    site.turn()
    assert not site.row(1).is_archived
    site.clock.ahead(minutes=10)
    site.turn()
    assert site.row(1).is_archived


@pytest.mark.parametrize("step", ["connect", "send", "sent"])
def test_killed_at_any_step_it_is_there_once(site: ArchivingSite, step: str) -> None:
    site.put(1, b"first")
    site.bucket.dying = step
    with pytest.raises(ConnectionLostError):
        site.turn()
    assert not site.row(1).is_archived
    site.clock.ahead(days=1)  # which another name would have
    site.archiver = site.begun()
    site.turn()
    assert site.row(1).is_archived
    day = "2026-11-30" if step == "connect" else "2026-11-29"
    assert site.bucket.objects == {f"{PLACE[:-10]}{day}/{key_of(1)}.dwr": b"first"}
    assert site.told.alerts == []


def test_killed_after_it_was_noted_nothing_is_sent_again(site: ArchivingSite) -> None:
    site.put(1)
    site.turn()
    opened = len(site.bucket.opened)
    site.archiver = site.begun()
    site.turn()
    assert len(site.bucket.opened) == opened


def test_a_bucket_that_is_away_is_tried_again_as_a_backup_is(site: ArchivingSite) -> None:
    site.put(1)
    site.bucket.failing["connect"] = "connect"
    for tries in range(1, len(PAUSES) + 2):
        site.turn()
        [trouble] = site.archiver._policies.values()
        assert trouble.tries == tries
        assert site.told.alerts == ([] if tries <= len(PAUSES) else [("connect", f"{POLICIES}/{site.policy}")])
        site.turn()
        assert trouble.tries == tries, "not before its time"
        site.retry()
    [issue] = site.archiver.issues()
    assert issue.message == "1 recordings wait to be archived by archive_all_with_filelist: connect fails."
    site.bucket.failing.clear()
    site.turn()
    assert site.row(1).is_archived
    assert list(site.archiver.issues()) == []


@pytest.mark.parametrize("code", ["auth_failed", "permission_denied", "certificate_rejected", "protocol_unavailable"])
def test_what_does_not_pass_by_itself_is_told_at_once(site: ArchivingSite, code: str) -> None:
    site.put(1)
    site.bucket.failing["connect"] = code
    site.turn()
    assert site.told.alerts == [(code, f"{POLICIES}/{site.policy}")]
    site.retry()
    site.turn()
    assert len(site.told.alerts) == 1
    running = site.rig.pipeline.running
    site.recommit(retention_days=31)
    site.archiver.published(running, site.rig.pipeline.running, ())
    site.bucket.failing.clear()
    site.turn()
    assert site.row(1).is_archived, "another configuration is tried at once"


def test_one_that_is_taken_does_not_hold_up_the_others(site: ArchivingSite) -> None:
    site.bucket.objects[f"{PLACE}/{key_of(1)}.dwr"] = b"of somebody else"
    site.put(1)
    site.put(2)
    site.turn()
    assert site.told.alerts == [("name_exists", f"{POLICIES}/{site.policy}")]
    assert [site.row(n).is_archived for n in (1, 2)] == [False, True]
    assert site.bucket.objects[f"{PLACE}/{key_of(1)}.dwr"] == b"of somebody else"
    [issue] = site.archiver.issues()
    assert issue.message.startswith("1 recordings can't be archived, such as: there is another file")
    [trouble] = site.archiver._trails.values()
    assert trouble.again > LATER_SECONDS / 2


@pytest.mark.parametrize(("size", "code"), [(None, "trail_missing"), (3, "trail_damaged")])
def test_a_trail_that_is_not_what_was_recorded_is_not_sent(site: ArchivingSite, size: int | None, code: str) -> None:
    site.put(1, b"whole")
    path = site.trails.directory / f"{key_of(1)}.dwr"
    if size is None:
        path.unlink()
    else:
        path.write_bytes(b"whole"[:size])
    site.turn()
    assert [alert[0] for alert in site.told.alerts] == [code]
    assert site.bucket.objects == {}


def test_sessions_without_a_trail_wait_for_nothing(site: ArchivingSite) -> None:
    site.put(1, trail="")
    site.turn()
    assert site.archiver._waiting.ended == {}
    assert site.told.alerts == []


def test_what_is_sent_is_not_led_elsewhere_by_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = ArchivingSite(tmp_path, monkeypatch, template="CONNECTIONDATE/PROTOCOL/CONNECTION/")
    try:
        site.put(1, policy="..")
        site.put(2, policy="../../config/\u202ex?y")
        site.turn()
        assert sorted(site.bucket.objects) == [
            f"doorward/node1/trails/2026-11-29/SSH/.._.._config__x_y/{key_of(2)}.dwr",
            f"doorward/node1/trails/2026-11-29/SSH/_/{key_of(1)}.dwr",
        ]
    finally:
        site.close()


def test_copies_go_at_a_start_time_once_they_are_old(site: ArchivingSite) -> None:
    site.put(1)
    site.put(2, began=BEGAN + 5 * 86_400_000)
    site.put(3, ends=False)
    site.put(4, policy_key="another")
    site.turn()
    site.clock.ahead(days=30, hours=21)
    site.turn()
    assert site.here == [2, 3, 4], "that of a start time that was missed too"
    first = site.row(1).archive
    assert first is not None
    assert (first.is_here, site.row(1).is_archived) == (False, True)
    site.clock.ahead(hours=1)
    (site.trails.directory / f"{key_of(1)}.dwr").write_bytes(b"left by a crash")
    site.turn()
    assert site.here == [1, 2, 3, 4], "not before the next start time"
    site.clock.ahead(days=1)
    site.turn()
    assert site.here == [2, 3, 4]
    assert site.told.alerts == []


@pytest.mark.parametrize("lost", ["gone", "changed", "changed here", "away", "unarchived"])
def test_copies_stay_that_the_archive_can_not_stand_for(site: ArchivingSite, lost: str) -> None:
    if lost == "unarchived":
        site.bucket.failing["send"] = "permission_denied"
    site.put(1)
    site.turn()
    path = f"{PLACE}/{key_of(1)}.dwr"
    if lost == "gone":
        del site.bucket.objects[path]
    elif lost == "changed":
        site.bucket.objects[path] = b"A trail"
    elif lost == "changed here":
        (site.trails.directory / f"{key_of(1)}.dwr").write_bytes(b"A trail")
    elif lost == "away":
        site.bucket.failing["connect"] = "connect"
    site.clock.ahead(days=32)
    site.told.alerts.clear()
    site.turn()
    assert site.here == [1]
    assert site.row(1).has_local_trail
    code = {"away": "connect", "changed here": "trail_changed"}.get(lost, "archive_changed")
    assert [alert[0] for alert in site.told.alerts] == ([] if lost == "unarchived" else [code])


def test_without_a_target_recordings_are_only_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = ArchivingSite(tmp_path, monkeypatch, target={"type": "none"})
    try:
        site.put(1)
        site.turn()
        site.clock.ahead(days=32)
        site.turn()
        assert (site.here, site.bucket.opened) == ([], [])
        assert not site.row(1).is_archived
        assert not site.row(1).has_local_trail
    finally:
        site.close()


def test_a_mail_tells_of_what_was_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    event = {"type": "all", "send_filelist": True, "file_count_limit": 1}
    site = ArchivingSite(tmp_path, monkeypatch, notification_event=event)
    mail = {
        "admin_address": "admin@example.com", "smtp_server": {"selection": "fqdn", "value": "mail.example.com"},
    }  # fmt: skip
    try:
        site.rig.committed(("management/email", {**site.rig.value("management/email"), **mail}))
        site.put(1)
        site.put(2)
        site.turn()
        site.clock.ahead(days=1)
        site.turn()
        [(recipient, subject, text)] = site.told.mails
        assert (recipient, "Archiving succeeded: archive_all_with_filelist" in subject) == ("admin@example.com", True)
        assert "Archived: 2 recordings, 14 bytes" in text
        assert f"  {PLACE}/{key_of(1)}.dwr\n  and 1 more" in text
        site.bucket.failing["connect"] = "auth_failed"
        site.put(3)
        site.turn()
        site.clock.ahead(days=1)
        site.turn()
        assert "Archiving failed" in site.told.mails[-1][1]
        assert "Failure:  auth_failed: connect fails." in site.told.mails[-1][2]
    finally:
        site.close()


def test_a_policy_that_moves_sends_what_waits_to_the_new_place(site: ArchivingSite) -> None:
    site.put(1)
    site.bucket.dying = "sent"
    with pytest.raises(ConnectionLostError):
        site.turn()
    target = {**site.rig.value("policies/archive_cleanup_policies", site.policy)["target"], "bucket": "elsewhere"}
    site.recommit(target=target)
    site.archiver = site.begun()
    site.turn()
    archive = site.row(1).archive
    assert archive is not None
    assert archive.target == "s3://s3.example.com:9000/elsewhere"
