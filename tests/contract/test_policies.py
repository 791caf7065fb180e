"""Policies, and the keys and certificates that they refer to, over the wire (configuration contract, sections 9 and 11)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.contract.wire import GROUPS, PASSWORDS, TRANSACTION, Caller, make_user
from tests.unit.configuration.material import certificate, key, pem, text
from tests.unit.configuration.policies.checks import changed, expanded
from tests.unit.configuration.policies.samples import (
    ALWAYS,
    ARCHIVE,
    AUDIT,
    AUDIT_DEFAULT,
    BACKUP,
    BACKUP_NFS,
    BACKUP_SMB,
    LDAP,
    OFFICE,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.server import Server

POLICIES = "/api/configuration/policies"
KEYS, CERTIFICATES = "/api/configuration/private_keys", "/api/configuration/x509"
DIRECTORIES = f"{POLICIES}/ldap_servers"
AUDITS, BACKUPS, TIMES = (f"{POLICIES}/{name}_policies" for name in ("audit", "backup", "time"))
BUILT_IN = f"{AUDITS}/78101850949e47437dd91d"
SECRET = "wfz8-only-the-share-knows"
PLAIN: dict[str, Any] = {
    f"{POLICIES}/archive_cleanup_policies": ARCHIVE,
    AUDITS: {**AUDIT_DEFAULT, "name": "other"},
    BACKUPS: BACKUP_NFS,
    DIRECTORIES: LDAP,
    TIMES: OFFICE,
}


def made(caller: Caller, store: str, value: Any) -> str:
    return str(caller.post(store, value).ok(201).json["key"])


def password(caller: Caller) -> str:
    return made(caller, PASSWORDS, {"plain": SECRET})


def identity(caller: Caller) -> str:
    return made(
        caller, CERTIFICATES, {"certificate": text(certificate("x", key("rsa-2048"))), "private_key": pem(key("rsa-2048"))}
    )


def signed(identity: str, name: str = "signed") -> dict[str, Any]:
    return {**AUDIT_DEFAULT, "name": name, "signing": {"enabled": True, "x509_identity": identity}}


@pytest.mark.parametrize("path", PLAIN)
def test_a_policy_is_answered_as_it_was_sent(admin: Caller, path: str) -> None:
    answer = admin.post(path, PLAIN[path]).ok(201)
    assert answer.json["body"] == PLAIN[path]
    href = f"{path}/{answer.json['key']}"
    assert answer.header("Location") == answer.meta["href"] == href
    assert answer.meta["last"] == href
    assert admin.body(href) == PLAIN[path]
    assert admin.get(path).ok().json["items"][-1] == {
        "body": PLAIN[path],
        "key": answer.json["key"],
        "meta": {"href": href},
    }
    admin.commit().ok()
    admin.put(href, PLAIN[path], headers={"Prefer": "handling=strict"}).ok()
    assert admin.changes() == []
    admin.delete(href).ok()
    assert [(change["type"], change["path"]) for change in admin.changes()] == [("delete", href)]
    admin.commit().ok()
    admin.get(href).is_error(404, "NotFound")


def test_the_built_in_policies(admin: Caller) -> None:
    assert admin.get(TIMES).json["items"] == [{"body": ALWAYS, "key": "-100", "meta": {"href": f"{TIMES}/-100"}}]
    assert admin.get(AUDITS).json["items"] == [
        {"body": AUDIT_DEFAULT, "key": "78101850949e47437dd91d", "meta": {"href": BUILT_IN}}
    ]
    admin.put(f"{TIMES}/-100", {**ALWAYS, "Sun": []}).refuses("SemanticError", ("built_in", "/Sun"))
    admin.delete(f"{TIMES}/-100").refuses("SemanticError", ("built_in", ""))
    admin.put(BUILT_IN, {**AUDIT_DEFAULT, "name": "x"}).refuses("SemanticError", ("built_in", "/name"))
    admin.delete(BUILT_IN).refuses("SemanticError", ("built_in", ""))
    assert admin.status() == "closed"
    admin.put(BUILT_IN, {**AUDIT_DEFAULT, "signing_and_timestamping_interval": 99}).ok()


def test_references_are_shown_expanded_and_taken_either_way(admin: Caller) -> None:
    private, secret = made(admin, KEYS, {"generate": {"selection": "ed25519"}}), password(admin)
    rsync = admin.post(BACKUPS, changed(BACKUP, "target/authentication_key", private)).ok(201)
    assert rsync.json["body"] == changed(BACKUP, "target/authentication_key", expanded("private_keys", private))
    smb = admin.post(BACKUPS, changed(BACKUP_SMB, "target/authentication/password", expanded("passwords", secret))).ok(201)
    assert smb.json["body"] == changed(BACKUP_SMB, "target/authentication/password", expanded("passwords", secret))
    assert admin.body(f"{KEYS}/{private}")["owner"] == rsync.meta["href"]
    assert admin.body(f"{PASSWORDS}/{secret}") | {"created": ""} == {
        "created": "",
        "form": "sealed",
        "owner": smb.meta["href"],
    }


def test_a_warning_names_the_policy(admin: Caller) -> None:
    path = admin.post(BACKUPS, BACKUP_NFS).ok(201).meta["href"]
    found = admin.commit().ok().meta["warnings"]
    assert [(one["code"], one["path"], one["pointer"]) for one in found] == [("unprotected_transport", path, "/target")]
    admin.delete(path).ok()
    admin.commit().ok()


@pytest.mark.parametrize("store", [PASSWORDS, KEYS, CERTIFICATES])
def test_a_store_cannot_be_listed_nor_its_objects_changed(admin: Caller, store: str) -> None:
    admin.get(store).is_error(405, "MethodNotAllowed")
    assert admin.get(store).header("Allow") == "OPTIONS, POST"
    samples = {PASSWORDS: {"plain": SECRET}, KEYS: {"generate": {"selection": "ecdsa-p256"}}}
    href = f"{store}/{made(admin, store, samples.get(store, {'certificate': text(certificate('x', key('ed25519')))}))}"
    meta = admin.get(href).ok().meta
    assert (meta["first"], meta["last"], meta["previous"], meta["next"]) == (href, href, None, None)
    for method in ("PUT", "DELETE"):
        refused = admin.call(method, href, {})
        refused.is_error(405, "MethodNotAllowed")
        assert refused.header("Allow") == "GET, HEAD, OPTIONS"


def test_refusals_of_keys_and_certificates(admin: Caller) -> None:
    weak = certificate("weak", key("rsa-1024"))
    sealed = pem(key("ed25519"), "pkcs8", "x")
    admin.post(KEYS, {"private_key": sealed}).refuses("SemanticError", ("encrypted_key", "/private_key"))
    admin.post(KEYS, {"private_key": "x"}).refuses("InvalidRequestBody", ("format", "/private_key"))
    admin.post(KEYS, {}).refuses("InvalidRequestBody", ("missing", "/private_key"))
    refused = admin.post(CERTIFICATES, {"certificate": text(weak, weak), "private_key": pem(key("ed25519"))})
    refused.refuses(
        "SemanticError", ("weak_key", "/certificate"), ("bad_chain", "/certificate"), ("key_mismatch", "/private_key")
    )
    assert {problem["path"] for problem in refused.error["details"]["errors"]} == {CERTIFICATES}
    assert admin.status() == "closed"


def test_a_certificate_is_shared_and_read_by_whoever_may_read_one_of_its_owners(
    admin: Caller, login: Callable[..., Caller]
) -> None:
    groups = {one["body"]["name"]: one["key"] for one in admin.get(GROUPS).json["items"]}
    make_user(admin, "reader", SECRET, groups["policies-view"])
    make_user(admin, "stranger", SECRET, groups["ssh-write"])
    shared = f"{CERTIFICATES}/{identity(admin)}"
    owners = [admin.post(AUDITS, signed(shared.rpartition("/")[2], name)).ok(201).meta["href"] for name in ("a", "b")]
    admin.commit().ok()
    assert admin.body(shared)["owners"] == sorted(owners)
    assert login("reader", SECRET).get(shared).ok().json["body"]["has_private_key"] is True
    login("stranger", SECRET).get(shared).is_error(403, "Unauthorized")
    for owner in owners:
        admin.get(shared).ok()
        admin.delete(owner).ok()
        admin.commit().ok()
    admin.get(shared).is_error(404, "NotFound")


def test_the_right_to_read_any_owner_is_enough(admin: Caller, login: Callable[..., Caller]) -> None:
    made(admin, GROUPS, {"members": [], "name": "directories"})
    line = {"group": "directories", "objects": [DIRECTORIES], "permission": "read"}
    admin.post("/api/configuration/aaa/acls", line).ok(201)
    group = admin.get(GROUPS).json["items"][-1]["key"]
    make_user(admin, "directory-reader", SECRET, group)
    shared = identity(admin)
    at = "encryption/server_certificate_check/server_certificate_ca"
    owners = [admin.post(DIRECTORIES, changed(LDAP, at, shared)), admin.post(AUDITS, signed(shared))]
    admin.commit().ok()
    reader = login("directory-reader", SECRET)
    assert len(reader.body(f"{CERTIFICATES}/{shared}")["owners"]) == 2
    admin.delete(owners[0].ok(201).meta["href"]).ok()
    admin.commit().ok()
    reader.get(f"{CERTIFICATES}/{shared}").is_error(403, "Unauthorized")
    admin.delete(owners[1].ok(201).meta["href"]).ok()
    admin.commit().ok()


def test_what_a_rule_forbids_is_found_at_the_commit(admin: Caller) -> None:
    bare = made(admin, CERTIFICATES, {"certificate": text(certificate("x", key("ecdsa-p256")))})
    policy = {**signed(bare), "encryption": {"certificates": [bare], "enabled": True}}
    admin.post(AUDITS, policy).ok(201)
    admin.commit().refuses(
        "SemanticError", ("unsuitable", "/encryption/certificates/0"), ("unsuitable", "/signing/x509_identity")
    )
    assert admin.status() == "open"


def shown_everywhere(caller: Caller) -> bytes:
    """Every answer in which a secret could slip out."""
    paths = [TRANSACTION, "/api/transaction/changes", "/api/transaction/plan", "/api/openapi.json", "/api/health_status"]
    paths += [f"/api/revisions/{one['key']}/changes" for one in caller.get("/api/revisions").json["items"]]
    for store in (AUDITS, BACKUPS):
        paths += [store, *(one["meta"]["href"] for one in caller.get(store).json["items"])]
    return b"".join(caller.get(path).ok().body for path in ["/api/revisions", "/api/commits", *paths])


def test_no_secret_is_ever_shown_nor_logged(admin: Caller, server: Server) -> None:
    private = pem(key("ed25519"))
    secrets = [SECRET, *private.splitlines()[1:-1], pem(key("rsa-2048")).splitlines()[3]]
    keyed, secret, own = made(admin, KEYS, {"private_key": private}), password(admin), identity(admin)
    admin.post(BACKUPS, {**changed(BACKUP, "target/authentication_key", keyed), "name": "keyed"}).ok(201)
    admin.post(BACKUPS, {**changed(BACKUP_SMB, "target/authentication/password", secret), "name": "named"}).ok(201)
    admin.post(AUDITS, {**changed(AUDIT, "encryption/certificates", [own]), "signing": signed(own)["signing"]}).ok(201)
    refused = admin.post(BACKUPS, changed(BACKUP_SMB, "target/authentication/password", {"plain": SECRET}))
    refused.refuses("InvalidRequestBody", ("type", "/target/authentication/password"))
    found = refused.body + shown_everywhere(admin)
    admin.commit().ok()
    found += shown_everywhere(admin)
    for href in (f"{KEYS}/{keyed}", f"{PASSWORDS}/{secret}", f"{CERTIFICATES}/{own}"):
        found += admin.get(href).ok().body
    found += "".join([*server.output, *server.errors]).encode()
    found += b"".join(path.read_bytes() for path in server.state.rglob("*") if path.is_file())
    assert [one for one in secrets if one.encode() in found] == []
    assert keyed.encode() in found
