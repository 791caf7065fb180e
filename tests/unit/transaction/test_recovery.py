"""What a new process makes of what the last one left: the running revision, whole, and nothing of an unfinished commit."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from doorward.host import nics as host_nics
from doorward.host.drivers.netlink import FoundNic
from doorward.host.errors import HostError
from doorward.host.machine import Machine
from doorward.host.resources import File
from doorward.store.port import CommitRecord, Edit, Intent, Revision, Secret
from doorward.transaction.startup import load_running
from doorward.tree.jsontext import encode
from doorward.tree.places import Place
from doorward.tree.registry import Tree
from tests.unit.transaction.rig import GROUPS, PASSWORDS, ROOT, SERVERS, SOURCES, TREE, USERS, WEB, ZONE, Rig, ip, place

if TYPE_CHECKING:
    from pathlib import Path

A, B = [ip("198.51.100.1")], [ip("198.51.100.2")]


def begun(rig: Rig, value: object) -> Intent:
    """The journal of a commit whose process ended before it could publish."""
    candidate = rig.candidate()
    rig.put(candidate, SERVERS, value)
    rig.put(candidate, ZONE, "Europe/Budapest")
    rig.post(candidate, GROUPS, {"name": "own"})
    intent = Intent("t1", tuple(candidate.edits()))
    rig.store.begin(intent, CommitRecord("t1", "admin", "2026-11-21T10:00:00Z", "applying"))
    return intent


def test_the_first_start_makes_the_host_what_the_defaults_say(rig: Rig) -> None:
    assert rig.sources() == b"pool pool.ntp.org iburst maxsources 4\n"
    assert rig.host.daemon.alive
    assert rig.pipeline.unknown is None
    assert rig.number == 1


@pytest.mark.parametrize("applied", [False, True], ids=["before the host was touched", "after it was touched"])
def test_an_unfinished_commit_is_undone(rig: Rig, applied: bool) -> None:
    rig.committed((SERVERS, A), (ZONE, "Europe/Paris"))
    before = dict(rig.host.files.entries)
    intent = begun(rig, B)
    if applied:
        rig.host.files.write(SOURCES, replace(before[SOURCES], content=b"server 198.51.100.2 iburst\n"))
        rig.host.daemon.names = frozenset({"198.51.100.2"})
        rig.host.files.remove("/etc/timezone")
    again = rig.restarted()
    assert again.number == 2
    assert again.host.files.entries == before
    assert again.host.daemon.names == {"198.51.100.1"}
    assert again.store.intent() is None
    record = again.store.commit_record(intent.commit_id)
    assert record is not None
    assert (record.state, record.error) == (
        "reverted",
        {"action": "restart", "path": "", "reason": "the server ended during the commit", "restored": True},
    )
    assert record.finished
    assert again.pipeline.unknown is None
    again.committed((SERVERS, B))
    assert again.store.check() == []
    again.close()


def test_an_unfinished_commit_of_deletions_is_undone(rig: Rig) -> None:
    candidate = rig.candidate()
    key = rig.post(candidate, GROUPS, {"name": "own"})
    rig.commit(candidate)
    candidate = rig.candidate()
    rig.delete(candidate, GROUPS, key)
    edits = [*candidate.edits(), Edit(place(GROUPS, "never-there"), b"{}", None)]
    rig.store.begin(Intent("t1", tuple(edits)), CommitRecord("t1", "admin", "2026-11-21T10:00:00Z"))
    again = rig.restarted()
    assert again.value(GROUPS, key) is not None
    assert again.store.intent() is None
    again.close()


def test_a_journal_without_a_record_is_closed_too(rig: Rig) -> None:
    begun(rig, B)
    rig.store._write(lambda connection: connection.execute("DELETE FROM commits"))
    again = rig.restarted()
    assert again.store.intent() is None
    again.close()


def test_drift_is_put_right_at_the_start(rig: Rig) -> None:
    before = dict(rig.host.files.entries)
    rig.host.files.remove(SOURCES)
    rig.host.files.remove("/etc/localtime")
    rig.host.daemon.alive = False
    again = rig.restarted()
    assert again.host.files.entries == before
    assert again.host.daemon.alive
    again.close()


def test_a_host_that_does_not_take_the_running_revision_is_unknown(rig: Rig) -> None:
    begun(rig, B)
    rig.host.files.remove(SOURCES)
    rig.host.fail_at = 0
    again = rig.restarted()
    assert again.pipeline.unknown == "write sources: the fake was told to fail"
    record = again.store.commit_record("t1")
    assert record is not None
    assert (record.state, (record.error or {})["restored"]) == ("unknown", False)
    assert again.value(SERVERS) == [{"selection": "fqdn", "value": "pool.ntp.org"}]
    again.close()


def test_a_host_that_cannot_be_looked_at_is_unknown_and_no_obstacle(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise HostError("the disk does not answer")

    monkeypatch.setattr(rig.host, "plan", broken)
    again = rig.restarted()
    assert "the disk does not answer" in (again.pipeline.unknown or "")
    again.close()


def test_files_that_only_the_unfinished_commit_wanted_are_removed(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """An effect that the running revision does not ask for at all goes with the commit that asked for it."""
    web = TREE[ROOT + WEB]
    monkeypatch.setattr(TREE, "rendering", (*TREE.rendering, web))
    extra = File("/etc/extra", b"x", origin=ROOT + WEB)
    monkeypatch.setattr(web, "node", replace(web.node, render=lambda s: [extra] if s.value(ROOT + WEB)["timeout"] > 10 else []))
    candidate = rig.candidate()
    rig.put(candidate, WEB, {"timeout": 20})
    rig.store.begin(Intent("t1", tuple(candidate.edits())), CommitRecord("t1", "admin", "2026-11-21T10:00:00Z"))
    rig.host.files.write("/etc/extra", replace(rig.host.files.entries["/etc/timezone"], content=b"x"))
    again = rig.restarted()
    assert "/etc/extra" not in again.host.files.entries
    again.close()


def test_everything_is_as_it_was_after_a_restart(rig: Rig) -> None:
    candidate = rig.candidate()
    secret = rig.post(candidate, PASSWORDS, {"plain": "correct horse battery"})
    jane = rig.post(candidate, USERS, {"name": "jane", "password": secret})
    rig.post(candidate, GROUPS, {"name": "own", "members": [jane]})
    rig.put(candidate, SERVERS, A)
    rig.commit(candidate)
    before = rig.pipeline.running
    again = rig.restarted()
    after = again.pipeline.running
    assert (after.number, after.hash) == (before.number, before.hash)
    assert dict(after.snapshot.singletons.items()) == dict(before.snapshot.singletons.items())
    for path, objects in before.snapshot.collections.items():
        assert list(after.snapshot.objects(path).items()) == list(objects.items())
    assert {href: set(places) for href, places in after.snapshot.referrers.items()} == {
        href: set(places) for href, places in before.snapshot.referrers.items()
    }
    again.close()


def test_a_release_with_more_and_other_endpoints_takes_over(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the last release did not know gets its default, what this one does not know goes, in a revision of its own."""
    gone = Place("/api/configuration/gone/for/good")
    rows = [Edit(gone, None, encode({"x": 1})), Edit(place(WEB), encode({"timeout": 10}), None)]
    rig.store.publish(Revision(2, "admin", "", "2026-11-21T10:00:00Z", None, 2), rows)
    running = load_running(TREE, Machine(), rig.store)
    assert running.number == 3
    assert running.snapshot.value(ROOT + WEB) == {"timeout": 10}
    assert {(e.place, e.old is None, e.new is None) for e in rig.store.edits(3)} == {
        (gone, False, True),
        (place(WEB), True, False),
    }
    head = rig.store.head()
    assert head is not None
    assert (head.author, head.message) == ("doorward", "What this release or the machine brings.")
    assert rig.store.check() == []
    assert load_running(TREE, Machine(), rig.store).number == 3


def test_a_release_without_an_endpoint_leaves_the_rest_alone(rig: Rig) -> None:
    smaller = Tree(TREE.root)
    del smaller.endpoints[ROOT + WEB]
    running = load_running(smaller, Machine(), rig.store)
    assert running.number == 2
    assert ROOT + WEB not in running.snapshot.singletons


def test_the_first_revision_holds_every_default_and_the_account_admin(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    edits = rig.store.edits(1)
    assert [edit.place for edit in edits] == sorted(edit.place for edit in edits)
    assert all(edit.old is None for edit in edits)
    head = rig.store.head()
    assert head is not None
    assert (head.author, head.message, head.changes) == ("doorward", "First start.", len(edits))
    admin = rig.value(USERS, "-1")
    kept = rig.store.secret(admin["password"]["key"])
    assert isinstance(kept, Secret)
    assert kept.form == "hash"
    assert (rig.secrets.text(kept.key) or "").startswith("$argon2id$")
    rig.close()


def test_a_device_that_the_machine_gets_later_is_found_at_a_start(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    devices = [FoundNic("eth0"), FoundNic("sandbox0"), FoundNic("eth1"), FoundNic("eth2")]
    monkeypatch.setattr(host_nics, "read_nics", lambda: devices)
    running = load_running(TREE, Machine("system", "192.0.2.5"), rig.store)
    names = [running.snapshot.value(f"{ROOT}network/nics/nic{number}")["name"] for number in (1, 2, 3)]
    assert names == ["sandbox0", "eth0", "eth1"]
    assert {edit.place.path.removeprefix(ROOT) for edit in rig.store.edits(running.number)} == {
        "network/nics/nic2",
        "network/nics/nic3",
    }
    assert rig.store.check() == []
    assert load_running(TREE, Machine("system", "192.0.2.5"), rig.store).number == running.number
