"""A stored secret goes nowhere new, unless whoever commits may do everything or brings it anew."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

import pytest

from doorward.transaction.history import restore
from doorward.transaction.privileged import Committer
from doorward.tree.places import Place
from doorward.tree.problems import SemanticError
from tests.support import openpgp
from tests.unit.configuration.management.samples import EMAIL, RECEIVER
from tests.unit.configuration.policies.checks import ARCHIVES, BACKUPS, LDAPS, changed, identity, password, private_key
from tests.unit.configuration.policies.samples import ARCHIVE, BACKUP, BACKUP_NFS, BACKUP_S3, BACKUP_SMB, HOST_KEY, LDAP_AD, SMB
from tests.unit.transaction.rig import ADMIN, GOOD_PASSWORD, PASSWORDS, ROOT, USERS, Rig

if TYPE_CHECKING:
    from doorward.transaction.candidate import Candidate

JANE = Committer("jane")
MAIL, SYSLOG, SYSTEM_BACKUP = "management/email", "management/syslog", "management/system_backup"
ENCRYPTION = "management/exported_configuration_encryption"
OTHER_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE1BSyTQsQvh2lkHSY7JDxWRXIaHq6fP7f7LrFvFzmbI"
OTHER = {"selection": "fqdn", "value": "mail.attacker.example"}
UNCHECKED = {"enabled": False}
TLS = {"selection": "starttls", "client_authentication": {"enabled": False}, "server_certificate_check": {"enabled": True}}
MAILING = {**EMAIL, "smtp_encryption": TLS}
LOGGING = {"receivers": [changed(RECEIVER, "transport/server_certificate_check", {"enabled": True})]}
LDAP = changed(LDAP_AD, "encryption/server_certificate_check", {"enabled": True})
ARCHIVING = {**ARCHIVE, "target": SMB}

SECRETS: dict[str, tuple[str, dict[str, Any], str, Any]] = {
    "mail": (MAIL, MAILING, "smtp_auth/password", password),
    "syslog": (SYSLOG, LOGGING, "receivers/0/transport/client_authentication/x509_identity", identity),
    "ldap": (LDAPS, LDAP, "bind_password", password),
    "rsync": (BACKUPS, BACKUP, "target/authentication_key", private_key),
    "s3": (BACKUPS, BACKUP_S3, "target/secret_access_key", password),
    "smb": (BACKUPS, BACKUP_SMB, "target/authentication/password", password),
    "archive": (ARCHIVES, ARCHIVING, "target/authentication/password", password),
}
ELSEWHERE: list[tuple[str, str, Any]] = [
    ("mail", "smtp_server", OTHER),
    ("mail", "smtp_port", 2525),
    ("mail", "smtp_encryption", {"selection": "disabled"}),
    ("mail", "smtp_encryption/selection", "tls"),
    ("mail", "smtp_encryption/server_certificate_check", UNCHECKED),
    ("syslog", "receivers/0/address", OTHER),
    ("syslog", "receivers/0/port", 6515),
    ("syslog", "receivers/0/transport/server_certificate_check", UNCHECKED),
    ("ldap", "servers/0/host", OTHER),
    ("ldap", "servers/0/port", 3890),
    ("ldap", "encryption", {"selection": "disabled"}),
    ("ldap", "encryption/server_certificate_check", UNCHECKED),
    ("rsync", "target/server", OTHER),
    ("rsync", "target/port", 2222),
    ("rsync", "target/server_host_keys", [OTHER_KEY]),
    ("rsync", "target/server_host_keys", [HOST_KEY, OTHER_KEY]),
    ("s3", "target/endpoint", "https://s3.attacker.example"),
    ("s3", "target/bucket", "another"),
    ("s3", "target/path_style", False),
    *((kind, f"target/{at}", value) for kind in ("smb", "archive") for at, value in (
        ("server", OTHER), ("port", 4455), ("encryption", False), ("protocol_version", "3.0"),
        ("authentication/domain", "ATTACKER"),
    )),
]  # fmt: skip
BOTH_WAYS = [case for case in ELSEWHERE if case[2] != [HOST_KEY, OTHER_KEY]][::3]
SAME: list[tuple[str, str, Any]] = [
    ("mail", "admin_address", "another@example.com"),
    ("mail", "smtp_auth/username", "another"),
    ("syslog", "receivers/0/message_format", "rfc5424"),
    ("ldap", "user_base_dn", "ou=others,dc=example,dc=com"),
    ("rsync", "target/path", "/srv/elsewhere"),
    ("rsync", "start_times", []),
    ("smb", "target/share", "other"),
    ("s3", "target/prefix", "elsewhere"),
    ("s3", "target/object_lock", {"enabled": False}),
    ("archive", "retention_days", 2),
]


def names(cases: list[tuple[str, str, Any]]) -> list[str]:
    return [f"{kind}-{at}-{number}" for number, (kind, at, _) in enumerate(cases)]


def put(value: Any, at: str, new: Any) -> Any:
    """A copy of a body with another value at a path like ``receivers/0/port``."""
    name, _, rest = at.partition("/")
    index: Any = int(name) if isinstance(value, list) else name
    copied = deepcopy(value)
    copied[index] = put(copied[index], rest, new) if rest else new
    return copied


class Owner:
    """One secret where it belongs, committed by somebody who may do everything."""

    def __init__(self, rig: Rig, kind: str) -> None:
        self.rig = rig
        self.path, body, self.at, self.make = SECRETS[kind]
        candidate = rig.candidate()
        self.secret = self.make(rig, candidate)
        self.body = put(body, self.at, self.secret)
        self.key = self.write(candidate, self.body)
        rig.commit(candidate)

    def write(self, candidate: Candidate, body: Any) -> str:
        """Write the body, at the place where it is, or make the object."""
        if self.path in {MAIL, SYSLOG}:
            self.rig.put(candidate, self.path, body)
            return ""
        if hasattr(self, "key"):
            self.rig.put(candidate, self.path, body, self.key)
            return self.key
        return self.rig.post(candidate, self.path, body)

    @property
    def place(self) -> Place:
        return Place(ROOT + self.path, self.key)

    @property
    def required(self) -> tuple[str, str, str]:
        """The problem of a secret that would go elsewhere."""
        return "secret_required", self.place.href, f"/{self.at}"


def found(rig: Rig, candidate: Candidate, by: Committer = JANE) -> list[tuple[str, str, str]]:
    """What plan and commit alike say is wrong; nothing is changed then."""
    planned = [(p.code, p.path, p.pointer) for p in rig.pipeline.plan(candidate, by=by).problems]
    number = rig.number
    if not planned:
        rig.commit(candidate, by.account, everything=by.everything)
        return []
    with pytest.raises(SemanticError) as refused:
        rig.commit(candidate, by.account, everything=by.everything)
    assert [(p.code, p.path, p.pointer) for p in refused.value.problems] == planned
    assert rig.number == number
    return planned


@pytest.mark.parametrize(("kind", "at", "value"), ELSEWHERE, ids=names(ELSEWHERE))
def test_a_secret_stays_with_its_destination(rig: Rig, kind: str, at: str, value: Any) -> None:
    owner = Owner(rig, kind)
    candidate = rig.candidate()
    owner.write(candidate, put(owner.body, at, value))
    assert found(rig, candidate) == [owner.required]
    owner.write(candidate, put(put(owner.body, at, value), owner.at, owner.make(rig, candidate)))
    assert found(rig, candidate) == []


@pytest.mark.parametrize(("kind", "at", "value"), BOTH_WAYS, ids=names(BOTH_WAYS))
def test_whoever_may_do_everything_takes_it_along(rig: Rig, kind: str, at: str, value: Any) -> None:
    owner = Owner(rig, kind)
    candidate = rig.candidate()
    owner.write(candidate, put(owner.body, at, value))
    assert found(rig, candidate, ADMIN) == []
    candidate = rig.candidate()
    owner.write(candidate, owner.body)
    assert found(rig, candidate) == [owner.required], "going back is a change of destination as well"


@pytest.mark.parametrize(("kind", "at", "value"), SAME, ids=names(SAME))
def test_what_is_no_destination_can_be_changed(rig: Rig, kind: str, at: str, value: Any) -> None:
    owner = Owner(rig, kind)
    candidate = rig.candidate()
    owner.write(candidate, put(owner.body, at, value))
    assert found(rig, candidate) == []


def test_to_accept_less_is_no_change_of_destination(rig: Rig) -> None:
    rsync, ldap = Owner(rig, "rsync"), Owner(rig, "ldap")
    two = [{"host": OTHER, "port": 636}, *ldap.body["servers"]]
    candidate = rig.candidate()
    rsync.write(candidate, put(rsync.body, "target/server_host_keys", [HOST_KEY, OTHER_KEY]))
    ldap.write(candidate, put(ldap.body, "servers", two))
    assert found(rig, candidate, ADMIN) == []
    candidate = rig.candidate()
    rsync.write(candidate, put(rsync.body, "target/server_host_keys", [OTHER_KEY]))
    ldap.write(candidate, put(ldap.body, "servers", two[::-1]))
    assert found(rig, candidate) == []
    candidate = rig.candidate()
    ldap.write(candidate, put(ldap.body, "servers", two[:1]))
    assert found(rig, candidate) == []


def test_only_the_net_difference_counts(rig: Rig) -> None:
    owner = Owner(rig, "mail")
    candidate = rig.candidate()
    owner.write(candidate, put(owner.body, "smtp_server", OTHER))
    owner.write(candidate, put(owner.body, "admin_address", "another@example.com"))
    assert found(rig, candidate) == []
    mine, theirs = rig.candidate(), rig.candidate()
    rig.put(mine, MAIL, put(rig.value(MAIL), "alerting_address", "x@example.com"))
    rig.put(theirs, MAIL, put(rig.value(MAIL), "smtp_server", OTHER))
    assert found(rig, theirs, ADMIN) == []
    assert found(rig, mine) == [], "the destination changed before, by somebody who may"


@pytest.mark.parametrize("kind", ["rsync", "s3", "smb", "ldap", "archive"])
def test_a_secret_does_not_move_to_an_object_that_replaces_its_own(rig: Rig, kind: str) -> None:
    owner = Owner(rig, kind)
    candidate = rig.candidate()
    rig.delete(candidate, owner.path, owner.key)
    again = rig.post(candidate, owner.path, {**owner.body, "name": "again"})
    assert found(rig, candidate) == [("secret_required", f"{ROOT}{owner.path}/{again}", f"/{owner.at}")]


def test_a_secret_does_not_move_to_a_place_of_another_kind(rig: Rig) -> None:
    mail, candidate = Owner(rig, "mail"), rig.candidate()
    rig.put(candidate, MAIL, {**mail.body, "smtp_auth": {"enabled": False}})
    key = rig.post(candidate, BACKUPS, put(BACKUP_SMB, "target/authentication/password", mail.secret))
    at = "/target/authentication/password"
    assert found(rig, candidate) == [("secret_required", f"{ROOT}{BACKUPS}/{key}", at)]
    assert found(rig, candidate, ADMIN) == []


def test_a_password_does_not_become_that_of_another_account(rig: Rig) -> None:
    candidate = rig.candidate()
    secret = rig.post(candidate, PASSWORDS, {"plain": GOOD_PASSWORD})
    joe = rig.post(candidate, USERS, {"name": "joe", "password": secret})
    rig.commit(candidate)
    candidate = rig.candidate()
    rig.delete(candidate, USERS, joe)
    jim = rig.post(candidate, USERS, {"name": "jim", "password": secret})
    assert found(rig, candidate) == [("secret_required", f"{ROOT}{USERS}/{jim}", "/password")]


def test_a_certificate_with_its_private_key_stays_and_one_without_is_free(rig: Rig) -> None:
    log, candidate = Owner(rig, "syslog"), rig.candidate()
    mail = put(MAILING, "smtp_auth", {"enabled": False})
    at = "smtp_encryption/client_authentication"
    rig.put(candidate, MAIL, put(mail, at, {"enabled": True, "x509_identity": log.secret}))
    assert found(rig, candidate) == [("secret_required", ROOT + MAIL, f"/{at}/x509_identity")]
    candidate = rig.candidate()
    authority = identity(rig, candidate, with_key=False)
    checked = {"enabled": True, "server_certificate_ca": authority}
    rig.put(candidate, MAIL, put(mail, "smtp_encryption/server_certificate_check", checked))
    assert found(rig, candidate) == []
    candidate = rig.candidate()
    key = rig.post(candidate, LDAPS, put(put(LDAP, "bind_dn", None), "bind_password", None))
    rig.put(candidate, LDAPS, {**rig_body(candidate, key), "encryption": {"selection": "ldaps", **checking(checked)}}, key)
    assert found(rig, candidate) == []


def rig_body(candidate: Candidate, key: str) -> dict[str, Any]:
    document = candidate.snapshot.document(Place(ROOT + LDAPS, key))
    assert document
    value: dict[str, Any] = document.value
    return value


def checking(check: dict[str, Any]) -> dict[str, Any]:
    return {"server_certificate_check": check}


def test_a_second_receiver_does_not_get_to_see_the_identity(rig: Rig) -> None:
    log, candidate = Owner(rig, "syslog"), rig.candidate()
    [receiver] = log.body["receivers"]
    rig.put(candidate, SYSLOG, {"receivers": [{**receiver, "address": OTHER}, receiver]})
    assert found(rig, candidate) == [(log.required[0], log.required[1], log.required[2])]
    rig.put(candidate, SYSLOG, {"receivers": [{**receiver, "message_format": "rfc5424"}]})
    assert found(rig, candidate) == []


def test_a_secret_that_was_let_go_can_be_referred_to_by_nobody(rig: Rig) -> None:
    mail, candidate = Owner(rig, "mail"), rig.candidate()
    rig.put(candidate, MAIL, {**mail.body, "smtp_auth": {"enabled": False}})
    assert found(rig, candidate) == []
    candidate = rig.candidate()
    with pytest.raises(SemanticError, match="There is no"):
        rig.put(candidate, MAIL, mail.body)


def test_what_a_restore_of_a_revision_put_back_needs_everything_at_the_commit_too(rig: Rig) -> None:
    mail, candidate = Owner(rig, "mail"), rig.candidate()
    number = rig.number
    rig.put(candidate, MAIL, {**mail.body, "smtp_auth": {"enabled": False}})
    rig.commit(candidate)
    candidate = rig.candidate()
    restore(rig.tree, rig.store, candidate, number)
    assert found(rig, candidate) == [mail.required], "whoever lost the right meanwhile"
    assert found(rig, candidate, ADMIN) == []


def test_a_secret_that_nothing_owns_yet_is_for_whoever_committed_it(rig: Rig) -> None:
    candidate = rig.candidate()
    secret = password(rig, candidate)
    rig.commit(candidate, "jane")
    candidate = rig.candidate()
    rig.put(candidate, MAIL, put(MAILING, "smtp_auth/password", secret))
    assert found(rig, candidate, Committer("joe")) == [("secret_required", ROOT + MAIL, "/smtp_auth/password")]
    assert found(rig, candidate) == []


def test_going_back_brings_a_secret_back_to_where_it_went(rig: Rig) -> None:
    mail, candidate = Owner(rig, "mail"), rig.candidate()
    rig.put(candidate, MAIL, {**mail.body, "smtp_auth": {"enabled": False}})
    rig.commit(candidate, "jane", everything=False, confirm_seconds=60)
    rig.confirmations.load()
    rig.confirmations.go_back()
    assert rig.value(MAIL)["smtp_auth"]["password"]["key"] == mail.secret
    assert rig.secrets.text(mail.secret) == "a password of a service"


# Backups in clear


class Backed:
    """A node that makes backups in clear by a policy."""

    def __init__(self, rig: Rig, body: dict[str, Any] = BACKUP_NFS) -> None:
        self.rig, candidate = rig, rig.candidate()
        self.key = rig.post(candidate, BACKUPS, body)
        rig.put(candidate, SYSTEM_BACKUP, {"backup_policy": self.key})
        rig.commit(candidate)

    def change(self, at: str, value: Any) -> Candidate:
        candidate = self.rig.candidate()
        body = self.rig.value(BACKUPS, self.key)
        self.rig.put(candidate, BACKUPS, put(body, at, value), self.key)
        return candidate


def warned(rig: Rig, candidate: Candidate, by: Committer = ADMIN) -> list[tuple[str, str]]:
    report = rig.pipeline.plan(candidate, by=by)
    return [(w.path, w.pointer) for w in report.warnings if w.code == "secrets_leave"]


def test_backups_in_clear_are_moved_by_who_may_do_everything(rig: Rig) -> None:
    backed = Backed(rig)
    place = f"{ROOT}{BACKUPS}/{backed.key}"
    candidate = backed.change("target/server", OTHER)
    assert warned(rig, candidate) == warned(rig, candidate, JANE) == [(place, "/target")]
    assert found(rig, candidate) == [("privilege_required", place, "/target")]
    assert found(rig, candidate, ADMIN) == []


@pytest.mark.parametrize(("at", "value"), [("target/path", "/data/other"), ("name", "x"), ("start_times", ["10:10"])])
def test_what_moves_no_backup_is_free(rig: Rig, at: str, value: Any) -> None:
    backed = Backed(rig)
    candidate = backed.change(at, value)
    assert warned(rig, candidate) == []
    assert found(rig, candidate) == []


def test_another_policy_moves_them_too(rig: Rig) -> None:
    Backed(rig)
    candidate = rig.candidate()
    other = rig.post(candidate, BACKUPS, {**BACKUP_NFS, "name": "other", "target": {**BACKUP_NFS["target"], "server": OTHER}})
    rig.commit(candidate, "jane", everything=False)
    candidate = rig.candidate()
    rig.put(candidate, SYSTEM_BACKUP, {"backup_policy": other})
    assert warned(rig, candidate) == [(ROOT + SYSTEM_BACKUP, "/backup_policy")]
    assert found(rig, candidate) == [("privilege_required", ROOT + SYSTEM_BACKUP, "/backup_policy")]
    rig.put(candidate, SYSTEM_BACKUP, {"backup_policy": None})
    assert found(rig, candidate) == []
    candidate = rig.candidate()
    rig.put(candidate, SYSTEM_BACKUP, {"backup_policy": other})
    assert warned(rig, candidate) == [], "nothing is moved; backup_in_clear says the rest"
    assert found(rig, candidate) == [("privilege_required", ROOT + SYSTEM_BACKUP, "/backup_policy")]


def test_encryption_is_switched_off_by_who_may_do_everything(rig: Rig) -> None:
    candidate = rig.candidate()
    rig.put(
        candidate, ENCRYPTION, {"encryption": {"enabled": True, "gpg_public_key": {"public_key": openpgp.public_key("good")}}}
    )
    rig.commit(candidate)
    backed = Backed(rig)
    assert found(rig, backed.change("target/server", OTHER)) == [], "nobody can open what goes there"
    candidate = rig.candidate()
    rig.put(candidate, ENCRYPTION, {"encryption": {"enabled": False}})
    assert found(rig, candidate) == [("privilege_required", ROOT + ENCRYPTION, "/encryption")]
    assert found(rig, candidate, ADMIN) == []
