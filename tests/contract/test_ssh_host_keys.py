"""``/api/ssh-host-keys`` and ``/api/tools/ldaptest``: what is trusted of servers, and whether a directory answers."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from doorward.sessions.host_keys import fingerprint
from tests.support.ports import free_port

if TYPE_CHECKING:
    from pathlib import Path

    from tests.contract.wire import Caller

KEYS = "/api/ssh-host-keys"


def public_key(directory: Path, kind: str = "ed25519") -> str:
    file = directory / f"key{len(list(directory.iterdir()))}"
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", str(file)], check=True)
    return " ".join(file.with_suffix(".pub").read_text().split()[:2])


def test_a_key_is_trusted_shown_and_forgotten(admin: Caller, tmp_path: Path) -> None:
    key = public_key(tmp_path)
    made = admin.post(KEYS, {"host": "D00::2222:DEAD", "port": 2222, "public_key": f"{key} somebody@somewhere"}).ok(201)
    assert made.json["key"] == "ssh-ed25519-d00::2222:dead:2222"
    href = made.meta["href"]
    body = admin.body(href)
    assert {name: body[name] for name in ("type", "host", "port", "public_key", "fingerprint", "by")} == {
        "type": "ssh-ed25519", "host": "d00::2222:dead", "port": 2222, "public_key": key, "fingerprint": fingerprint(key),
        "by": "admin",
    }  # fmt: skip
    listed = admin.get(KEYS).json
    assert {"body": body, "key": made.json["key"], "meta": {"href": href}} in listed["items"]
    assert listed["meta"]["parent"] == "/api"
    admin.post(KEYS, {"host": "d00::2222:dead", "port": 2222, "public_key": key}).ok(201)
    admin.delete(href).ok()
    admin.get(href).is_error(404, "NotFound")


def test_keys_are_listed_in_pages(admin: Caller, tmp_path: Path) -> None:
    key = public_key(tmp_path)
    made = [admin.post(KEYS, {"host": f"page{number}.example.com", "public_key": key}).ok(201).json["key"] for number in range(3)]
    everything = [item["key"] for item in admin.get(KEYS).json["items"]]
    pages = [admin.get(f"{KEYS}?limit=2&offset={at}").json["items"] for at in range(0, len(everything) + 2, 2)]
    assert [item["key"] for page in pages for item in page] == everything
    assert set(made) <= set(everything)
    assert not pages[-1]
    for wrong in ("limit=0", "limit=1001", "offset=-1", "limit=x"):
        admin.get(f"{KEYS}?{wrong}").is_error(400, "InvalidQuery")
    for name in made:
        admin.delete(f"{KEYS}/{name}").ok()


def test_nothing_replaces_a_key(admin: Caller, tmp_path: Path) -> None:
    first, second = public_key(tmp_path), public_key(tmp_path)
    made = admin.post(KEYS, {"host": "Db1.Example.com", "public_key": first}).ok(201)
    assert made.json["key"] == "ssh-ed25519-db1.example.com:22"
    admin.post(KEYS, {"host": "db1.example.com", "public_key": second}).is_error(409, "Conflict")
    assert admin.body(made.meta["href"])["public_key"] == first
    admin.post(KEYS, {"host": "db1.example.com", "public_key": public_key(tmp_path, "ecdsa")}).ok(201)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"host": "db1"}, "/public_key"),
        ({"host": "a b", "public_key": "ssh-ed25519 AAAA"}, "/host"),
        ({"host": "db1", "public_key": "ssh-ed25519 AAAA"}, "/public_key"),
        ({"host": "db1", "public_key": "ssh-dss AAAAB3NzaC1kc3MAAAAA"}, "/public_key"),
        ({"host": "db1", "port": 0, "scan": True}, "/port"),
    ],
    ids=["nothing", "host", "no key", "weak", "port"],
)
def test_what_is_no_key_of_a_host_is_refused(admin: Caller, body: dict[str, object], pointer: str) -> None:
    refused = admin.post(KEYS, body)
    assert refused.status == 400
    assert pointer in [error["pointer"] for error in refused.json["error"]["details"]["errors"]]


def test_a_scan_trusts_nothing(admin: Caller) -> None:
    before = admin.get(KEYS).json["items"]
    shown = admin.post(KEYS, {"host": "127.0.0.1", "port": free_port(), "scan": True}).ok().json["body"]
    assert (shown["code"], shown["host_keys"]) == ("connect", [])
    assert admin.get(KEYS).json["items"] == before


def test_a_directory_that_is_not_there_is_told_of(admin: Caller) -> None:
    admin.post("/api/tools/ldaptest", {"ldap_server": "none"}).is_error(400, "SemanticError")
    admin.post("/api/transaction").ok()
    body = {
        "name": "people", "servers": [{"host": {"selection": "ip", "value": "127.0.0.1"}, "port": free_port()}],
        "encryption": {"selection": "disabled"}, "user_base_dn": "ou=people,dc=example,dc=com",
        "group_base_dn": "ou=groups,dc=example,dc=com",
        "schema": {"selection": "posix", "membership_check": {"enabled": False}, "memberof_check": {"enabled": False}},
    }  # fmt: skip
    key = admin.post("/api/configuration/policies/ldap_servers", body).ok(201).json["key"]
    admin.commit().ok()
    found = admin.post("/api/tools/ldaptest", {"ldap_server": key, "username": "alice", "password": "x"}).ok().json["body"]
    assert (found["result"], found["code"], found["groups"]) == ("failed", "connect", [])
