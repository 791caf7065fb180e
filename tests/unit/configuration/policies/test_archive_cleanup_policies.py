"""Archive and cleanup policies."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.configuration.policies.checks import (
    ARCHIVES,
    BACKUPS,
    advice,
    changed,
    expanded,
    password,
    problems,
    refused,
    stored,
    without,
)
from tests.unit.configuration.policies.samples import ANONYMOUS, ARCHIVE, BACKUP_SMB, NFS, SMB
from tests.unit.transaction.rig import ROOT, Rig

NONE = {"type": "none"}


def test_the_sample_is_answered_member_for_member(rig: Rig) -> None:
    candidate = rig.candidate()
    made = rig.post(candidate, ARCHIVES, ARCHIVE)
    rig.commit(candidate)
    assert rig.value(ARCHIVES, made) == ARCHIVE
    candidate = rig.candidate()
    rig.put(candidate, ARCHIVES, rig.value(ARCHIVES, made), made)
    assert not candidate.changed


def test_what_is_left_out_takes_its_default() -> None:
    assert stored(ARCHIVES, {"name": "x", "retention_days": 1, "start_times": ["10:10"], "target": NONE}) == {
        "include_node_id_in_path": False,
        "name": "x",
        "notification_event": {"type": "errors-only"},
        "retention_days": 1,
        "start_times": ["10:10"],
        "target": NONE,
        "template": "PROTOCOL/CONNECTION/ARCHIVEDATE/",
    }


@pytest.mark.parametrize("required", ["name", "retention_days", "start_times", "target"])
def test_what_is_required(required: str) -> None:
    assert problems(ARCHIVES, without(ARCHIVE, required)) == [("missing", f"/{required}")]


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("retention_days", 1, ""),
        ("retention_days", 100000, ""),
        ("retention_days", 0, "range"),
        ("retention_days", 100001, "range"),
        ("start_times", [], "length"),
        ("template", "ARCHIVEDATE/PROTOCOL/CONNECTION/", ""),
        ("template", "CONNECTIONDATE/PROTOCOL/CONNECTION/", ""),
        ("template", "ARCHIVEDATE/", ""),
        ("template", "CONNECTIONDATE/", ""),
        ("template", "ARCHIVEDATE", "enum"),
        ("template", "../", "enum"),
        ("name", "a b", "format"),
        ("name", "@order", "format"),
        ("name", "x" * 129, "length"),
    ],
)
def test_limits(name: str, value: Any, code: str) -> None:
    assert problems(ARCHIVES, {**ARCHIVE, name: value}) == ([(code, f"/{name}")] if code else [])


def test_an_archive_has_no_retention_by_number() -> None:
    policy = {**ARCHIVE, "retention": {"enabled": False}}
    assert problems(ARCHIVES, policy) == [("unknown_member", "/retention")]


def test_cleaning_up_only_takes_no_server() -> None:
    policy = {**ARCHIVE, "target": {**NONE, "server": NFS["server"]}}
    assert problems(ARCHIVES, policy) == [("unknown_member", "/target/server")]


def test_targets_that_protect_nothing_are_warned_of(rig: Rig) -> None:
    candidate = rig.candidate()
    secret = password(rig, candidate)
    targets = [NFS, ANONYMOUS, NONE, changed(SMB, "authentication/password", secret)]
    made = [rig.post(candidate, ARCHIVES, {**ARCHIVE, "name": str(n), "target": one}) for n, one in enumerate(targets)]
    assert advice(rig, candidate) == [("unprotected_transport", f"{ARCHIVES}/{one}", "/target") for one in made[:2]]


def test_another_type_of_target_loses_old_archives(rig: Rig) -> None:
    candidate = rig.candidate()
    made = rig.post(candidate, ARCHIVES, {**ARCHIVE, "target": NONE})
    assert advice(rig, candidate) == [], "a new policy has archived nothing"
    rig.commit(candidate)
    candidate = rig.candidate()
    rig.put(candidate, ARCHIVES, {**ARCHIVE, "name": "renamed", "target": NONE}, made)
    assert advice(rig, candidate) == []
    rig.put(candidate, ARCHIVES, {**ARCHIVE, "target": NFS}, made)
    path = f"{ARCHIVES}/{made}"
    assert sorted(advice(rig, candidate)) == [
        ("old_archives_unreachable", path, "/target/type"),
        ("unprotected_transport", path, "/target"),
    ]
    record = rig.commit(candidate)
    assert sorted(warning["code"] for warning in record.warnings) == ["old_archives_unreachable", "unprotected_transport"]
    candidate = rig.candidate()
    rig.delete(candidate, ARCHIVES, made)
    assert advice(rig, candidate) == []


def test_names_are_unique_among_archive_policies_only(rig: Rig) -> None:
    candidate = rig.candidate()
    secret = password(rig, candidate)
    backup = changed(BACKUP_SMB, "target/authentication/password", secret)
    rig.post(candidate, BACKUPS, {**backup, "name": "same"})
    made = [rig.post(candidate, ARCHIVES, {**ARCHIVE, "name": "same"})]
    assert rig.pipeline.plan(candidate).problems == ()
    made.append(rig.post(candidate, ARCHIVES, {**ARCHIVE, "name": "same"}))
    found = refused(lambda: rig.commit(candidate))
    assert sorted(found) == sorted(("duplicate", f"{ARCHIVES}/{one}", "/name") for one in made)


def test_a_password_is_not_shared_with_a_backup_policy(rig: Rig) -> None:
    candidate = rig.candidate()
    secret = password(rig, candidate)
    target = changed(SMB, "authentication/password", secret)
    archive = rig.post(candidate, ARCHIVES, {**ARCHIVE, "target": target})
    assert rig.pipeline.plan(candidate).problems == ()
    backup = rig.post(candidate, BACKUPS, {**BACKUP_SMB, "target": target})
    at = "/target/authentication/password"
    assert sorted(refused(lambda: rig.commit(candidate))) == sorted([
        ("referenced_twice", f"{ARCHIVES}/{archive}", at),
        ("referenced_twice", f"{BACKUPS}/{backup}", at),
    ])  # fmt: skip
    rig.delete(candidate, BACKUPS, backup)
    rig.commit(candidate)
    assert rig.value(ARCHIVES, archive)["target"]["authentication"]["password"] == expanded("passwords", secret)
    assert rig.secrets.text(secret) == "a password of a service"


def test_there_is_no_built_in_policy(rig: Rig) -> None:
    assert len(rig.pipeline.running.snapshot.objects(ROOT + ARCHIVES)) == 0
