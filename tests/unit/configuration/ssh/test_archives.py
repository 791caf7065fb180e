"""What has to fit together around the archive policy of a connection."""

from __future__ import annotations

from typing import Any

import pytest

from doorward.transaction.privileged import Committer
from tests.unit.configuration.policies.checks import ARCHIVES, AUDITS, changed, identity, password
from tests.unit.configuration.policies.samples import ARCHIVE, AUDIT_DEFAULT, NFS, S3, SMB
from tests.unit.configuration.ssh.checks import CONNECTIONS, OPTIONS, Found, add, connection
from tests.unit.configuration.ssh.samples import ON
from tests.unit.transaction.rig import ADMIN, ROOT, Rig

AT = "/policies/archive_cleanup_policy"
NONE = {"type": "none"}


def archive(rig: Rig, candidate: Any, target: dict[str, Any] | None = None, **members: Any) -> str:
    """Make a policy, of a bucket unless it says otherwise."""
    if target is None:
        target = {**S3, "secret_access_key": password(rig, candidate)}
    return rig.post(candidate, ARCHIVES, {**ARCHIVE, "target": target, **members})


def found(rig: Rig, candidate: Any) -> tuple[set[Found], set[Found]]:
    """(Problems, warnings) of a commit of somebody who may do everything: code, path below the root, pointer."""
    report = rig.pipeline.plan(candidate, by=ADMIN)
    problems, warnings = (
        {(one.code, one.path.removeprefix(ROOT), one.pointer) for one in some} for some in (report.problems, report.warnings)
    )
    return problems, warnings


@pytest.mark.parametrize("target", [NFS, SMB, NONE, None])
def test_recordings_go_to_buckets_alone(rig: Rig, target: dict[str, Any] | None) -> None:
    candidate = rig.candidate()
    if target is SMB:
        target = changed(SMB, "authentication/password", password(rig, candidate))
    key = add(rig, candidate, at={"policies/archive_cleanup_policy": archive(rig, candidate, target)})
    problems, _ = found(rig, candidate)
    refused = target is not None and target is not NONE
    assert problems == ({("not_supported", f"{CONNECTIONS}/{key}", AT)} if refused else set())


def test_a_policy_in_use_does_not_become_one_that_nobody_serves(rig: Rig) -> None:
    candidate = rig.candidate()
    policy = archive(rig, candidate)
    key = add(rig, candidate, at={"policies/archive_cleanup_policy": policy})
    rig.commit(candidate)
    candidate = rig.candidate()
    rig.put(candidate, ARCHIVES, {**ARCHIVE, "target": NFS}, policy)
    assert found(rig, candidate)[0] == {("not_supported", f"{CONNECTIONS}/{key}", AT)}


@pytest.mark.parametrize(("days", "own"), [(30, False), (31, False), (30, True), (31, True)])
def test_sessions_are_not_deleted_before_their_recordings_leave(rig: Rig, days: int, own: bool) -> None:
    cleanup = {"enabled": True, "days": days}
    candidate = rig.candidate()
    rig.put(candidate, OPTIONS, ON if own else {**ON, "channel_database_cleanup": cleanup})
    at = {"policies/archive_cleanup_policy": archive(rig, candidate), **({"channel_database_cleanup": cleanup} if own else {})}
    key = add(rig, candidate, at=at)
    where = "/channel_database_cleanup/days" if own else AT
    assert found(rig, candidate)[0] == ({("contradiction", f"{CONNECTIONS}/{key}", where)} if days == 30 else set())


def test_recordings_in_clear_are_warned_of(rig: Rig) -> None:
    candidate = rig.candidate()
    encryption = {"enabled": True, "certificates": [identity(rig, candidate, with_key=False)]}
    sealed = rig.post(candidate, AUDITS, {**AUDIT_DEFAULT, "name": "sealed", "encryption": encryption})
    policy = archive(rig, candidate)
    key = add(rig, candidate, at={"policies/archive_cleanup_policy": policy})
    rig.put(
        candidate,
        CONNECTIONS,
        connection("linux", {"policies/archive_cleanup_policy": policy, "policies/audit_policy": sealed}),
        key,
    )
    assert "archived_in_clear" not in {code for code, _, _ in found(rig, candidate)[1]}
    rig.put(candidate, CONNECTIONS, connection("linux", {"policies/archive_cleanup_policy": policy}), key)
    assert ("archived_in_clear", f"{CONNECTIONS}/{key}", AT) in found(rig, candidate)[1]


def test_who_may_not_do_everything_sends_no_recordings_in_clear_elsewhere(rig: Rig) -> None:
    candidate = rig.candidate()
    policy = archive(rig, candidate)
    key = add(rig, candidate, at={"policies/archive_cleanup_policy": policy})
    refused = {("privilege_required", f"/api/configuration/{CONNECTIONS}/{key}", AT)}

    def problems(by: Committer) -> set[tuple[str, str, str]]:
        report = rig.pipeline.plan(candidate, by=by)
        return {(one.code, one.path, one.pointer) for one in report.problems if one.code == "privilege_required"}

    somebody = Committer("somebody")
    assert problems(somebody) == refused
    assert problems(ADMIN) == set()
    rig.commit(candidate)
    candidate = rig.candidate()
    body = rig.value(ARCHIVES, policy)
    rig.put(candidate, ARCHIVES, {**body, "retention_days": 40}, policy)
    assert problems(somebody) == set()
    rig.put(candidate, ARCHIVES, {**body, "target": {**body["target"], "bucket": "of-somebody-else"}}, policy)
    assert problems(somebody) == refused
