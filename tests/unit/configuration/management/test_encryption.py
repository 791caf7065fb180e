"""The key of backups and exports, looked at by the real gpg."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import Any

import pytest

from doorward.backup.encryption import to_certificate
from doorward.backup.failure import BackupError
from doorward.configuration.management import exported_configuration_encryption as encryption
from doorward.host.drivers import gpg
from doorward.membership import nodes
from doorward.tree.places import Place
from doorward.tree.problems import InvalidBody, Problem, SemanticError
from tests.support import openpgp
from tests.unit.configuration.policies.samples import BACKUP_NFS
from tests.unit.transaction.rig import ROOT, TREE, Rig

NAME, BACKUP = "management/exported_configuration_encryption", "management/system_backup"
TEXT = "/encryption/gpg_public_key/public_key"


def body(text: str, **more: Any) -> dict[str, Any]:
    return {"encryption": {"enabled": True, "gpg_public_key": {"public_key": text, **more}}}


def made(text: str, **more: Any) -> tuple[dict[str, Any], list[str]]:
    """The key as it would be stored, and the codes of the warnings."""
    checked = encryption.NODE.checked(body(text, **more), ROOT + NAME, strict=True)
    return checked.model.encryption.gpg_public_key.model_dump(), [warning.code for warning in checked.warnings]


def refused(text: str) -> list[tuple[type, str, str]]:
    try:
        made(text)
    except (InvalidBody, SemanticError) as caught:
        return [(type(caught), problem.code, problem.pointer) for problem in caught.problems]
    return []


def test_a_key_is_shown_with_fingerprint_and_user_ids() -> None:
    key, warnings = made(openpgp.public_key("good"))
    assert key["fingerprint"] == openpgp.fingerprints("good")[0]
    assert re.fullmatch("[0-9A-F]{40}", key["fingerprint"])
    assert key["uids"] == ["Good <good@example.com>"]
    assert key["public_key"] == openpgp.gpg("--armor", "--export-options", "export-minimal", "--export", "good@").decode()
    assert warnings == []


def test_other_spellings_of_a_key_come_to_the_same() -> None:
    text = openpgp.public_key("good")
    expected, _ = made(text)
    binary = openpgp.gpg("--dearmor", data=text.encode())
    spellings = [
        text.replace("\n", "\r\n"),
        text.replace("\n\n", "\n", 1),
        text.replace("\n\n", "\nVersion: GnuPG v2\n\n", 1),
        f"\n\n{text}\n",
        base64.b64encode(binary).decode(),
        base64.encodebytes(binary).decode(),
        expected["public_key"],
        text.replace("\n\n", "\nVersion: \n\n", 1),
        text.replace("\n\n", "\nVersion:\nComment: \nX-Née: é\n\n", 1),
        text.replace("\n\n", "\nVersion: \n", 1),
        text.replace("\n\n", "\n \t\n", 1),
        f"\ufeff{text}",
        f"\ufeff{base64.b64encode(binary).decode()}",
        text.replace("\n", "\r"),
    ]
    for spelling in spellings:
        assert made(spelling)[0] == expected


def test_derived_members_are_ignored_whatever_they_hold() -> None:
    expected = made(openpgp.public_key("good"))
    for fingerprint, uids in (("0" * 40, ["Somebody"]), (1, None), ({}, [1])):
        assert made(openpgp.public_key("good"), fingerprint=fingerprint, uids=uids) == expected


def test_signatures_of_others_and_revoked_user_ids_are_left_out() -> None:
    openpgp.public_key("signed"), openpgp.public_key("friend")
    fingerprint = openpgp.fingerprints("signed")[0]
    openpgp.gpg("--default-key", openpgp.fingerprints("friend")[0], "--yes", "--quick-sign-key", fingerprint)
    openpgp.gpg("--quick-add-uid", fingerprint, "Zoë: 2nd <zoe@example.com>")
    openpgp.gpg("--quick-add-uid", fingerprint, "Gone <gone@example.com>")
    openpgp.gpg("--quick-revoke-uid", fingerprint, "Gone <gone@example.com>")
    key, _ = made(openpgp.exported("signed"))
    assert sorted(key["uids"]) == ["Signed <signed@example.com>", "Zoë: 2nd <zoe@example.com>"]
    listing = openpgp.gpg("--list-packets", data=key["public_key"].encode()).decode()
    assert openpgp.fingerprints("friend")[0][-16:] not in listing
    assert (
        openpgp.fingerprints("friend")[0][-16:]
        in openpgp.gpg("--list-packets", data=openpgp.exported("signed").encode()).decode()
    )


@pytest.mark.parametrize(
    ("name", "code"),
    [("signer", "cannot_encrypt"), ("expired", "expired"), ("worn", "expired"), ("revoked", "revoked"), ("weak", "weak_key")],
)
def test_keys_that_nothing_should_be_encrypted_to(name: str, code: str) -> None:
    assert refused(openpgp.public_key(name)) == [(SemanticError, code, TEXT)]


def test_a_key_is_judged_as_gpg_holds_it_after_the_import() -> None:
    text = openpgp.public_key("withdrawn")
    assert refused(text) == []
    for revoked in (text + openpgp.revocation("withdrawn"), openpgp.revocation("withdrawn") + text):
        assert refused(revoked) == [(SemanticError, "revoked", TEXT)]


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("future", "not_yet_valid", r"was made at 2099-01-01 00:00:\d\d UTC.*Look at the clock"),
        ("half-future", "not_yet_valid", r"was made at 2099-01-01 00:00:\d\d UTC.*Look at the clock"),
        ("nameless", "cannot_encrypt", "has no user id"),
        ("signer", "cannot_encrypt", "can only sign"),
        ("expired", "expired", "is expired"),
    ],
)
def test_what_is_wrong_with_a_key_is_said(name: str, code: str, words: str) -> None:
    with pytest.raises(SemanticError) as caught:
        made(openpgp.public_key(name))
    [problem] = caught.value.problems
    assert problem.code == code
    assert re.search(words, problem.message)


def test_a_clock_that_is_behind_is_not_an_expired_key(tmp_path: Path) -> None:
    with (tmp_path / "plain").open("w+b") as plain, (tmp_path / "into").open("wb") as into:
        for name, code, words in (("future", "encryption_check", "clock"), ("expired", "key_expired", "expired")):
            with pytest.raises(BackupError, match=words) as caught:
                to_certificate(plain, openpgp.public_key(name), into)
            assert caught.value.code == code
    assert (tmp_path / "into").stat().st_size == 0


def test_a_private_key_is_refused_and_not_kept(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert refused(openpgp.private_key("good")) == [(SemanticError, "secret_key", TEXT)]
    binary = openpgp.gpg("--dearmor", data=openpgp.private_key("good").encode())
    assert refused(base64.b64encode(binary).decode()) == [(SemanticError, "secret_key", TEXT)]
    assert list(tmp_path.iterdir()) == []


def test_one_certificate_and_no_more() -> None:
    assert refused(openpgp.public_key("good") + openpgp.public_key("other")) == [(SemanticError, "contradiction", TEXT)]


@pytest.mark.parametrize("text", ["", "hello", "aGVsbG8gd29ybGQ=", "-----BEGIN PGP PUBLIC KEY BLOCK-----", "é" * 100])
def test_what_is_no_key_is_a_bad_format(text: str) -> None:
    assert refused(text) == [(InvalidBody, "format", TEXT)]


def test_a_long_text_is_refused_unread() -> None:
    assert refused("x" * 65_537) == [(InvalidBody, "length", TEXT)]


def test_a_key_that_expires_soon_is_warned_of() -> None:
    assert made(openpgp.public_key("soon"))[1] == ["expires_soon"]


@pytest.mark.parametrize(("name", "end"), [("rotated", None), ("expired", 1_579_564_800), ("worn", 1_579_564_800)])
def test_the_end_of_a_key_is_that_of_what_encrypts(name: str, end: int | None) -> None:
    [certificate] = gpg.certificates(openpgp.public_key(name).encode())
    assert certificate.end == end


def test_without_gpg_encryption_can_only_be_off(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    text = openpgp.public_key("good")
    monkeypatch.setattr(gpg, "installed", lambda: False)
    with pytest.raises(SemanticError) as caught:
        rig.put(rig.candidate(), NAME, body(text))
    expected = Problem("gpg_absent", "gpg is not installed on the appliance.", "/encryption/enabled", ROOT + NAME)
    assert caught.value.problems == (expected,)
    rig.put(rig.candidate(), NAME, {"encryption": {"enabled": False}})


def test_encryption_to_nobody_waits_for_the_commit(rig: Rig) -> None:
    for sent in ({"enabled": True}, {"enabled": True, "gpg_public_key": None}):
        candidate = rig.candidate()
        rig.put(candidate, NAME, {"encryption": sent})
        with pytest.raises(SemanticError) as caught:
            rig.commit(candidate)
        assert [(p.code, p.path, p.pointer) for p in caught.value.problems] == [
            ("required_with", ROOT + NAME, "/encryption/gpg_public_key")
        ]


def warnings(report: Any) -> list[tuple[str, str]]:
    return [(warning["code"], warning["path"].removeprefix(ROOT)) for warning in report.warnings]


def test_backups_in_clear_are_warned_of(rig: Rig) -> None:
    candidate = rig.candidate()
    key = rig.post(candidate, "policies/backup_policies", BACKUP_NFS)
    rig.put(candidate, BACKUP, {"backup_policy": key})
    assert ("backup_in_clear", BACKUP) in warnings(rig.commit(candidate))
    assert rig.value(BACKUP) == {"backup_policy": key}
    assert not [
        code for code, _ in warnings(rig.committed((NAME, body(openpgp.public_key("good"))))) if code == "backup_in_clear"
    ]
    assert ("backup_in_clear", NAME) in warnings(rig.committed((NAME, {"encryption": {"enabled": False}})))
    assert warnings(rig.committed((BACKUP, {"backup_policy": None}))) == []
    assert warnings(rig.committed((NAME, body(openpgp.public_key("good"))), (NAME, {"encryption": {"enabled": False}}))) == []


def test_a_policy_without_start_times_is_warned_of(rig: Rig) -> None:
    candidate = rig.candidate()
    key = rig.post(candidate, "policies/backup_policies", {**BACKUP_NFS, "start_times": []})
    rig.put(candidate, BACKUP, {"backup_policy": {"key": key, "meta": {"href": f"{ROOT}policies/backup_policies/{key}"}}})
    assert ("no_start_time", BACKUP) in warnings(rig.commit(candidate))
    candidate = rig.candidate()
    rig.put(candidate, "policies/backup_policies", {**BACKUP_NFS, "start_times": ["01:30"]}, key)
    assert "no_start_time" not in dict(warnings(rig.commit(candidate)))


def test_nodes_of_a_cluster_that_share_a_directory_are_warned_of(rig: Rig) -> None:
    candidate = rig.candidate()
    key = rig.post(candidate, "policies/backup_policies", {**BACKUP_NFS, "include_node_id_in_path": False})
    rig.put(candidate, BACKUP, {"backup_policy": key})
    assert "same_directory" not in dict(warnings(rig.commit(candidate)))
    for number, warned in ((1, False), (2, True)):  # Central Management, and a node that it accepts
        candidate = rig.candidate()
        place = Place(nodes.PATH, f"46f97a58-4028-467d-9a22-9cfe78ae3e1{number}")
        candidate.put(place, TREE.load(place, {"address": f"10.0.0.{number}", "roles": []}))
        assert (("same_directory", BACKUP) in warnings(rig.commit(candidate))) == warned
    candidate = rig.candidate()
    rig.put(candidate, "policies/backup_policies", {**BACKUP_NFS, "include_node_id_in_path": True}, key)
    assert "same_directory" not in dict(warnings(rig.commit(candidate)))


def test_a_policy_in_use_is_not_deleted(rig: Rig) -> None:
    candidate = rig.candidate()
    key = rig.post(candidate, "policies/backup_policies", BACKUP_NFS)
    rig.put(candidate, BACKUP, {"backup_policy": key})
    with pytest.raises(SemanticError) as caught:
        rig.delete(candidate, "policies/backup_policies", key)
    assert [problem.code for problem in caught.value.problems] == ["referenced"]
    with pytest.raises(SemanticError) as unknown:
        rig.put(candidate, BACKUP, {"backup_policy": "nothing"})
    assert [problem.code for problem in unknown.value.problems] == ["unknown_reference"]


def test_the_newest_usable_subkey_is_encrypted_to() -> None:
    [certificate] = gpg.certificates(openpgp.public_key("rotated").encode())
    primary, older, newer = openpgp.fingerprints("rotated")
    assert [certificate.primary.fingerprint, *(key.fingerprint for key in certificate.subkeys)] == [primary, older, newer]
    assert certificate.recipient is not None
    assert certificate.recipient.fingerprint == newer


def test_the_stored_body_is_read_back_as_it_was(rig: Rig) -> None:
    rig.committed((NAME, body(openpgp.public_key("good"))))
    shown = rig.value(NAME)
    assert shown == {"encryption": {"enabled": True, "gpg_public_key": made(openpgp.public_key("good"))[0]}}
    again = rig.restarted()
    assert again.value(NAME) == shown
    assert encryption.is_encrypted(again.pipeline.running.snapshot)
    assert again.committed((NAME, shown)).revision == again.number
