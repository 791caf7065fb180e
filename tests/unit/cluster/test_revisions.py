"""Cluster revisions: when there is a new one, what its name covers, and what a node believes of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from doorward.cluster import revisions
from doorward.cluster.apply_revision import NotAppliedError, check
from doorward.cluster.ledger import Ledger
from doorward.cluster.revisions import Envelope, Header, RevisionContent, header
from doorward.membership import nodes
from doorward.tree.places import Place
from doorward.tree.snapshot import Snapshot
from tests.support.travelling import travelling
from tests.unit.cluster.pairs import Node, PairedCentral
from tests.unit.transaction.rig import GROUPS, ROOT, SERVERS, USERS, ZONE, ip

OWN = "troubleshooting"


def newest(central: PairedCentral) -> Header:
    found = central.central.ledger.newest
    assert found is not None
    return found.header


def test_a_commit_of_scope_cluster_is_a_revision_and_one_of_scope_node_is_none(central: PairedCentral) -> None:
    number = central.number
    assert central.committed((ZONE, "Asia/Tokyo"))
    assert not central.committed((OWN, {"core_files": {"retention_days": 3}, "debug_logging": {"enabled": False}}))
    assert central.committed((SERVERS, [ip("192.0.2.1")]))
    assert central.number == number + 2


def test_the_membership_counts_as_well(central: PairedCentral) -> None:
    number = central.number
    central.write(Place(nodes.PATH, central.id), {"address": "10.0.0.9", "roles": ["central-management"]})
    assert central.note()
    assert central.number == number + 1


def test_another_password_is_another_revision_though_no_text_travels_in_the_clear(central: PairedCentral) -> None:
    candidate = central.rig.candidate()
    first = central.rig.post(candidate, "passwords", {"plain": "correct horse battery"})
    jane = central.rig.post(candidate, USERS, {"name": "jane", "password": first})
    central.rig.commit(candidate)
    central.note()
    before = newest(central).hash
    candidate = central.rig.candidate()
    second = central.rig.post(candidate, "passwords", {"plain": "another horse battery"})
    central.rig.put(candidate, USERS, {"name": "jane", "password": second}, jane)
    central.rig.commit(candidate)
    assert central.note()
    assert newest(central).hash != before


def test_a_commit_reads_what_it_changed_and_finds_what_reading_everything_finds(
    central: PairedCentral, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read() -> int:
        """Let the ledger note what runs; how often the accounts were read, of it once by the test."""
        paths.clear()
        central.note()
        found = central.central.ledger.newest
        assert found is not None
        running = central.rig.pipeline.running.snapshot
        every = travelling(central.rig.tree, running)
        assert found.content.tree == every
        assert set(found.content.secrets) == {key for path, key, _ in every if path.endswith("/passwords")}
        return paths.count(ROOT + USERS)

    paths: list[str] = []
    documents = revisions._documents

    def counted(snapshot: Snapshot, path: str) -> Any:
        paths.append(path)
        return documents(snapshot, path)

    candidate = central.rig.candidate()
    password = central.rig.post(candidate, "passwords", {"plain": "correct horse battery"})
    jane = central.rig.post(candidate, USERS, {"name": "jane", "password": password})
    group = central.rig.post(candidate, GROUPS, {"name": "operators", "members": [jane]})
    central.rig.commit(candidate)
    read()
    monkeypatch.setattr(revisions, "_documents", counted)
    central.rig.committed((ZONE, "Asia/Tokyo"))
    assert read() == 1
    candidate = central.rig.candidate()
    central.rig.put(candidate, USERS, {"name": "jane", "password": None}, jane)
    central.rig.commit(candidate)
    assert (read(), paths.count(ROOT + GROUPS)) == (2, 1)
    candidate = central.rig.candidate()
    central.rig.delete(candidate, GROUPS, group)
    central.rig.delete(candidate, USERS, jane)
    central.rig.commit(candidate)
    assert (read(), paths.count(ROOT + GROUPS), paths.count(ROOT + ZONE)) == (2, 2, 1)


def test_what_a_crash_left_out_is_noted_at_the_next_start(central: PairedCentral) -> None:
    number = central.number
    central.rig.committed((ZONE, "Asia/Tokyo"))
    again = Ledger(central.rig.tree, central.rig.store, central.rig.secrets)
    assert again.note(central.rig.pipeline.running)
    assert again.newest is not None
    assert again.newest.header.number == number + 1
    once_more = Ledger(central.rig.tree, central.rig.store, central.rig.secrets)
    assert once_more.note(central.rig.pipeline.running)
    assert once_more.newest is not None
    assert once_more.newest.header == again.newest.header


def test_revisions_are_chained_and_headers_lead_from_one_to_the_newest(central: PairedCentral) -> None:
    first = newest(central)
    made = []
    for number in range(3):
        central.committed((SERVERS, [ip(f"192.0.2.{number + 1}")]))
        made.append(newest(central))
    assert [one.parent for one in made] == [first.hash, made[0].hash, made[1].hash]
    assert central.central.ledger.headers_after(*first.at) == made
    assert central.central.ledger.headers_after(*made[1].at) == made[2:]
    assert central.central.ledger.headers_after(*made[2].at) == []


def test_only_the_youngest_headers_are_kept(central: PairedCentral, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("doorward.cluster.ledger.MAX_HEADERS", 2)
    for number in range(4):
        central.committed((SERVERS, [ip(f"192.0.2.{number + 1}")]))
    assert len(central.rig.store.records("cluster_revision")) == 2
    assert [one.number for one in central.central.ledger.headers_after(0, 0)] == [central.number - 1, central.number]


def test_a_new_epoch_is_a_new_revision_whatever_it_holds(central: PairedCentral) -> None:
    before = newest(central)
    central.promote(before.epoch + 100)
    assert central.note()
    assert newest(central).epoch == before.epoch + 100
    assert newest(central).at > before.at


# What a node believes


@pytest.fixture
def sent(central: PairedCentral, join: Callable[..., Node]) -> Callable[..., Envelope]:
    """Make what Central Management would send to a node that has some revision."""
    node = join("managed-host")

    def envelope(since: Header | None = None) -> Envelope:
        found = node.wire.revision(since)
        assert found is not None
        return found

    return envelope


def refused(envelope: Envelope, applied: Header | None, cluster_id: str) -> str:
    with pytest.raises(NotAppliedError) as found:
        check(envelope, applied, cluster_id)
    (issue,) = found.value.issues
    return issue.code


def test_what_the_central_sends_is_believed(central: PairedCentral, sent: Callable[..., Envelope]) -> None:
    applied = newest(central)
    check(sent(), None, central.cluster_id)
    central.committed((ZONE, "Asia/Tokyo"))
    central.committed((ZONE, "Europe/Budapest"))
    check(sent(applied), applied, central.cluster_id)
    check(sent(newest(central)), newest(central), central.cluster_id)


def test_another_content_than_the_header_names_is_a_fork(central: PairedCentral, sent: Callable[..., Envelope]) -> None:
    envelope = sent()
    tree = [*envelope.content.tree[:-1], ("/api/configuration/datetime/timezone", "", '"Asia/Tokyo"')]
    content = RevisionContent(tree, envelope.content.membership, envelope.content.secrets)
    changed = msgspec.structs.replace(envelope, content=content)
    assert refused(changed, None, central.cluster_id) == "history_fork"


def test_another_secret_than_the_content_names_is_a_fork(central: PairedCentral, sent: Callable[..., Envelope]) -> None:
    envelope = sent()
    (key,) = envelope.secrets
    changed = msgspec.structs.replace(envelope, secrets={key: ("hash", "$argon2id$mine")})
    assert refused(changed, None, central.cluster_id) == "history_fork"


def test_another_cluster_is_a_fork(sent: Callable[..., Envelope]) -> None:
    assert refused(sent(), None, "another") == "history_fork"


def test_a_history_that_lost_what_was_applied_is_a_fork(central: PairedCentral, sent: Callable[..., Envelope]) -> None:
    envelope, now = sent(), newest(central)
    mine = msgspec.structs.replace(now, hash="f" * 64)
    assert refused(envelope, mine, central.cluster_id) == "history_fork"
    assert refused(envelope, header(now.epoch, now.number + 1, now.hash, "x"), central.cluster_id) == "history_fork"
    central.committed((ZONE, "Asia/Tokyo"))
    assert refused(sent(mine), mine, central.cluster_id) == "history_fork"
    assert refused(msgspec.structs.replace(sent(now), headers=[]), now, central.cluster_id) == "history_fork"


def test_a_later_epoch_is_followed_though_its_numbers_went_back(central: PairedCentral, sent: Callable[..., Envelope]) -> None:
    applied = header(newest(central).epoch - 1, 900, "", "x")
    check(sent(applied), applied, central.cluster_id)
    assert refused(sent(), header(newest(central).epoch + 1, 1, "", "x"), central.cluster_id) == "history_fork"


def test_who_was_away_for_more_revisions_than_headers_are_kept_goes_on(
    central: PairedCentral, sent: Callable[..., Envelope], monkeypatch: pytest.MonkeyPatch
) -> None:
    applied = newest(central)
    monkeypatch.setattr("doorward.cluster.ledger.MAX_HEADERS", 2)
    for number in range(4):
        central.committed((SERVERS, [ip(f"192.0.2.{number + 1}")]))
    check(sent(applied), applied, central.cluster_id)


def test_another_release_is_a_mismatch(central: PairedCentral, sent: Callable[..., Envelope]) -> None:
    assert refused(msgspec.structs.replace(sent(), version="9.9.9"), None, central.cluster_id) == "version_mismatch"
