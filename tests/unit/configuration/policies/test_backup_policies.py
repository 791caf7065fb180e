"""Backup policies: what they may say, and what is said about them at the commit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from doorward.tree.places import Place
from doorward.tree.references import Reference
from doorward.tree.snapshot import Document
from tests.unit.configuration.management.samples import ENCRYPTED
from tests.unit.configuration.policies.checks import (
    BACKUPS,
    advice,
    changed,
    exists,
    expanded,
    password,
    private_key,
    problems,
    refused,
    stored,
    without,
)
from tests.unit.configuration.policies.samples import ANONYMOUS, BACKUP, BACKUP_NFS, BACKUP_S3, BACKUP_SMB, NFS, RSYNC, S3, SMB
from tests.unit.transaction.rig import GOOD_PASSWORD, ROOT, TREE, USERS, Rig

if TYPE_CHECKING:
    from doorward.transaction.candidate import Candidate

ENCRYPTION = ROOT + "management/exported_configuration_encryption"
SYSTEM_BACKUP = Place(ROOT + "management/system_backup")


def rsync(rig: Rig, candidate: Candidate, name: str = "nightly-rsync", key: str = "", **members: Any) -> str:
    """Make a policy with a key of its own unless one is given."""
    target = {**RSYNC, "authentication_key": key or private_key(rig, candidate)}
    return rig.post(candidate, BACKUPS, {**BACKUP, "name": name, "target": target} | members)


def smb(rig: Rig, candidate: Candidate, name: str = "weekly-smb", key: str = "", **members: Any) -> str:
    target = changed(SMB, "authentication/password", key or password(rig, candidate)) | members
    return rig.post(candidate, BACKUPS, {**BACKUP_SMB, "name": name, "target": target})


def s3(rig: Rig, candidate: Candidate, name: str = "object-store", key: str = "", **members: Any) -> str:
    target = {**S3, "secret_access_key": key or password(rig, candidate)} | members
    return rig.post(candidate, BACKUPS, {**BACKUP_S3, "name": name, "target": target})


def nfs(rig: Rig, candidate: Candidate, name: str, path: str = "/data/backup", **members: Any) -> str:
    return rig.post(candidate, BACKUPS, {**BACKUP_NFS, "name": name, "target": {**NFS, "path": path}} | members)


def encrypted(candidate: Candidate) -> None:
    """Switch the encryption of backups on."""
    candidate.put(Place(ENCRYPTION), TREE[ENCRYPTION].node.load({"encryption": ENCRYPTED}))


def test_what_is_left_out_takes_its_default() -> None:
    assert stored(BACKUPS, {"name": "x", "target": NFS}) == {
        "include_node_id_in_path": False,
        "name": "x",
        "notification_event": {"type": "errors-only"},
        "retention": {"enabled": False},
        "start_times": [],
        "target": NFS,
    }


@pytest.mark.parametrize("required", ["name", "target"])
def test_what_is_required(required: str) -> None:
    assert problems(BACKUPS, without(BACKUP_NFS, required)) == [("missing", f"/{required}")]


@pytest.mark.parametrize(
    ("retention", "found"),
    [
        ({"enabled": True}, [("missing", "/keep_days"), ("missing", "/keep_last")]),
        ({"enabled": True, "keep_days": 1, "keep_last": 1}, []),
        ({"enabled": True, "keep_days": 36500, "keep_last": 10000}, []),
        ({"enabled": True, "keep_days": 0, "keep_last": 0}, [("range", "/keep_days"), ("range", "/keep_last")]),
        ({"enabled": True, "keep_days": 36501, "keep_last": 10001}, [("range", "/keep_days"), ("range", "/keep_last")]),
        ({"enabled": "yes"}, [("type", "/enabled")]),
        ({}, [("missing", "/enabled")]),
    ],
)
def test_retention(retention: Any, found: list[tuple[str, str]]) -> None:
    expected = [(code, f"/retention{pointer}") for code, pointer in found]
    assert problems(BACKUPS, {**BACKUP_NFS, "retention": retention}) == expected


def test_the_samples_are_answered_member_for_member(rig: Rig) -> None:
    candidate = rig.candidate()
    key, secret, other = private_key(rig, candidate), password(rig, candidate), password(rig, candidate)
    made = [
        rsync(rig, candidate, key=key), smb(rig, candidate, key=secret), nfs(rig, candidate, "nfs-by-hand"),
        s3(rig, candidate, key=other),
    ]  # fmt: skip
    rig.commit(candidate)
    assert [rig.value(BACKUPS, one) for one in made] == [
        changed(BACKUP, "target/authentication_key", expanded("private_keys", key)),
        changed(BACKUP_SMB, "target/authentication/password", expanded("passwords", secret)),
        BACKUP_NFS,
        changed(BACKUP_S3, "target/secret_access_key", expanded("passwords", other)),
    ]
    assert list(rig.pipeline.running.snapshot.objects(ROOT + BACKUPS).order) == made


def test_putting_back_what_get_shows_is_no_change(rig: Rig) -> None:
    candidate = rig.candidate()
    made = [rsync(rig, candidate), smb(rig, candidate), nfs(rig, candidate, "nfs"), s3(rig, candidate)]
    rig.commit(candidate)
    candidate = rig.candidate()
    for one in made:
        rig.put(candidate, BACKUPS, rig.value(BACKUPS, one), one)
    assert not candidate.changed


def test_what_a_policy_refers_to_must_exist(rig: Rig) -> None:
    candidate = rig.candidate()
    assert refused(lambda: rsync(rig, candidate, key="x")) == [("unknown_reference", BACKUPS, "/target/authentication_key")]
    assert refused(lambda: smb(rig, candidate, key="x")) == [("unknown_reference", BACKUPS, "/target/authentication/password")]
    secret = password(rig, candidate)
    assert refused(lambda: rsync(rig, candidate, key=secret)) == [("unknown_reference", BACKUPS, "/target/authentication_key")]


def test_names_are_unique_and_compared_exactly(rig: Rig) -> None:
    candidate = rig.candidate()
    first = nfs(rig, candidate, "one", "/a")
    nfs(rig, candidate, "ONE", "/b")
    assert rig.pipeline.plan(candidate).problems == ()
    second = nfs(rig, candidate, "one", "/c")
    found = refused(lambda: rig.commit(candidate))
    assert sorted(found) == sorted(("duplicate", f"{BACKUPS}/{one}", "/name") for one in (first, second))


def test_a_secret_has_one_owner(rig: Rig) -> None:
    candidate = rig.candidate()
    key, secret = private_key(rig, candidate), password(rig, candidate)
    keyed = [rsync(rig, candidate, name, key, include_node_id_in_path=True) for name in ("a", "b")]
    smb(rig, candidate, "c", secret)
    rig.post(candidate, USERS, {"name": "jane", "password": secret})
    found = refused(lambda: rig.commit(candidate))
    twice = {(path.rpartition("/")[0], pointer) for code, path, pointer in found if code == "referenced_twice"}
    assert twice == {
        (BACKUPS, "/target/authentication_key"),
        (BACKUPS, "/target/authentication/password"),
        (USERS, "/password"),
    }
    assert {path for _, path, pointer in found if pointer == "/target/authentication_key"} == {f"{BACKUPS}/{k}" for k in keyed}


def test_the_owner_can_use_the_secret_and_nobody_sees_it(rig: Rig) -> None:
    candidate = rig.candidate()
    secret = password(rig, candidate, "of a share")
    owner = smb(rig, candidate, key=secret)
    rig.commit(candidate)
    kept = rig.store.secret(secret)
    assert kept is not None
    assert kept.form == "sealed"
    assert b"of a share" not in kept.sealed
    assert rig.secrets.text(secret) == "of a share"
    assert "of a share" not in str(rig.value(BACKUPS, owner)) + str(rig.value("passwords", secret))
    assert not any(b"of a share" in path.read_bytes() for path in rig.directory.iterdir() if path.is_file())


def test_a_committed_secret_is_sealed_once_it_has_an_owner(rig: Rig) -> None:
    candidate = rig.candidate()
    secret = password(rig, candidate, "of a share")
    rig.commit(candidate)
    assert (rig.store.secret(secret) or None).form == "plain"  # type: ignore[union-attr]
    candidate = rig.candidate()
    smb(rig, candidate, key=secret)
    rig.commit(candidate)
    assert (rig.store.secret(secret) or None).form == "sealed"  # type: ignore[union-attr]
    assert rig.secrets.text(secret) == "of a share"


def test_a_secret_does_not_move_between_accounts_and_policies(rig: Rig) -> None:
    candidate = rig.candidate()
    secret = password(rig, candidate, GOOD_PASSWORD)
    user = rig.post(candidate, USERS, {"name": "jane", "password": secret})
    rig.commit(candidate)
    candidate = rig.candidate()
    rig.put(candidate, USERS, {"name": "jane", "password": None}, user)
    policy = smb(rig, candidate, key=secret)
    assert [(code, path) for code, path, _ in refused(lambda: rig.commit(candidate))] == [("unsuitable", f"{BACKUPS}/{policy}")]


def test_what_a_policy_lets_go_vanishes(rig: Rig) -> None:
    candidate = rig.candidate()
    key, secret, new = private_key(rig, candidate), password(rig, candidate), password(rig, candidate)
    keyed, named = rsync(rig, candidate, key=key), smb(rig, candidate, key=secret)
    rig.commit(candidate)
    candidate = rig.candidate()
    rig.delete(candidate, BACKUPS, keyed)
    rig.put(candidate, BACKUPS, changed(BACKUP_SMB, "target/authentication/password", new), named)
    rig.commit(candidate)
    assert [exists(rig, *one) for one in (("private_keys", key), ("passwords", secret), ("passwords", new))] == [
        False,
        False,
        True,
    ]
    assert rig.secrets.text(secret) is not None, "kept for an earlier revision"


def test_deleting_what_is_referred_to_names_all_referrers(rig: Rig) -> None:
    candidate = rig.candidate()
    policy = nfs(rig, candidate, "nfs")
    body = f'{{"backup_policy":"{policy}"}}'.encode()
    referrers = [SYSTEM_BACKUP, Place(ROOT + "management/email")]
    for referrer in referrers:
        candidate.put(referrer, Document(body, body, frozenset({Reference(ROOT + BACKUPS, policy)})))
    with pytest.raises(Exception, match="Still used by") as caught:
        rig.delete(candidate, BACKUPS, policy)
    assert [(p.code, p.message, p.path) for p in caught.value.problems] == [  # type: ignore[attr-defined]
        ("referenced", f"Still used by {referrer.path}.", f"{ROOT}{BACKUPS}/{policy}") for referrer in sorted(referrers)
    ]
    candidate.put(SYSTEM_BACKUP, Document(b'{"backup_policy":null}', b'{"backup_policy":null}'))
    candidate.put(referrers[1], Document(b"{}", b"{}"))
    rig.delete(candidate, BACKUPS, policy)


def test_targets_that_protect_nothing_are_warned_of(rig: Rig) -> None:
    candidate = rig.candidate()
    clear = nfs(rig, candidate, "nfs")
    nobody = rig.post(candidate, BACKUPS, {**BACKUP_SMB, "name": "anonymous", "target": ANONYMOUS})
    smb(rig, candidate, "signed-only", encryption=False, share="other")
    rsync(rig, candidate)
    expected = [("unprotected_transport", f"{BACKUPS}/{one}", "/target") for one in (clear, nobody)]
    assert advice(rig, candidate) == expected
    rig.commit(candidate)


def test_encrypted_backups_may_go_over_nfs(rig: Rig) -> None:
    candidate = rig.candidate()
    encrypted(candidate)
    nfs(rig, candidate, "nfs")
    nobody = rig.post(candidate, BACKUPS, {**BACKUP_SMB, "name": "anonymous", "target": ANONYMOUS})
    assert advice(rig, candidate) == [("unprotected_transport", f"{BACKUPS}/{nobody}", "/target")]


def test_switching_the_encryption_off_is_warned_of_too(rig: Rig) -> None:
    candidate = rig.candidate()
    encrypted(candidate)
    made = [nfs(rig, candidate, name, f"/{name}") for name in ("a", "b")]
    rig.commit(candidate)
    candidate = rig.candidate()
    candidate.put(Place(ENCRYPTION), Document(b'{"encryption":{"enabled":false}}', b'{"encryption":{"enabled":false}}'))
    assert advice(rig, candidate) == [("unprotected_transport", f"{BACKUPS}/{one}", "/target") for one in made]


@pytest.mark.parametrize(
    ("first", "second", "shared"),
    [
        ({}, {}, True),
        ({}, {"include_node_id_in_path": True}, False),
        ({"include_node_id_in_path": True}, {}, False),
        ({}, {"path": "/other"}, False),
        ({"path": "/Data"}, {"path": "/data"}, False),
    ],
)
def test_a_shared_directory_is_warned_of(rig: Rig, first: Any, second: Any, shared: bool) -> None:
    candidate = rig.candidate()
    encrypted(candidate)
    nfs(rig, candidate, "a", **first)
    rig.commit(candidate)
    candidate = rig.candidate()
    later = nfs(rig, candidate, "b", **second)
    assert advice(rig, candidate) == ([("same_directory", f"{BACKUPS}/{later}", "/target/path")] if shared else [])


def test_directories_of_shares_are_compared_without_case(rig: Rig) -> None:
    candidate = rig.candidate()
    smb(rig, candidate, "a", share="Backup$", path="x/Y")
    rig.commit(candidate)
    candidate = rig.candidate()
    same, _ = smb(rig, candidate, "b", share="backup$", path="X/y"), smb(rig, candidate, "c", share="backup", path="x/y")
    assert advice(rig, candidate) == [("same_directory", f"{BACKUPS}/{same}", "/target/path")]


def test_a_commit_contacts_nobody(rig: Rig) -> None:
    candidate = rig.candidate()
    rsync(rig, candidate)
    rig.host.calls.clear()
    rig.commit(candidate)
    assert [call for call in rig.host.calls if call != ("plan", 0)] == []
