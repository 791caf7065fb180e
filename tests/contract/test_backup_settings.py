"""The key of backups and the policy of the backup, over the wire (configuration contract, sections 7.4 and 7.8)."""

from __future__ import annotations

import pytest

from tests.contract.test_seeds import sample
from tests.contract.wire import Caller, Reply
from tests.support import openpgp
from tests.unit.configuration.policies.samples import BACKUP_NFS

ROOT = "/api/configuration"
ENCRYPTION, SECOND = f"{ROOT}/management/exported_configuration_encryption", "/api/management/exported_configuration_encryption"
BACKUP, POLICIES = f"{ROOT}/management/system_backup", f"{ROOT}/policies/backup_policies"


def test_both_are_off_at_first(admin: Caller) -> None:
    assert admin.body(ENCRYPTION) == {"encryption": {"enabled": False}}
    assert admin.body(BACKUP) == {"backup_policy": None}


@pytest.mark.parametrize("path", [ENCRYPTION, SECOND])
def test_a_key_is_answered_as_in_the_sample(admin: Caller, path: str) -> None:
    text = openpgp.public_key("good")
    sent = {"encryption": {"enabled": True, "gpg_public_key": {"public_key": text, "fingerprint": "ignored"}}}
    answer = admin.put(path, sent, headers={"Prefer": "handling=strict"}).ok().json
    key = answer["body"]["encryption"].pop("gpg_public_key")
    assert answer["body"] == {"encryption": {"enabled": True}}
    assert answer["meta"] == sample("exported_configuration_encryption")["meta"]
    assert (key["fingerprint"], key["uids"]) == (openpgp.fingerprints("good")[0], ["Good <good@example.com>"])
    assert key["public_key"].startswith("-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n")
    whole = {"encryption": {"enabled": True, "gpg_public_key": key}}
    assert admin.body(ENCRYPTION) == admin.body(SECOND) == whole
    admin.put(SECOND, whole).ok()
    admin.commit().ok()
    assert admin.put(ENCRYPTION, whole).ok().json["body"] == whole
    assert admin.changes() == []


def test_keys_are_refused_with_the_place_in_the_body(admin: Caller) -> None:
    at = "/encryption/gpg_public_key/public_key"

    def put(text: str, path: str = ENCRYPTION) -> Reply:
        return admin.put(path, {"encryption": {"enabled": True, "gpg_public_key": {"public_key": text}}})

    put("hello").refuses("InvalidRequestBody", ("format", at))
    refused = put(openpgp.private_key("good"), SECOND)
    refused.refuses("SemanticError", ("secret_key", at))
    assert refused.error["details"]["errors"][0]["path"] == ENCRYPTION
    admin.put(ENCRYPTION, {"encryption": {"enabled": True}}).ok()
    admin.commit().refuses("SemanticError", ("required_with", "/encryption/gpg_public_key"))


def test_the_policy_is_shown_as_a_bare_key(admin: Caller) -> None:
    key = admin.post(POLICIES, {**BACKUP_NFS, "name": "bare"}).ok(201).json["key"]
    for sent in (key, {"key": key, "meta": {"href": f"{POLICIES}/{key}"}}):
        answer = admin.put(BACKUP, {"backup_policy": sent}).ok().json
        assert answer == {**sample("system_backup"), "body": {"backup_policy": key}}
    admin.put(BACKUP, {"backup_policy": "nothing"}).refuses("SemanticError", ("unknown_reference", "/backup_policy"))
    admin.put(ENCRYPTION, {"encryption": {"enabled": False}}).ok()
    warned = admin.commit().ok().meta["warnings"]
    assert ("backup_in_clear", BACKUP) in [(warning["code"], warning["path"]) for warning in warned]
    admin.put(BACKUP, {"backup_policy": None}).ok()
    admin.delete(f"{POLICIES}/{key}").ok()
    admin.commit().ok()
