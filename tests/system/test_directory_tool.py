"""``/api/tools/ldaptest``: a node asks a real slapd as its committed policy says, with the stored password and authority."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.pki import Authority
from tests.support.server import Client
from tests.system.slapd_support import ALICE_PASSWORD, BASE, BINDER, BINDER_PASSWORD, Slapd

if TYPE_CHECKING:
    from collections.abc import Iterator

POSIX = {
    "selection": "posix", "username_attribute": "uid", "memberof_check": {"enabled": False},
    "membership_check": {"enabled": True, "member_uid_attribute": "memberUid"},
}  # fmt: skip


@pytest.fixture(scope="module")
def slapd(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Slapd]:
    made = Slapd(tmp_path_factory.mktemp("slapd") / "ldap", authority).start()
    yield made
    made.stop()


def posted(admin: Client, store: str, value: dict[str, Any]) -> str:
    answer = admin.send("POST", f"/api/configuration/{store}", value)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["key"])


def directory(admin: Client, slapd: Slapd, name: str, signer: str | None) -> str:
    """Commit a directory whose certificate somebody must have signed; None: anybody whom the system trusts."""
    check = {"enabled": True, "server_certificate_ca": signer and posted(admin, "x509", {"certificate": signer})}
    value = {
        "name": name,
        "servers": [{"host": {"selection": "ip", "value": "127.0.0.1"}, "port": slapd.port}],
        "encryption": {"selection": "starttls", "server_certificate_check": check},
        "bind_dn": BINDER,
        "bind_password": posted(admin, "passwords", {"plain": BINDER_PASSWORD}),
        "user_base_dn": f"ou=people,{BASE}",
        "group_base_dn": f"ou=groups,{BASE}",
        "schema": POSIX,
    }
    key = posted(admin, "policies/ldap_servers", value)
    committed = admin.commit()
    assert committed.status_code == 200, committed.text
    return key


def tried(admin: Client, key: str, **order: str) -> dict[str, Any]:
    answer = admin.send("POST", "/api/tools/ldaptest", {"ldap_server": key, **order})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()["body"]
    return body


def test_a_user_is_known_by_the_password_alone(admin: Client, slapd: Slapd, authority: Authority) -> None:
    key = directory(admin, slapd, "people", authority.pem)
    assert tried(admin, key)["result"] == "ok"
    assert tried(admin, key, username="alice")["groups"] == ["dba"]
    found = tried(admin, key, username="alice", password=ALICE_PASSWORD)
    assert (found["result"], found["code"], found["groups"]) == ("ok", None, ["dba"])
    assert tried(admin, key, username="alice", password="wrong")["code"] == "refused"
    assert tried(admin, key, username="nobody")["code"] == "unknown_user"


@pytest.mark.parametrize("signer", [None, "Somebody else"], ids=["whom the system trusts", "somebody else"])
def test_a_certificate_that_others_signed_is_refused(admin: Client, slapd: Slapd, signer: str | None) -> None:
    key = directory(admin, slapd, f"others{len(signer or '')}", signer and Authority(signer).pem)
    found = tried(admin, key, username="alice", password=ALICE_PASSWORD)
    assert (found["result"], found["code"]) == ("failed", "tls")
    assert ALICE_PASSWORD not in found["message"]
    assert BINDER_PASSWORD not in found["message"]
