"""Recordings come back from the archive: whole and as they were sent, or not at all."""

from __future__ import annotations

import stat
import threading
from typing import TYPE_CHECKING

import pytest

from doorward.archiving import fetching
from doorward.backup.failure import BackupError
from doorward.sessions.trails import TrailMissingError, TrailUnavailableError
from tests.support.recorded import key_of, shell, trail
from tests.support.waiting import PATIENCE
from tests.unit.archiving.parts import PLACE, ArchivingSite

if TYPE_CHECKING:
    from pathlib import Path

RECORDED = trail(shell(5))
OBJECT = f"{PLACE}/{key_of(1)}.dwr"


@pytest.fixture
def gone(site: ArchivingSite) -> ArchivingSite:
    """Its first recording is in the archive alone."""
    site.put(1, RECORDED)
    site.turn()
    site.clock.ahead(days=32)
    site.turn()
    assert site.here == []
    return site


def copies(site: ArchivingSite) -> list[Path]:
    directory = site.directory / "trails-fetched"
    return sorted(directory.iterdir()) if directory.is_dir() else []


def unavailable(site: ArchivingSite) -> TrailUnavailableError:
    with pytest.raises(TrailUnavailableError) as caught:
        site.trails.open(site.row(1))
    return caught.value


def test_it_is_fetched_once_and_read_as_ever(gone: ArchivingSite) -> None:
    with gone.trails.reading(gone.row(1)) as reader:
        assert reader.until == 5000
    opened = len(gone.bucket.opened)
    with gone.trails.open(gone.row(1)) as file:
        assert file.read() == RECORDED
    assert len(gone.bucket.opened) == opened
    [copy] = copies(gone)
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600


def test_a_copy_here_that_got_lost_is_fetched(site: ArchivingSite) -> None:
    site.put(1, RECORDED)
    site.turn()
    (site.trails.directory / f"{key_of(1)}.dwr").unlink()
    with site.trails.open(site.row(1)) as file:
        assert file.read() == RECORDED


@pytest.mark.parametrize(
    ("content", "code"), [(None, "no_such_path"), (RECORDED[:-1] + b"x", "verify_failed"), (b"", "verify_failed")]
)
def test_what_was_changed_or_deleted_there_is_never_shown(gone: ArchivingSite, content: bytes | None, code: str) -> None:
    if content is None:
        del gone.bucket.objects[OBJECT]
    else:
        gone.bucket.objects[OBJECT] = content
    failure = unavailable(gone)
    assert (failure.code, failure.is_lasting) == (code, True)
    assert gone.told.alerts == [(code, f"/api/audit/sessions/{key_of(1)}")]
    assert copies(gone) == []


@pytest.mark.parametrize("code", ["connect", "server_busy"])
def test_a_bucket_that_is_away_can_be_asked_again(gone: ArchivingSite, code: str) -> None:
    gone.bucket.failing["connect"] = code
    failure = unavailable(gone)
    assert (failure.code, failure.is_lasting) == (code, False)
    assert gone.told.alerts == []
    gone.bucket.failing.clear()
    gone.trails.open(gone.row(1)).close()


@pytest.mark.parametrize("code", ["auth_failed", "permission_denied", "certificate_rejected"])
def test_a_bucket_that_lets_nobody_in_is_told_once_until_it_does(gone: ArchivingSite, code: str) -> None:
    told = [(code, f"/api/audit/sessions/{key_of(1)}")]
    gone.bucket.failing["connect"] = code
    for _ in range(3):
        failure = unavailable(gone)
        assert (failure.code, failure.is_lasting) == (code, False)
        assert gone.told.alerts == told, "however often somebody asks"
    gone.bucket.failing.clear()
    gone.trails.open(gone.row(1)).close()
    [copy] = copies(gone)
    copy.unlink()
    gone.bucket.failing["connect"] = code
    unavailable(gone)
    assert gone.told.alerts == told * 2


def test_who_waits_long_is_told_to_come_again(gone: ArchivingSite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "WAIT_SECONDS", 0.01)
    goes_on, begun = threading.Event(), threading.Event()
    fetch = gone.bucket.fetch

    def slow(*asked: object) -> None:
        begun.set()
        assert goes_on.wait(PATIENCE)
        fetch(*asked)  # type: ignore[arg-type]

    monkeypatch.setattr(gone.bucket, "fetch", slow)
    assert unavailable(gone).code == "fetching"
    assert begun.wait(PATIENCE)
    assert unavailable(gone).code == "fetching"
    goes_on.set()
    monkeypatch.setattr(fetching, "WAIT_SECONDS", PATIENCE)
    gone.trails.open(gone.row(1)).close()
    assert len(copies(gone)) == 1


def test_a_policy_that_is_gone_leads_nowhere_but_another_may_name_the_bucket(gone: ArchivingSite) -> None:
    gone.unarchived()
    candidate = gone.rig.candidate()
    body = gone.rig.value("policies/archive_cleanup_policies", gone.policy)
    gone.rig.delete(candidate, "policies/archive_cleanup_policies", gone.policy)
    gone.rig.commit(candidate)
    assert unavailable(gone).code == "policy_changed"
    candidate = gone.rig.candidate()
    secret = gone.rig.post(candidate, "passwords", {"plain": "the secret of the bucket"})
    target = {**body["target"], "prefix": "", "secret_access_key": secret}
    gone.rig.post(candidate, "policies/archive_cleanup_policies", {**body, "name": "heir", "target": target})
    gone.rig.commit(candidate)
    gone.trails.open(gone.row(1)).close()
    assert gone.bucket.opened[-1] == "heir"


def test_copies_go_with_their_session_and_when_nobody_uses_them(gone: ArchivingSite) -> None:
    gone.trails.open(gone.row(1)).close()
    [copy] = copies(gone)
    gone.archiver.fetched.tidy(copy.stat().st_mtime + fetching.KEPT_SECONDS - 1)
    assert copies(gone) == [copy]
    gone.archiver.fetched.tidy(copy.stat().st_mtime + fetching.KEPT_SECONDS + 1)
    assert copies(gone) == []
    gone.trails.open(gone.row(1)).close()
    gone.trails.delete(gone.row(1).trail)
    assert copies(gone) == []


def test_copies_are_limited(site: ArchivingSite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "MAX_FETCHED", 25)
    for number in range(1, 5):
        site.put(number, b"%010d" % number)
    site.turn()
    site.clock.ahead(days=32)
    site.turn()
    for number in (1, 2, 3):
        site.trails.open(site.row(number)).close()
    assert [copy.name.partition("-")[0] for copy in copies(site)] == [key_of(2), key_of(3)]
    monkeypatch.setattr(fetching, "LEFT_FREE", 1 << 60)
    with pytest.raises(TrailUnavailableError) as caught:
        site.trails.open(site.row(4))
    assert (caught.value.code, caught.value.is_lasting) == ("no_local_space", False)


def test_what_was_only_deleted_is_nowhere(site: ArchivingSite) -> None:
    site.recommit(target={"type": "none"})
    site.put(1)
    site.turn()
    site.clock.ahead(days=32)
    site.turn()
    with pytest.raises(TrailMissingError):
        site.trails.open(site.row(1))


def test_nothing_is_fetched_over_what_is_on_its_way(gone: ArchivingSite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "_MAX_LINE", 0)
    assert unavailable(gone).code == "busy"


def test_a_failure_is_one_of_the_codes() -> None:
    for code in fetching._LASTING:
        assert BackupError(code, "").code == code
