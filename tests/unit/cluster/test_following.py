"""A node takes what Central Management sets, whole or not at all, and keeps what is its own."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from doorward import __version__
from doorward.cluster.apply_revision import NotAppliedError, fill
from doorward.cluster.following import Following
from doorward.cluster.revisions import Envelope
from doorward.cluster.statuses import NodeIssue
from doorward.membership import join_request, nodes, promote
from doorward.membership.cluster_role import cluster_role
from doorward.store.port import CommitRecord, Confirmation, Revision
from doorward.tree.places import Place
from doorward.tree.problems import SemanticError
from tests.unit.cluster.pairs import INTERFACE, Node, PairedCentral, put
from tests.unit.configuration.policies.samples import BACKUP_NFS
from tests.unit.configuration.ssh.samples import SHORT
from tests.unit.transaction.rig import GROUPS, ROOT, SERVERS, USERS, WEB, ZONE, ip, place

Join = Callable[..., Node]
OWN = "troubleshooting"
MINE = {"core_files": {"retention_days": 3}, "debug_logging": {"enabled": False}}
"""A body of scope node."""


def test_a_node_that_joined_knows_who_is_there_and_keeps_its_configuration(central: PairedCentral, join: Join) -> None:
    node = join()
    central.committed((SERVERS, [ip("192.0.2.1")]))
    node.follow()
    known = cluster_role(node.rig.pipeline.running.snapshot)
    assert (known.state, known.managed, known.cluster_id) == ("joined", False, central.cluster_id)
    assert set(node.rig.pipeline.running.snapshot.objects(nodes.PATH).order) == {central.id, node.id}
    assert node.rig.value(SERVERS) != [ip("192.0.2.1")]
    assert node.rig.value("passwords", node.psk) is None


def test_what_has_scope_cluster_comes_with_secrets_and_what_has_scope_node_stays(central: PairedCentral, join: Join) -> None:
    node = join("managed-host")
    node.rig.committed((OWN, MINE))
    candidate = central.rig.candidate()
    password = central.rig.post(candidate, "passwords", {"plain": "correct horse battery"})
    jane = central.rig.post(candidate, USERS, {"name": "jane", "password": password})
    group = central.rig.post(candidate, GROUPS, {"name": "operators", "members": [jane]})
    central.rig.put(candidate, SERVERS, [ip("192.0.2.1")])
    central.rig.put(candidate, ZONE, "Europe/Budapest")
    central.rig.commit(candidate, message="for all")
    central.note()
    node.follow()
    assert (node.rig.value(SERVERS), node.rig.value(ZONE)) == ([ip("192.0.2.1")], "Europe/Budapest")
    assert node.rig.value(USERS, jane)["name"] == "jane"
    assert [member["key"] for member in node.rig.value(GROUPS, group)["members"]] == [jane]
    assert node.rig.value(OWN) == MINE
    assert node.rig.sources() == b"server 192.0.2.1 iburst\n"
    kept = central.rig.secrets.text(password)
    assert kept is not None
    assert kept.startswith("$argon2id$")
    assert node.rig.secrets.text(password) == kept
    ours, theirs = node.rig.store.secret(password), central.rig.store.secret(password)
    assert ours
    assert theirs
    assert ours.sealed != theirs.sealed
    revision = node.rig.store.head()
    assert revision is not None
    assert (revision.author, revision.message) == ("central-management: admin", "central-management: for all")


def test_host_keys_and_the_order_of_policies_come_too(central: PairedCentral, join: Join) -> None:
    node = join("managed-host")
    candidate = central.rig.candidate()
    keys = [central.rig.post(candidate, "ssh/connections", {**SHORT, "name": name}) for name in ("databases", "web")]
    central.rig.put(candidate, "ssh/connections", {"@order": keys[::-1]})
    central.rig.put(candidate, "ssh/options", {"service": {"enabled": True}})
    central.rig.commit(candidate)
    central.note()
    node.follow()
    assert node.rig.pipeline.running.snapshot.keys(place("ssh/connections").path) == tuple(keys[::-1])
    shown = node.rig.value("ssh/host_keys")
    assert shown == central.rig.value("ssh/host_keys")
    texts = [node.rig.secrets.text(one["key"]) for one in shown["keys"]]
    assert texts == [central.rig.secrets.text(one["key"]) for one in shown["keys"]]
    assert len(set(texts)) == 3
    assert "127.0.0.1:2222" in node.rig.host.listeners.open_ones


def test_the_note_of_a_revision_is_written_with_it(central: PairedCentral, join: Join, monkeypatch: pytest.MonkeyPatch) -> None:
    node = join("managed-host")
    node.follow()
    central.committed((WEB, {"timeout": 30}))
    writes: list[object] = []
    monkeypatch.setattr(node.rig.store, "put_record", lambda *records: writes.append(records))
    node.follow()
    again = Following(node.rig.pipeline, lambda work: work()).sync
    assert again.applied == again.tried == again.membership == node.following.sync.applied
    assert again.applied
    assert again.applied.number == central.number
    assert writes == []


def test_the_role_overwrites_what_the_node_had_and_its_history_keeps_it(central: PairedCentral, join: Join) -> None:
    node = join()
    candidate = node.rig.candidate()
    mine = node.rig.post(candidate, GROUPS, {"name": "mine", "members": []})
    node.rig.commit(candidate)
    before = node.rig.number
    central.give(node, "managed-host")
    node.follow()
    assert cluster_role(node.rig.pipeline.running.snapshot).managed
    assert node.rig.value(GROUPS, mine) is None
    assert any(edit.place.key == mine for edit in node.rig.store.difference(before, node.rig.number))


def test_several_revisions_become_one(central: PairedCentral, join: Join) -> None:
    node = join("managed-host")
    node.follow()
    before = node.rig.number
    for number in range(3):
        central.committed((SERVERS, [ip(f"192.0.2.{number + 1}")]))
    node.follow()
    assert node.rig.number == before + 1
    assert node.rig.value(SERVERS) == [ip("192.0.2.3")]
    assert node.following.sync.applied == central.central.ledger.newest.header  # type: ignore[union-attr]


def test_a_revision_that_changes_nothing_here_only_moves_the_number(central: PairedCentral, join: Join) -> None:
    node = join("managed-host")
    node.follow()
    central.committed((WEB, {"timeout": 33}))
    central.committed((WEB, {"timeout": 10}))
    before = node.rig.number
    node.follow()
    assert node.rig.number == before
    assert node.following.sync.applied.number == central.number  # type: ignore[union-attr]


def test_warnings_stay_while_what_runs_is_the_same(central: PairedCentral, join: Join) -> None:
    def warned() -> list[str]:
        return [issue.code for issue in node.following.sync.issues.warnings]

    node = join("managed-host")
    candidate = central.rig.candidate()
    central.rig.post(candidate, "policies/backup_policies", BACKUP_NFS)
    central.rig.commit(candidate)
    central.note()
    node.follow()
    found = warned()
    assert "unprotected_transport" in found
    central.committed((WEB, {"timeout": 33}))
    central.committed((WEB, {"timeout": 10}))
    node.follow()
    assert warned() == found, "that revision changed nothing here"
    node.wire.tamper = lambda envelope: msgspec.structs.replace(envelope, version="9.9.9")
    central.committed((WEB, {"timeout": 33}))
    node.follow()
    assert (node.codes(), warned()) == (["version_mismatch"], found)
    node.wire.tamper = lambda envelope: envelope
    central.committed((ZONE, "Asia/Tokyo"))
    node.follow()
    assert node.codes() == []
    assert "unprotected_transport" not in warned(), "those of a commit are about what it changed"


def test_advice_at_a_change_is_no_issue_afterwards(central: PairedCentral, join: Join) -> None:
    """A time zone, a server that did not answer just then: worth a word to who changed it, and true of nothing that lasts."""
    node = join("managed-host")
    node.follow()
    receiver = {"address": {"selection": "ip", "value": "127.0.0.1"}, "port": 9, "transport": {"selection": "tcp"}}
    central.committed((ZONE, "Asia/Tokyo"), ("management/syslog", {"receivers": [receiver]}))
    node.follow()
    assert node.rig.value(ZONE) == "Asia/Tokyo"
    head = node.rig.store.head()
    assert head is not None
    codes = {warning["code"] for warning in node.rig.store.commit_records()[0].warnings}
    assert {"other_processes", "no_answer"} <= codes, "the commit itself says so"
    assert [issue.code for issue in node.following.sync.issues.warnings] == []


def test_what_rules_refuse_leaves_the_old_configuration_whole(central: PairedCentral, join: Join) -> None:
    node = join("managed-host")
    node.follow()
    applied, before = node.following.sync.applied, node.rig.pipeline.running

    def of_another_release(envelope: Envelope) -> Envelope:
        return msgspec.structs.replace(envelope, version="9.9.9")

    central.committed((SERVERS, [ip("192.0.2.1")]), (ZONE, "Asia/Tokyo"))
    node.wire.tamper = of_another_release
    assert node.step()
    assert node.rig.pipeline.running is before
    assert (node.codes(), node.following.sync.applied) == (["version_mismatch"], applied)
    assert node.following.sync.tried.number == central.number  # type: ignore[union-attr]
    node.wire.calls.clear()
    assert not node.step()
    assert node.wire.calls == ["head"], "refused once, it is not fetched again at once"
    node.wire.tamper = lambda envelope: envelope
    central.committed((SERVERS, [ip("192.0.2.2")]))
    node.follow()
    assert (node.codes(), node.rig.value(SERVERS)) == ([], [ip("192.0.2.2")])


def test_a_role_of_another_release_is_told_as_what_is_wrong(central: PairedCentral, join: Join) -> None:
    def of_another_release(envelope: Envelope) -> Envelope:
        rows = [msgspec.structs.replace(row, roles=["search-emperor"]) for row in envelope.content.membership.nodes]
        membership = msgspec.structs.replace(envelope.content.membership, nodes=rows)
        return msgspec.structs.replace(envelope, content=msgspec.structs.replace(envelope.content, membership=membership))

    node = join("managed-host")
    node.follow()
    before = node.rig.pipeline.running
    node.wire.tamper = of_another_release
    central.committed((ZONE, "Asia/Tokyo"))
    assert node.step()
    (issue,) = node.following.sync.issues.errors
    assert (issue.code, issue.paths) == ("unsuitable", [f"{nodes.PATH}/{central.id}"])
    assert node.rig.pipeline.running is before


@pytest.mark.parametrize(
    ("path", "body"),
    [(ROOT + WEB, '{"timeout":"soon"}'), (f"{ROOT}datetime/sundial", "{}"), (ROOT + INTERFACE, '{"enabled":false}')],
    ids=["unfit body", "unknown path", "not of the cluster"],
)
def test_everything_that_does_not_suit_is_named(central: PairedCentral, join: Join, path: str, body: str) -> None:
    node = join("managed-host")
    node.follow()
    central.committed((ZONE, "Asia/Tokyo"))
    envelope = node.wire.revision(None)
    assert envelope is not None
    rows = [*(row for row in envelope.content.tree if row[0] != path), (path, "", body)]
    unsuitable = msgspec.structs.replace(envelope, content=msgspec.structs.replace(envelope.content, tree=rows))
    with pytest.raises(NotAppliedError) as refused:
        fill(node.rig.tree, node.rig.store, node.rig.candidate(), unsuitable)
    assert [(issue.code, issue.paths) for issue in refused.value.issues] == [("unsuitable", [path])]


def test_what_the_host_refuses_is_an_error_of_the_path(
    central: PairedCentral, join: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = join("managed-host")
    node.follow()
    central.committed((SERVERS, [ip("192.0.2.1")]))
    monkeypatch.setattr(type(node.rig.host.files), "write", _full_disk)
    node.follow()
    (issue,) = node.following.sync.issues.errors
    assert (issue.code, issue.paths) == ("apply", ["/api/configuration/datetime/ntp_servers"])
    assert node.rig.value(SERVERS) != [ip("192.0.2.1")]


def _full_disk(*_: object) -> None:
    from doorward.host.errors import HostError

    raise HostError("no space left")


def test_a_revision_that_is_just_being_noted_is_none_of_the_history_yet(central: PairedCentral, join: Join) -> None:
    node = join("managed-host")
    node.follow()
    central.committed((ZONE, "Asia/Tokyo"))
    ledger = central.central.ledger
    newest = ledger.newest
    central.committed((ZONE, "Europe/Budapest"))
    ledger.newest = newest  # its header is in the store before anything else knows of it
    node.follow()
    assert (node.codes(), node.rig.value(ZONE)) == ([], "Asia/Tokyo")


def test_a_refused_revision_is_tried_again_later(central: PairedCentral, join: Join, monkeypatch: pytest.MonkeyPatch) -> None:
    node = join("managed-host")
    node.wire.tamper = lambda envelope: msgspec.structs.replace(envelope, version="9.9.9")
    node.follow()
    assert node.codes() == ["version_mismatch"]
    node.wire.tamper = lambda envelope: envelope
    monkeypatch.setattr("doorward.cluster.following.RETRY_SECONDS", 0.0)
    assert node.step()
    assert node.codes() == []


def test_a_refused_revision_is_tried_again_at_once_by_a_central_of_another_release(central: PairedCentral, join: Join) -> None:
    node = join("managed-host")
    node.follow()
    central.committed((ZONE, "Asia/Tokyo"))
    node.wire.upgrade("9.9.9")
    node.follow()
    node.wire.calls.clear()
    assert not node.step()
    assert (node.wire.calls, node.codes()) == (["head"], ["version_mismatch"])
    node.wire.upgrade(__version__)
    node.follow()
    assert (node.codes(), node.rig.value(ZONE)) == ([], "Asia/Tokyo")


def test_a_refused_revision_is_tried_again_at_the_next_start(central: PairedCentral, join: Join) -> None:
    node = join("managed-host")
    central.committed((ZONE, "Asia/Tokyo"))
    node.wire.upgrade("9.9.9")
    node.follow()
    node.wire.upgrade(__version__)
    node.following = Following(node.rig.pipeline, lambda work: work(), node.following.clock)
    node.follow()
    assert (node.codes(), node.rig.value(ZONE)) == ([], "Asia/Tokyo")


@pytest.mark.parametrize("roles", [[], ["managed-host"]])
def test_a_central_of_another_release_is_told_of_before_it_sends_anything(
    roles: list[str], central: PairedCentral, join: Join
) -> None:
    node = join(*roles)
    node.follow()
    node.wire.upgrade("9.9.9")
    assert node.step(), "that is to be reported at once"
    (issue,) = node.following.issues.errors
    assert issue.message == f"Central Management runs 9.9.9, this node {__version__}."
    assert not node.step()
    node.wire.upgrade(__version__)
    assert node.step()
    assert node.codes() == []


def test_a_local_write_is_refused_also_at_the_commit(central: PairedCentral, join: Join) -> None:
    node = join()
    candidate = node.rig.candidate()
    node.rig.put(candidate, ZONE, "Asia/Tokyo")
    central.give(node, "managed-host")
    node.follow()
    with pytest.raises(SemanticError) as refused:
        node.rig.commit(candidate)
    (problem,) = refused.value.problems
    assert (problem.code, problem.path) == ("from_central_management", "/api/configuration/datetime/timezone")
    assert "10.0.0.1" in problem.message


def test_an_open_transaction_of_scope_node_outlives_a_revision(central: PairedCentral, join: Join) -> None:
    node = join("managed-host")
    node.follow()
    candidate = node.rig.candidate()
    node.rig.put(candidate, OWN, MINE)
    central.committed((ZONE, "Asia/Tokyo"))
    node.follow()
    node.rig.commit(candidate)
    assert (node.rig.value(OWN), node.rig.value(ZONE)) == (MINE, "Asia/Tokyo")


def test_without_the_role_the_settings_stay_and_are_the_nodes_own(central: PairedCentral, join: Join) -> None:
    node = join("managed-host")
    central.committed((ZONE, "Asia/Tokyo"))
    node.follow()
    central.give(node, "search-local")
    node.follow()
    central.committed((ZONE, "Europe/Budapest"))
    node.follow()
    assert node.rig.value(ZONE) == "Asia/Tokyo"
    node.rig.committed((ZONE, "Etc/UTC"))
    central.give(node, "managed-host")
    node.follow()
    assert node.rig.value(ZONE) == "Europe/Budapest"


def test_a_central_that_moved_is_looked_for_at_both_addresses(central: PairedCentral, join: Join) -> None:
    node = join()
    central.write(Place(nodes.PATH, central.id), {"address": "10.0.0.9", "roles": ["central-management"]})
    central.note()
    node.follow()
    assert cluster_role(node.rig.pipeline.running.snapshot).central_addresses == ("10.0.0.9", "10.0.0.1")


def test_a_restart_goes_on_where_it_was(central: PairedCentral, join: Join) -> None:
    node = join("managed-host")
    node.follow()
    sync = node.following.sync
    node.following = Following(node.rig.pipeline, lambda work: work())
    assert msgspec.structs.replace(node.following.sync, checked=0) == msgspec.structs.replace(sync, checked=0)
    assert not node.step()


def test_a_commit_that_awaits_its_confirmation_is_not_run_over(central: PairedCentral, join: Join) -> None:
    node = join("managed-host")
    node.follow()
    waiting = Confirmation("t", "admin", 99, 4e9, 60.0)
    node.rig.store.publish(
        Revision(node.rig.number + 1, "admin", "", "2026-11-21T10:00:00Z", None, 0),
        [],
        CommitRecord("t", "admin", ""),
        (),
        waiting,
    )
    central.committed((ZONE, "Asia/Tokyo"))
    node.following.stopping.set()
    from doorward.cluster.following import StoppingError

    with pytest.raises(StoppingError):
        node.step()
    assert node.rig.value(ZONE) != "Asia/Tokyo"


def ask_elsewhere(node: Node) -> None:
    """Leave, and ask another Central Management."""
    candidate = node.rig.candidate()
    psk = node.rig.post(candidate, "passwords", {"plain": "y" * 64})
    request = {"central_management_address": "10.0.0.99", "node_id": node.id, "psk": psk}
    put(node.rig, candidate, Place(join_request.PATH), request)
    node.rig.commit(candidate)


@pytest.mark.parametrize("commits", [0, 1])
def test_what_was_asked_for_before_a_node_left_is_not_taken_any_more(central: PairedCentral, join: Join, commits: int) -> None:
    """Neither the membership nor what comes after it; the node is asking elsewhere by now."""
    node = join("managed-host")
    node.follow()
    left: list[int] = []

    def in_commit_thread(work: Callable[[], Any]) -> Any:
        if len(left) == commits:
            ask_elsewhere(node)
        left.append(1)
        return work()

    node.following._in_commit_thread = in_commit_thread
    central.committed((ZONE, "Asia/Tokyo"))
    node.step()
    assert len(left) == commits + 1
    document = node.rig.pipeline.running.snapshot.document(Place(join_request.PATH))
    assert document is not None
    assert (document.value["central_management_address"], document.value["joined"]) == ("10.0.0.99", None)
    assert node.rig.value(ZONE) != "Asia/Tokyo"


def test_a_pairing_of_an_earlier_request_makes_no_member(central: PairedCentral, join: Join) -> None:
    node = join()
    asked = cluster_role(node.rig.pipeline.running.snapshot)
    ask_elsewhere(node)
    following = Following(node.rig.pipeline, lambda work: work())
    following.forget()
    with pytest.raises(NotAppliedError):
        following.join(node.wire, asked)
    assert cluster_role(node.rig.pipeline.running.snapshot).state == "requested"


def test_a_node_that_left_forgets_what_it_took(central: PairedCentral, join: Join) -> None:
    node = join("managed-host")
    node.follow()
    node.following.forget()
    assert node.following.sync == node.following.nothing
    assert node.rig.store.record("cluster_sync", "node") is None


def test_the_membership_of_another_cluster_is_refused(central: PairedCentral, join: Join) -> None:
    node = join()
    document = node.rig.pipeline.running.snapshot.document(Place(join_request.PATH))
    assert document is not None
    other = {"central_node_id": central.id, "cluster_id": node.id}
    candidate = node.rig.candidate()
    candidate.put(Place(join_request.PATH), node.rig.tree.load(Place(join_request.PATH), document.value | {"joined": other}))
    node.rig.commit(candidate)
    central.give(node, "search-local")
    with pytest.raises(NotAppliedError) as refused:
        node.step()
    assert refused.value.issues == [
        NodeIssue("history_fork", "Central Management has another cluster than the one this node joined.")
    ]


def test_restoring_an_earlier_revision_does_not_touch_the_membership(central: PairedCentral, join: Join) -> None:
    from doorward.transaction.history import restore

    node = join()
    candidate = node.rig.candidate()
    restore(node.rig.tree, node.rig.store, candidate, 1)
    assert cluster_role(candidate.snapshot).state == "joined"
    assert place(SERVERS) not in candidate.touched


def _begins_earlier(central: PairedCentral) -> None:
    """A clock that was behind, or an earlier Central Management that came back."""
    central.promote(central.rig.pipeline.running.snapshot.value(promote.PATH)["epoch"] - 1)
    central.note()


def test_a_managed_host_does_not_follow_an_older_history(central: PairedCentral, join: Join) -> None:
    node = join("managed-host")
    node.follow()
    sync, running = node.following.sync, node.rig.pipeline.running
    _begins_earlier(central)
    node.report()
    assert central.central.items()[0]["sync_status"] == "pending", "what it has is not the newest here"
    assert node.step()
    assert not node.step(), "it is not asked for again at once"
    assert node.codes() == ["history_fork"]
    assert (node.following.sync.applied, node.following.sync.membership) == (sync.applied, sync.membership)
    assert node.rig.pipeline.running is running
    node.report()
    assert central.central.items()[0]["sync_status"] == "outdated"


def test_no_node_takes_the_membership_of_an_older_history(central: PairedCentral, join: Join) -> None:
    node = join()
    sync, running = node.following.sync, node.rig.pipeline.running
    _begins_earlier(central)
    with pytest.raises(NotAppliedError, match="older cluster revision"):
        node.step()
    assert node.following.sync.membership == sync.membership
    assert node.rig.pipeline.running is running
    node.report()
    [said] = central.central.items()
    assert [issue["code"] for issue in said["issues"]["errors"]] == ["history_fork"], (
        "it says so until the earlier centre is gone"
    )
    central.promote(central.rig.pipeline.running.snapshot.value(promote.PATH)["epoch"] + 2)
    central.note()
    assert node.step()
    assert node.codes() == []


@pytest.mark.parametrize("roles", [(), ("managed-host",)])
def test_a_node_that_left_while_it_took_something_remembers_nothing_of_it(
    central: PairedCentral, join: Join, roles: tuple[str, ...]
) -> None:
    node = join(*roles)
    node.follow()

    def leave(work: Any) -> Any:
        if cluster_role(node.rig.pipeline.running.snapshot).state == "joined":
            node.write(Place(join_request.PATH), None)
            node.following.forget()
        return work()

    node.following._in_commit_thread = leave
    central.committed((ZONE, "Asia/Tokyo"))
    with contextlib.suppress(NotAppliedError):
        node.step()
    assert node.following.sync == node.following.nothing
    assert node.rig.store.record("cluster_sync", "node") is None
