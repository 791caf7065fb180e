"""Restores: every check with its code, and that what comes back is what was archived."""

from __future__ import annotations

import json
import subprocess
from datetime import datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Any, Self, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from doorward.access.passwords import matches
from doorward.backup import archive
from doorward.backup.archive import prepare
from doorward.backup.content import HISTORY
from doorward.backup.content import TREE as TREE_FILE
from doorward.backup.failure import BackupError
from doorward.backup.records import Run
from doorward.backup.restore import checking, loading
from doorward.backup.restore.checking import RestoreCheck, check
from doorward.backup.restore.opening import ArchiveRefusedError
from doorward.backup.restore.request import RestoreRequest
from doorward.backup.restore.service import carry_out
from doorward.backup.restore.settling import settle
from doorward.configuration.management import certificates
from doorward.configuration.management._identities import made
from doorward.configuration.network._addresses import addresses
from doorward.host.errors import HostError
from doorward.host.machine import Machine
from doorward.host.resources import File
from doorward.membership import promote
from doorward.store.port import SEALED_FILE, StoredRecord
from doorward.transaction.history import restore as go_back
from doorward.transaction.pipeline import ApplyFailed
from doorward.transaction.startup import node_id
from doorward.tree.places import Place
from doorward.tree.problems import SemanticError
from tests.unit.backup.parts import ENCRYPTION, SHARE_PASSWORD, Site, encrypting
from tests.unit.configuration.policies.samples import BACKUP_NFS
from tests.unit.transaction.rig import GOOD_PASSWORD, GROUPS, ROOT, SERVERS, TREE, USERS, WEB, ZONE, ip

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NAMING, X509, CERTIFICATES = "network/naming", "x509", "management/certificates"
NIC, BACKUP = "network/nics/nic1", "/api/configuration/management/system_backup"
ALL = ["format", "public_key", "password", "content", "signature", "signer", "version", "configuration", "network"]


class FakeArchive:
    """An archive that holds a tree."""

    def __init__(self, tree: dict[str, Any]) -> None:
        self._tree = tree

    def json(self, name: str) -> Any:
        return self._tree if name == TREE_FILE else {}


def restore_request(**changes: Any) -> RestoreRequest:
    return RestoreRequest("admin", "192.0.2.9", **changes)


def archived(site: Site) -> Path:
    """An archive in clear, as somebody who decrypted it has it."""
    return prepare(site.node, site.spool).archive


def test_an_archive_that_no_empty_host_could_take_is_not_made(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def __init__(self, _directory: Path) -> None: ...

        def plan(self, before: list[Any], after: list[Any]) -> None:
            assert not before
            assert {resource.path for resource in after if isinstance(resource, File)} >= {
                "/etc/chrony/sources.d/doorward.sources"
            }
            raise HostError("there is no room for it")

    monkeypatch.setattr("doorward.backup.restore.loading.sandbox", Full)
    with pytest.raises(BackupError, match=r"would not restore.*there is no room for it") as refused:
        archived(site)
    assert refused.value.code == "self_check"


def tried(site: Site, path: Path, **changes: Any) -> RestoreCheck:
    checked = check(site.node, restore_request(**changes), path)
    checked.close()
    return checked


def restored(site: Site, path: Path, **changes: Any) -> RestoreCheck:
    checked = check(site.node, restore_request(**changes), path)
    assert checked.passed, checked.checks
    carry_out(site.node, restore_request(**changes), checked, "")
    checked.close()
    return checked


def outcome(checked: RestoreCheck) -> tuple[list[str], str]:
    """The checks that passed, and the code of the one that did not."""
    assert [check["passed"] for check in checked.checks[:-1]] == [True] * (len(checked.checks) - 1)
    assert not checked.passed
    return [check["check"] for check in checked.checks], checked.failure[0]


def test_what_was_changed_since_is_undone(site: Site) -> None:
    path, before = archived(site.filled()), site.tree()
    rig = site.rig
    candidate = rig.candidate()
    rig.put(candidate, ZONE, "Asia/Tokyo")
    users = candidate.snapshot.objects(ROOT + USERS)
    jane = next(key for key, document in users.items() if document.value["name"] == "jane")
    groups = candidate.snapshot.objects(ROOT + GROUPS)
    rig.delete(candidate, GROUPS, next(key for key, document in groups.items() if document.value["name"] == "operators"))
    rig.delete(candidate, USERS, jane)
    rig.post(candidate, USERS, {"name": "later", "password": rig.post(candidate, "passwords", {"plain": "some other password"})})
    rig.commit(candidate)
    assert site.tree() != before
    number = rig.number
    checked = restored(site, path)
    assert site.tree() == before
    assert [check["check"] for check in checked.checks] == ALL
    assert rig.number == number + 1
    revision = rig.store.head()
    assert revision is not None
    assert (revision.author, revision.address) == ("admin", "192.0.2.9")
    assert revision.message == f"restore of {checked.file_name} ({number - 1})"
    assert checked.file_name == path.name
    assert rig.store.check() == []
    assert site.rig.restarted().value(ZONE) == "Europe/Budapest"


def test_host_keys_and_the_order_of_policies_come_back(site: Site) -> None:
    site.filled()
    rig = site.rig
    rig.committed(("ssh/options", {"service": {"enabled": True}}))
    keys = [one["key"] for one in rig.value("ssh/host_keys")["keys"]]
    texts = [rig.secrets.text(key) for key in keys]
    path, shown = archived(site), rig.pipeline.running.snapshot.keys(f"{ROOT}ssh/connections")
    rig.committed(("ssh/connections", {"@order": [*reversed(shown)]}))
    other = rig.candidate()
    for name in shown:
        rig.delete(other, "ssh/connections", name)
    rig.commit(other)
    restored(site, path)
    assert [rig.secrets.text(one["key"]) for one in rig.value("ssh/host_keys")["keys"]] == texts
    assert rig.pipeline.running.snapshot.keys(f"{ROOT}ssh/connections") == shown
    assert [rig.value("ssh/connections", key)["name"] for key in shown] == ["web", "databases"]


def test_an_order_that_is_none_is_damage(site: Site) -> None:
    opened = {f"{ROOT}ssh/connections/@order": [1]}
    with pytest.raises(ArchiveRefusedError, match="does not hold the order"):
        loading.load(cast("Any", FakeArchive(opened)), TREE, Machine())


def test_an_archive_comes_back_on_another_node(new_site: Callable[[], Site]) -> None:
    site, other = new_site().filled().encrypted(), new_site()
    exported = site.spool / "export"
    archive.export(site.node, exported, "password", "a password of mine")
    before = other.tree()
    checks, code = outcome(tried(other, exported, password="a password of mine"))
    assert (checks, code) == (ALL[:6], "unknown_signer")
    fingerprint = site.node.signing.fingerprint
    message = tried(other, exported, password="a password of mine").failure[1]
    assert fingerprint in message
    assert site.node.id in message
    for another in (other.node.signing.fingerprint, fingerprint[:-1], fingerprint.lower(), f"{fingerprint} ", "SHA256:", ""):
        assert outcome(tried(other, exported, password="a password of mine", accept_signer=another)) == (
            ALL[:6],
            "unknown_signer",
        )
    assert other.tree() == before
    restored(other, exported, password="a password of mine", accept_signer=fingerprint, network="restore")
    assert other.tree() == site.tree()
    again = other.rig.restarted()
    assert again.store.check() == []
    users = again.pipeline.running.snapshot.objects(ROOT + USERS)
    jane = next(document.value for _, document in users.items() if document.value["name"] == "jane")
    assert matches(again.secrets.text(jane["password"]) or "", GOOD_PASSWORD)
    policies = again.pipeline.running.snapshot.objects(ROOT + "policies/backup_policies")
    smb = next(document.value for _, document in policies.items() if document.value["target"]["type"] == "smb")
    assert again.secrets.text(smb["target"]["authentication"]["password"]) == SHARE_PASSWORD


def test_a_trusted_key_needs_no_word(new_site: Callable[[], Site]) -> None:
    site, other = new_site().filled(), new_site()
    key = site.node.signing.all()[0].public_key
    other.node.signing.trust(key)
    restored(other, archived(site), network="restore")
    assert other.tree() == site.tree()


def test_objects_come_back_in_their_old_order(site: Site) -> None:
    rig = site.rig
    candidate = rig.candidate()
    keys = [rig.post(candidate, USERS, {"name": name, "password": None}) for name in ("a", "b", "c", "d", "e")]
    rig.commit(candidate)
    path, before = archived(site), site.tree()
    candidate = rig.candidate()
    for key in (keys[1], keys[2], keys[4]):
        rig.delete(candidate, USERS, key)
    rig.post(candidate, USERS, {"name": "f", "password": None})
    rig.commit(candidate)
    restored(site, path)
    assert site.tree() == before
    assert list(rig.restarted().pipeline.running.snapshot.objects(ROOT + USERS).order)[1:] == keys


def renamed(site: Site, name: str) -> dict[str, Any]:
    """The body of the NIC with another name of its interface."""
    value = site.rig.value(NIC)
    [key] = value["interfaces"]["@order"]
    interfaces = {**value["interfaces"], key: {**value["interfaces"][key], "name": name}}
    return {**value, "interfaces": interfaces}


def test_an_order_with_gaps_comes_back_too(site: Site) -> None:
    rig = site.rig
    candidate = rig.candidate()
    keys = [rig.post(candidate, USERS, {"name": name, "password": None}) for name in ("a", "b", "c", "d", "e")]
    rig.commit(candidate)
    candidate = rig.candidate()
    for key in keys[:2]:
        rig.delete(candidate, USERS, key)
    rig.commit(candidate)
    path, before = archived(site), site.tree()
    candidate = rig.candidate()
    rig.delete(candidate, USERS, keys[4])
    rig.post(candidate, USERS, {"name": "f", "password": None})
    rig.commit(candidate)
    restored(site, path)
    assert site.tree() == before


def test_the_network_stays_unless_it_is_asked_for(site: Site) -> None:
    path, before = archived(site), site.rig.value(NIC)
    value = renamed(site, "renamed")
    site.rig.committed((NIC, value), (WEB, {"timeout": 99}))
    restored(site, path)
    assert site.rig.value(NIC) == value
    assert site.rig.value(WEB) == {"timeout": 10}
    restored(site, path, network="restore")
    assert site.rig.value(NIC) == before != value


def test_addresses_that_services_listen_on_stay_with_the_network_and_come_with_it(site: Site) -> None:
    """Those are of the network interfaces, though they stand in the services."""
    value, interface = site.rig.value(NIC), "local_services/cluster"
    [key] = value["interfaces"]["@order"]
    [first] = value["interfaces"][key]["addresses"]["@order"]
    both = {"@order": [first, "second"], first: "127.0.0.1/8", "second": "127.0.0.2/8"}
    (listened, _), *_ = addresses(site.rig.pipeline.running.snapshot)
    later = listened.replace(first, "second")
    interfaces = {**value["interfaces"], key: {**value["interfaces"][key], "addresses": both}}
    site.rig.committed((NIC, {**value, "interfaces": interfaces}), (interface, {"enabled": True, "listen_address": listened}))
    path = archived(site)
    site.rig.committed((interface, {"enabled": True, "listen_address": later}))
    for network, expected in (("keep", "second"), ("restore", first)):
        restored(site, path, network=network)
        assert site.rig.pipeline.running.snapshot.value(f"{ROOT}{interface}")["listen_address"].endswith(expected), network


def test_a_device_that_is_not_there(new_site: Callable[[], Site], monkeypatch: pytest.MonkeyPatch) -> None:
    site = new_site()
    path = archived(site)
    monkeypatch.setattr(checking, "found_nics", lambda _: ())
    assert outcome(tried(site, path, network="restore")) == (ALL, "device_missing")
    assert tried(site, path).passed


def test_equal_is_no_new_revision(site: Site) -> None:
    path, number = archived(site.filled()), site.rig.number
    restored(site, path)
    assert site.rig.number == number


def test_a_trial_changes_nothing(site: Site) -> None:
    path = archived(site.filled())
    site.rig.committed((ZONE, "Asia/Tokyo"), (SERVERS, [ip("192.0.2.77")]))
    before, running = site.tree(), site.rig.pipeline.running
    checked = tried(site, path)
    assert checked.passed
    assert checked.report is not None
    assert [edit.place.path for edit in checked.report.merged.edits] == [ROOT + SERVERS, ROOT + ZONE]
    assert checked.report.plan.actions
    assert (site.tree(), site.rig.pipeline.running) == (before, running)


def repacked(site: Site, path: Path, change: Callable[[dict[str, bytes]], None], *, sign: bool = True) -> Path:
    """An archive of which somebody changed files, with lists and signatures made again as that needs."""
    import hashlib

    from doorward.backup import container

    files: dict[str, bytes] = {}
    with path.open("rb") as file:
        for name, _, content in container.members(file):
            files[name] = content.read()
    change(files)
    rest = {name: data for name, data in files.items() if not name.startswith("MANIFEST.")}
    if sign:
        inner = json.loads(files["MANIFEST.json"])
        inner["files"] = [
            {"path": name, "sha256": hashlib.sha256(data).hexdigest(), "size": len(data)} for name, data in sorted(rest.items())
        ]
        files["MANIFEST.json"] = json.dumps(inner).encode()
        files["MANIFEST.sig"] = json.dumps(site.node.signing.sign(files["MANIFEST.json"])).encode()
    changed = site.spool / "changed"
    with changed.open("wb") as into:
        container.write(((name, len(data), iter((data,))) for name, data in files.items()), into, 0)
    return changed


def edited(name: str, change: Callable[[Any], None]) -> Callable[[dict[str, bytes]], None]:
    def work(files: dict[str, bytes]) -> None:
        value = json.loads(files[name])
        change(value)
        files[name] = json.dumps(value).encode()

    return work


def product(version: str) -> Callable[[Any], None]:
    return lambda manifest: manifest["product"].update(version=version)


TREE_JSON = "configuration/tree.json"
CHANGES: dict[str, tuple[Any, bool, str]] = {
    "content": (edited(TREE_JSON, lambda tree: tree.update({ROOT + ZONE: "Asia/Tokyo"})), False, "damaged"),
    "more": (lambda files: files.update(more=b""), False, "damaged"),
    "less": (lambda files: files.pop(HISTORY), False, "damaged"),
    "no signature": (lambda files: files.pop("MANIFEST.sig"), False, "damaged"),
    "no manifest": (lambda files: files.pop("MANIFEST.json"), False, "damaged"),
    "manifest": (edited("MANIFEST.json", lambda manifest: manifest["node"].update(fqdn="x")), False, "bad_signature"),
    "signature": (edited("MANIFEST.sig", lambda signature: signature.update(signature="AAAA")), False, "bad_signature"),
    "key": (edited("MANIFEST.sig", lambda signature: signature.update(key="SHA256:x")), False, "bad_signature"),
    "major": (edited("MANIFEST.json", product("1.0.0")), True, "other_major"),
    "minor": (edited("MANIFEST.json", product("0.2.0")), True, "newer_version"),
    "form": (edited("MANIFEST.json", lambda manifest: manifest.update(format="doorward-backup/2")), True, "not_a_backup"),
    "secrets": (edited("secrets/passwords.json", lambda kept: kept.clear()), True, "unsuitable"),
    "zone": (edited(TREE_JSON, lambda tree: tree.update({ROOT + ZONE: "No/Where"})), True, "format"),
    "number": (edited(TREE_JSON, lambda tree: tree.update({ROOT + WEB: {"timeout": -1}})), True, "range"),
    "order": (edited(TREE_JSON, lambda tree: tree[f"{ROOT}{USERS}"].pop("@order")), True, "damaged"),
    "keys": (edited(TREE_JSON, lambda tree: tree.update({ROOT + USERS: {"1": {}, "@order": [1]}})), True, "damaged"),
    "time": (edited("MANIFEST.json", lambda manifest: manifest.update(created="yesterday")), True, "damaged"),
    "no zone": (edited("MANIFEST.json", lambda manifest: manifest.update(created="2026-11-21T23:00:02")), True, "damaged"),
    "node": (edited("MANIFEST.json", lambda manifest: manifest["node"].update(id="../../..")), True, "damaged"),
    "policy": (edited(TREE_JSON, lambda tree: tree.update({BACKUP: {"backup_policy": "x"}})), True, "unknown_reference"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_archives_that_somebody_changed(site: Site, name: str) -> None:
    change, sign, code = CHANGES[name]
    path = repacked(site, archived(site), change, sign=sign)
    before = site.tree()
    assert outcome(tried(site, path))[1] == code
    assert site.tree() == before


def test_an_archive_under_a_name_that_is_not_its_own(site: Site) -> None:
    path = archived(site)
    checked = check(site.node, restore_request(), path, path.name)
    assert checked.passed
    checked.close()
    checked = check(site.node, restore_request(), path, path.name.replace("doorward-20", "doorward-21"))
    assert outcome(checked)[1] == "damaged"
    assert path.name in checked.failure[1]
    checked.close()


A_RUN = {**Run().as_json(), "ended": "2026-11-21T23:00:10Z"}
RUN: dict[str, Any] = {"body": A_RUN, "id": "x", "kind": "backup_run"}
PEER: dict[str, Any] = {"body": {}, "id": "x", "kind": "cluster_peer"}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("backup/runs.jsonl", {**RUN, "body": {**A_RUN, "weather": "fine"}}),
        ("backup/runs.jsonl", {**RUN, "body": {**A_RUN, "files": [{}]}}),
        ("backup/runs.jsonl", {**RUN, "body": {**A_RUN, "result": "perhaps"}}),
        ("backup/runs.jsonl", {**RUN, "body": {**A_RUN, "ended": "today"}}),
        ("backup/runs.jsonl", {**RUN, "body": []}),
        ("cluster/membership.json", {"records": 1}),
        ("cluster/membership.json", {"records": [{**PEER, "body": []}]}),
        ("cluster/membership.json", {"records": [{**PEER, "id": None}]}),
    ],
)
def test_records_that_nobody_could_read_later_are_not_taken(site: Site, name: str, content: Any) -> None:
    def change(files: dict[str, bytes]) -> None:
        whole = content if name.endswith("jsonl") else json.loads(files[name]) | content
        files[name] = json.dumps(whole).encode()

    path = repacked(site, archived(site), change)
    assert outcome(tried(site, path, scope="system"))[1] == "damaged"
    assert tried(site, path).passed


def test_a_node_that_joined_a_cluster_meanwhile_is_not_replaced(site: Site) -> None:
    (address, _), *_ = addresses(site.rig.pipeline.running.snapshot)
    site.rig.committed(("local_services/cluster", {"enabled": True, "listen_address": address}))
    checked = check(site.node, restore_request(scope="system"), archived(site))
    assert checked.passed
    candidate = site.rig.candidate()
    promotion = {"cluster_id": site.node.id, "epoch": 1, "node_id": site.node.id}
    candidate.put(Place(promote.PATH), TREE.load(Place(promote.PATH), promotion))
    site.rig.commit(candidate)
    with pytest.raises(ArchiveRefusedError) as refused:
        carry_out(site.node, restore_request(scope="system"), checked, "")
    checked.close()
    assert refused.value.code == "cluster_member"


def test_who_would_not_come_in_afterwards_is_told(new_site: Callable[[], Site]) -> None:
    def said(name: str, **changes: Any) -> list[str]:
        checked = check(
            other.node, RestoreRequest(name, "192.0.2.9", accept_signer=site.node.signing.fingerprint, **changes), path
        )
        checked.close()
        return [warning.code for warning in checked.warnings]

    site, other = new_site().filled(), new_site()
    rig, path = other.rig, archived(site)
    candidate = rig.candidate()
    for name in ("jane", "gone", "mary"):
        password = None if name == "gone" else rig.post(candidate, "passwords", {"plain": "some other password"})
        rig.post(candidate, USERS, {"name": name, "password": password})
    rig.commit(candidate)
    assert "account_missing" in said("mary")
    assert "other_password" in said("jane")
    assert {"account_missing", "other_password"}.isdisjoint(said("nobody"))
    own = check(site.node, restore_request(), path)
    own.close()
    assert own.warnings == ()


def test_a_restore_that_shuts_out_who_asks_is_refused_before_it_begins(site: Site) -> None:
    closed = {"access_restriction": {"enabled": True, "allowed_from": ["10.9.9.0/24"]}}
    change = edited(TREE_JSON, lambda tree: tree[f"{ROOT}local_services/admin_web"].update(closed))
    assert outcome(tried(site, repacked(site, archived(site), change)))[1] == "locks_out_caller"


@pytest.mark.parametrize(("years", "code"), [(11, "expired"), (-11, "not_yet_valid")])
def test_certificates_whose_time_is_over_or_a_clock_that_is_wrong_prevent_no_backup_and_no_restore(
    years: int, code: str, new_site: Callable[[], Site], monkeypatch: pytest.MonkeyPatch
) -> None:
    site, other = new_site(), new_site()
    candidate = site.rig.candidate()
    keys = {role: site.rig.post(candidate, "x509", pair.model_dump()) for role, pair in made(["node"]).items()}
    authority = {"selection": "identity", "x509_identity": keys["ca"]}
    site.rig.put(candidate, "management/certificates", {"ca": authority, "server": keys["server"], "tsa": keys["tsa"]})
    site.rig.commit(candidate)

    class Later(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return super().now(tz) + timedelta(days=365 * years)

    monkeypatch.setattr(certificates, "datetime", Later)
    checked = restored(other, archived(site), accept_signer=site.node.signing.fingerprint)
    assert [(found.code, found.pointer) for found in checked.warnings if found.path == certificates.PATH][-3:] == [
        (code, "/ca/x509_identity"), (code, "/server"), (code, "/tsa"),
    ]  # fmt: skip
    assert other.rig.value("management/certificates") == site.rig.value("management/certificates")


def test_every_problem_is_told(site: Site) -> None:
    def both(tree: Any) -> None:
        tree[ROOT + ZONE], tree[ROOT + WEB] = "No/Where", {"timeout": -1}

    checked = tried(site, repacked(site, archived(site), edited("configuration/tree.json", both)))
    assert sorted((p.code, p.path, p.pointer) for p in checked.problems) == [
        ("format", ROOT + ZONE, ""),
        ("range", ROOT + WEB, "/timeout"),
    ]


def test_what_a_release_does_not_know_or_brings_anew(site: Site) -> None:
    def older(tree: Any) -> None:
        del tree[ROOT + WEB]
        tree[ROOT + "datetime/sundial"] = {"enabled": True}

    site.rig.committed((WEB, {"timeout": 33}))
    path = repacked(site, archived(site), edited("configuration/tree.json", older))
    checked = restored(site, path)
    assert [(w.code, w.path) for w in checked.warnings if w.path.startswith(ROOT)][:1] == [
        ("unknown_member", ROOT + "datetime/sundial")
    ]
    assert site.rig.value(WEB) == {"timeout": 10}


def test_an_encrypted_archive_tells_what_to_do(site: Site) -> None:
    checked = tried(site, prepare(site.encrypted().node, site.spool).archive)
    assert outcome(checked) == (["format", "public_key"], "encrypted_archive")
    assert "decrypt it with your private key" in checked.failure[1]


def test_the_whole_system_on_a_new_machine(new_site: Callable[[], Site]) -> None:
    site, other = new_site().filled(), new_site()
    for number in range(3):
        site.rig.store.put_record(
            StoredRecord("backup_run", f"run{number}", {"ended": "2026-11-21T23:00:02Z", "result": "succeeded"})
        )
    site.rig.store.put_record(
        StoredRecord("backup_run", "the one that makes the archive", {"ended": None, "status": "preparing"})
    )
    (site.directory / "cluster").mkdir()
    (site.directory / "cluster" / "node-key.pem").write_text("the key of the channel")
    path, fingerprint = archived(site), site.node.signing.fingerprint
    asked: dict[str, Any] = {"scope": "system", "accept_signer": fingerprint, "network": "restore"}
    checks, code = outcome(tried(other, path, **asked))
    assert (checks[-1], code) == ("node", "other_node")
    checked = restored(other, path, take_over=True, **asked)
    assert "node" in [check["check"] for check in checked.checks]
    assert "restart_required" in [warning.code for warning in checked.warnings]
    assert other.tree() == site.tree()
    store = other.rig.store
    assert node_id(store) == site.node.id
    assert [record.id for record in store.records("backup_run")] == ["run2", "run1", "run0"]
    assert (other.directory / "cluster" / "node-key.pem").read_text() == "the key of the channel"
    assert (other.directory / "cluster" / "node-key.pem").stat().st_mode & 0o777 == 0o600
    assert store.records("restored_file") == []
    view = other.view()
    assert view.signing.role(fingerprint) == "former"
    assert view.signing.fingerprint != fingerprint
    assert view.signing.is_own(fingerprint)
    again = check(view, restore_request(scope="system"), path)
    assert again.passed
    again.close()


def test_a_machine_gets_a_certificate_of_its_own(new_site: Callable[[], Site]) -> None:
    """Signed by the authority of the archive, whose clients trust it."""
    site, other = new_site(), new_site()
    site.rig.committed((NAMING, {"hostname": "gone", "domainname": "example.com", "nickname": None}))
    other.rig.committed((NAMING, {"hostname": "new", "domainname": "example.com", "nickname": None}))
    asked: dict[str, Any] = {"scope": "system", "accept_signer": site.node.signing.fingerprint, "take_over": True}
    path, authority = archived(site), certificates.authority(site.rig.pipeline.running.snapshot)
    checked = restored(other, path, new_certificate=True, **asked)
    assert "name_mismatch" not in [warning.code for warning in checked.warnings]
    snapshot = other.rig.pipeline.running.snapshot
    assert certificates.authority(snapshot) == authority
    assert list(certificates.foreign(snapshot, Place(certificates.PATH))) == []
    assert list(certificates.names_missing(snapshot, Place(certificates.PATH))) == []
    key = snapshot.value(certificates.PATH)["server"]
    assert "PRIVATE KEY" in (other.rig.secrets.text(key) or "")
    assert other.rig.store.check() == []


def test_where_the_authority_is_elsewhere_a_machine_gets_one_of_its_own(new_site: Callable[[], Site]) -> None:
    site, other = new_site(), new_site()
    candidate = site.rig.candidate()
    pairs = made(["gone.example.com"])
    keys: dict[str, str] = {
        role: site.rig.post(candidate, X509, pair.model_dump()) for role, pair in pairs.items() if role != "ca"
    }
    keys["ca"] = site.rig.post(candidate, X509, {"certificate": pairs["ca"].certificate})
    body = {"ca": {"selection": "certificate", "x509_certificate": keys["ca"]}, "server": keys["server"], "tsa": keys["tsa"]}
    site.rig.put(candidate, CERTIFICATES, body)
    site.rig.commit(candidate)
    asked: dict[str, Any] = {"scope": "system", "accept_signer": site.node.signing.fingerprint, "take_over": True}
    restored(other, archived(site), new_certificate=True, **asked)
    snapshot = other.rig.pipeline.running.snapshot
    assert snapshot.value(certificates.PATH)["ca"]["selection"] == "identity"
    assert certificates.authority(snapshot) != certificates.authority(site.rig.pipeline.running.snapshot)
    assert list(certificates.foreign(snapshot, Place(certificates.PATH))) == []
    assert list(certificates.names_missing(snapshot, Place(certificates.PATH))) == []


def test_a_file_that_can_not_be_put_in_place_waits_for_the_next_start_and_what_is_restored_is_restored(
    new_site: Callable[[], Site],
) -> None:
    site, other = new_site().filled(), new_site()
    (site.directory / "cluster").mkdir()
    (site.directory / "cluster" / "node-key.pem").write_text("the key of the channel")
    (other.directory / "cluster").write_text("in the way")
    asked: dict[str, Any] = {"scope": "system", "accept_signer": site.node.signing.fingerprint, "take_over": True}
    restored(other, archived(site), **asked, network="restore")
    assert other.tree() == site.tree()
    (other.directory / "cluster").unlink()
    settle(other.directory, other.rig.store, other.rig.secrets)
    assert (other.directory / "cluster" / "node-key.pem").read_text() == "the key of the channel"


def test_files_take_the_place_of_those_that_are_there(new_site: Callable[[], Site]) -> None:
    site, other = new_site().filled(), new_site()
    for directory, text in ((site.directory, "the key of the channel"), (other.directory, "another key")):
        (directory / "cluster").mkdir()
        (directory / "cluster" / "node-key.pem").write_text(text)
    asked: dict[str, Any] = {"scope": "system", "accept_signer": site.node.signing.fingerprint, "take_over": True}
    restored(other, archived(site), **asked)
    assert (other.directory / "cluster" / "node-key.pem").read_text() == "the key of the channel"
    assert not other.rig.store.records(SEALED_FILE)


def revisions(site: Site) -> list[Any]:
    """The history of a node: each revision with its changes, oldest first."""
    store = site.rig.store
    return [(revision, store.edits(revision.number)) for revision in reversed(store.revisions())]


def test_a_node_without_a_history_takes_that_of_the_archive(new_site: Callable[[], Site]) -> None:
    site, other = new_site().filled(), new_site()
    path, before = archived(site), revisions(site)
    own = set(other.rig.pipeline.running.snapshot.objects(ROOT + "x509").order)
    asked: dict[str, Any] = {"scope": "system", "accept_signer": site.node.signing.fingerprint, "take_over": True}
    checked = restored(other, path, **asked, network="restore")
    assert "history_aside" not in [warning.code for warning in checked.warnings]
    rig = other.rig
    for started_anew in (False, True):
        seen = other.rig = rig.restarted() if started_anew else rig
        assert revisions(other)[:-1] == before
        head, changes = revisions(other)[-1]
        assert (head.number, head.parent_hash, head.hash) == (len(before) + 1, before[-1][0].hash, seen.pipeline.running.hash)
        assert head.message == f"restore of {checked.file_name} ({len(before)})"
        assert [edit.place.path for edit in changes] == [ROOT + "passwords"]  # the one that nobody owned is not in the archive
        assert seen.store.check() == []
        assert not any(seen.store.secret(key) for key in own), "nothing refers to what the node had made for itself"
    assert not list((other.directory / "backup").glob("history-*"))


def test_a_history_that_was_taken_goes_on_and_goes_back(new_site: Callable[[], Site]) -> None:
    site, other = new_site().filled(), new_site()
    candidate = site.rig.candidate()
    keys = [site.rig.post(candidate, USERS, {"name": name, "password": None}) for name in ("a", "b", "c")]
    site.rig.commit(candidate)
    candidate = site.rig.candidate()
    site.rig.delete(candidate, USERS, keys[1])
    site.rig.commit(candidate)
    path, last = archived(site), site.rig.number
    asked: dict[str, Any] = {"scope": "system", "accept_signer": site.node.signing.fingerprint, "take_over": True}
    restored(other, path, **asked)
    rig = other.rig
    assert rig.number == last + 1
    rig.committed((ZONE, "Asia/Tokyo"))
    candidate = rig.candidate()
    go_back(TREE, rig.store, candidate, last - 1)
    rig.commit(candidate)
    assert rig.value(ZONE) == "Europe/Budapest"
    for started_anew in (False, True):
        seen = other.rig = rig.restarted() if started_anew else rig
        found = list(seen.pipeline.running.snapshot.objects(ROOT + USERS).order)
        assert found[-3:] == keys, "the one that was gone is back in its place"
        assert seen.store.check() == []
        assert seen.number == last + 3


def test_what_had_an_earlier_secret_does_not_come_back_without_one(new_site: Callable[[], Site]) -> None:
    site, other = new_site().filled(), new_site()
    users = site.rig.pipeline.running.snapshot.objects(ROOT + USERS).items()
    jane, body = next((key, document.value) for key, document in users if document.value["name"] == "jane")
    candidate = site.rig.candidate()
    changed = site.rig.post(candidate, "passwords", {"plain": f"{GOOD_PASSWORD} again"})
    site.rig.put(candidate, USERS, {**body, "password": changed}, jane)
    site.rig.commit(candidate)
    before = site.rig.number - 1
    fingerprint = site.node.signing.fingerprint
    restored(other, archived(site), scope="system", accept_signer=fingerprint, take_over=True)
    candidate = other.rig.candidate()
    go_back(TREE, other.rig.store, candidate, before)
    with pytest.raises(SemanticError) as caught:
        other.rig.commit(candidate)
    assert [(problem.code, problem.path) for problem in caught.value.problems] == [("secret_gone", f"{ROOT + USERS}/{jane}")]
    fresh = other.rig.post(candidate, "passwords", {"plain": f"{GOOD_PASSWORD} anew"})
    other.rig.put(candidate, USERS, {**body, "password": fresh}, jane)
    other.rig.commit(candidate)
    assert other.rig.store.check() == []


def test_a_node_with_a_history_keeps_it(new_site: Callable[[], Site]) -> None:
    site, other = new_site().filled(), new_site()
    path = archived(site)
    asked: dict[str, Any] = {"scope": "system", "accept_signer": site.node.signing.fingerprint, "take_over": True}
    early = check(other.node, restore_request(**asked), path)
    assert early.past is not None
    other.rig.committed((ZONE, "Asia/Tokyo"))  # while the archive is looked at
    own = revisions(other)
    carry_out(other.node, restore_request(**asked), early, "")
    early.close()
    assert revisions(other)[:-1] == own
    assert len(list((other.directory / "backup").glob("history-*"))) == 1
    assert "history_aside" in [warning.code for warning in tried(other, path, **asked).warnings]


def test_a_history_with_a_hole_is_kept_aside(new_site: Callable[[], Site]) -> None:
    site, other = new_site().filled(), new_site()

    def holed(lines: bytes) -> bytes:
        first, _, *rest = lines.splitlines(keepends=True)
        return b"".join([first, *rest])

    path = repacked(site, archived(site), lambda files: files.update({HISTORY: holed(files[HISTORY])}))
    own = revisions(other)
    asked: dict[str, Any] = {"scope": "system", "accept_signer": site.node.signing.fingerprint, "take_over": True}
    checked = restored(other, path, **asked, network="restore")
    assert "history_aside" in [warning.code for warning in checked.warnings]
    assert revisions(other)[:-1] == own
    assert other.tree() == site.tree()


def test_an_export_is_no_whole_system(site: Site) -> None:
    path = site.spool / "export"
    archive.export(site.node, path, "none")
    assert outcome(tried(site, path, scope="system"))[1] == "not_a_backup"


def test_the_history_of_the_archive_is_kept_aside(site: Site, tmp_path: Path) -> None:
    path = archived(site.filled())
    archive_number = site.rig.number
    site.rig.committed((ZONE, "Asia/Tokyo"))
    restored(site, path)
    kept = site.directory / "backup" / f"history-{site.node.id[:8]}-{archive_number}.jsonl"
    listed = subprocess.run(["tar", "-xzOf", str(path), HISTORY], capture_output=True, check=True).stdout
    assert kept.read_bytes() == listed
    assert kept.stat().st_mode & 0o777 == 0o600


def test_a_host_that_does_not_take_it_is_put_back(site: Site) -> None:
    path = archived(site.filled())
    site.rig.committed((SERVERS, [ip("192.0.2.77")]))
    before, number = site.tree(), site.rig.number
    checked = check(site.node, restore_request(), path)
    site.rig.host.fail_verify = True
    with pytest.raises(ApplyFailed) as caught:
        carry_out(site.node, restore_request(), checked, "commit")
    checked.close()
    assert caught.value.restored
    assert (site.tree(), site.rig.number) == (before, number)
    assert not list((site.directory / "backup").glob("history-*"))


VALUES = st.fixed_dictionaries({
    ZONE: st.sampled_from(["Europe/Budapest", "US/Eastern", "Asia/Tokyo"]),
    WEB: st.builds(lambda timeout: {"timeout": timeout}, st.integers(1, 1440)),
    SERVERS: st.lists(st.integers(1, 250), unique=True, max_size=5).map(lambda ns: [ip(f"192.0.2.{n}") for n in ns]),
})  # fmt: skip
PEOPLE = st.lists(st.text("abcdefgh", min_size=1, max_size=6), unique=True, max_size=5)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=VALUES, people=PEOPLE, gone=st.integers(0, 4), encrypted=st.booleans())
def test_any_configuration_comes_back_on_an_empty_node(
    new_site: Callable[[], Site], values: dict[str, Any], people: list[str], gone: int, encrypted: bool
) -> None:
    site, other = new_site(), new_site()
    rig = site.rig
    candidate = rig.candidate()
    for at, value in values.items():
        rig.put(candidate, at, value)
    keys = []
    for name in people:
        password = rig.post(candidate, "passwords", {"plain": f"{name}-{GOOD_PASSWORD}"})
        keys.append(rig.post(candidate, USERS, {"name": f"u{name}", "password": password}))
    rig.post(candidate, GROUPS, {"members": keys, "name": "everybody"})
    if encrypted:
        rig.put(candidate, ENCRYPTION, encrypting())
        key = rig.post(candidate, "policies/backup_policies", BACKUP_NFS)
        rig.put(candidate, "management/system_backup", {"backup_policy": key})
    rig.commit(candidate)
    if gone < len(keys):
        candidate = rig.candidate()
        rig.delete(candidate, USERS, keys[gone])
        rig.commit(candidate)
    path = site.spool / "export"
    archive.export(site.node, path, "password", "twelve characters")
    fingerprint = site.node.signing.fingerprint
    restored(other, path, password="twelve characters", accept_signer=fingerprint, network="restore")
    assert other.tree() == site.tree()
    assert TREE is rig.tree
