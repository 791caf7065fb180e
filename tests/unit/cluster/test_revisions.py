"""Cluster revisions: when there is a new one, what its name covers, and what a node believes of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from doorward.cluster import revisions
from doorward.cluster.ledger import Ledger
from doorward.cluster.revisions import Content, Envelope, Header, header, travelling
from doorward.cluster.taking import NotTaken, check
from doorward.membership import nodes
from doorward.tree.places import Place
from doorward.tree.snapshot import Snapshot
from tests.unit.cluster.pairs import Centre, Node
from tests.unit.transaction.rig import GROUPS, ROOT, SERVERS, USERS, ZONE, ip

OWN = "troubleshooting"


def newest(centre: Centre) -> Header:
    found = centre.central.ledger.newest
    assert found is not None
    return found.header


def test_a_commit_of_scope_cluster_is_a_revision_and_one_of_scope_node_is_none(centre: Centre) -> None:
    number = centre.number
    assert centre.committed((ZONE, "Asia/Tokyo"))
    assert not centre.committed((OWN, {"core_files": {"retention_days": 3}, "debug_logging": {"enabled": False}}))
    assert centre.committed((SERVERS, [ip("192.0.2.1")]))
    assert centre.number == number + 2


def test_the_membership_counts_as_well(centre: Centre) -> None:
    number = centre.number
    centre.write(Place(nodes.PATH, centre.id), {"address": "10.0.0.9", "roles": ["central-management"]})
    assert centre.note()
    assert centre.number == number + 1


def test_another_password_is_another_revision_though_no_text_travels_in_the_clear(centre: Centre) -> None:
    candidate = centre.rig.candidate()
    first = centre.rig.post(candidate, "passwords", {"plain": "correct horse battery"})
    jane = centre.rig.post(candidate, USERS, {"name": "jane", "password": first})
    centre.rig.commit(candidate)
    centre.note()
    before = newest(centre).hash
    candidate = centre.rig.candidate()
    second = centre.rig.post(candidate, "passwords", {"plain": "another horse battery"})
    centre.rig.put(candidate, USERS, {"name": "jane", "password": second}, jane)
    centre.rig.commit(candidate)
    assert centre.note()
    assert newest(centre).hash != before


def test_a_commit_reads_what_it_changed_and_finds_what_reading_everything_finds(
    centre: Centre, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read() -> int:
        """Let the ledger note what runs; how often the accounts were read, of it once by the test."""
        paths.clear()
        centre.note()
        found = centre.central.ledger.newest
        assert found is not None
        running = centre.rig.pipeline.running.snapshot
        every = [(*place, document.stored.decode()) for place, document in travelling(centre.rig.tree, running)]
        assert found.content.tree == every
        assert set(found.content.secrets) == {key for path, key, _ in every if path.endswith("/passwords")}
        return paths.count(ROOT + USERS)

    paths: list[str] = []
    documents = revisions._documents

    def counted(snapshot: Snapshot, path: str) -> Any:
        paths.append(path)
        return documents(snapshot, path)

    candidate = centre.rig.candidate()
    password = centre.rig.post(candidate, "passwords", {"plain": "correct horse battery"})
    jane = centre.rig.post(candidate, USERS, {"name": "jane", "password": password})
    group = centre.rig.post(candidate, GROUPS, {"name": "operators", "members": [jane]})
    centre.rig.commit(candidate)
    read()
    monkeypatch.setattr(revisions, "_documents", counted)
    centre.rig.committed((ZONE, "Asia/Tokyo"))
    assert read() == 1
    candidate = centre.rig.candidate()
    centre.rig.put(candidate, USERS, {"name": "jane", "password": None}, jane)
    centre.rig.commit(candidate)
    assert (read(), paths.count(ROOT + GROUPS)) == (2, 1)
    candidate = centre.rig.candidate()
    centre.rig.delete(candidate, GROUPS, group)
    centre.rig.delete(candidate, USERS, jane)
    centre.rig.commit(candidate)
    assert (read(), paths.count(ROOT + GROUPS), paths.count(ROOT + ZONE)) == (2, 2, 1)


def test_what_a_crash_left_out_is_noted_at_the_next_start(centre: Centre) -> None:
    number = centre.number
    centre.rig.committed((ZONE, "Asia/Tokyo"))
    again = Ledger(centre.rig.tree, centre.rig.store, centre.rig.secrets)
    assert again.note(centre.rig.pipeline.running)
    assert again.newest is not None
    assert again.newest.header.number == number + 1
    once_more = Ledger(centre.rig.tree, centre.rig.store, centre.rig.secrets)
    assert once_more.note(centre.rig.pipeline.running)
    assert once_more.newest is not None
    assert once_more.newest.header == again.newest.header


def test_revisions_are_chained_and_headers_lead_from_one_to_the_newest(centre: Centre) -> None:
    first = newest(centre)
    made = []
    for number in range(3):
        centre.committed((SERVERS, [ip(f"192.0.2.{number + 1}")]))
        made.append(newest(centre))
    assert [one.parent for one in made] == [first.hash, made[0].hash, made[1].hash]
    assert centre.central.ledger.headers_after(*first.at) == made
    assert centre.central.ledger.headers_after(*made[1].at) == made[2:]
    assert centre.central.ledger.headers_after(*made[2].at) == []


def test_only_the_youngest_headers_are_kept(centre: Centre, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("doorward.cluster.ledger.MOST_HEADERS", 2)
    for number in range(4):
        centre.committed((SERVERS, [ip(f"192.0.2.{number + 1}")]))
    assert len(centre.rig.store.records("cluster_revision")) == 2
    assert [one.number for one in centre.central.ledger.headers_after(0, 0)] == [centre.number - 1, centre.number]


def test_a_new_epoch_is_a_new_revision_whatever_it_holds(centre: Centre) -> None:
    before = newest(centre)
    centre.promote(before.epoch + 100)
    assert centre.note()
    assert newest(centre).epoch == before.epoch + 100
    assert newest(centre).at > before.at


# What a node believes


@pytest.fixture
def sent(centre: Centre, join: Callable[..., Node]) -> Callable[..., Envelope]:
    """Make what the centre would send to a node that has some revision."""
    node = join("managed-host")

    def envelope(since: Header | None = None) -> Envelope:
        found = node.wire.revision(since)
        assert found is not None
        return found

    return envelope


def refused(envelope: Envelope, applied: Header | None, cluster_id: str) -> str:
    with pytest.raises(NotTaken) as found:
        check(envelope, applied, cluster_id)
    (issue,) = found.value.issues
    return issue.code


def test_what_the_centre_sends_is_believed(centre: Centre, sent: Callable[..., Envelope]) -> None:
    applied = newest(centre)
    check(sent(), None, centre.cluster_id)
    centre.committed((ZONE, "Asia/Tokyo"))
    centre.committed((ZONE, "Europe/Budapest"))
    check(sent(applied), applied, centre.cluster_id)
    check(sent(newest(centre)), newest(centre), centre.cluster_id)


def test_another_content_than_the_header_names_is_a_fork(centre: Centre, sent: Callable[..., Envelope]) -> None:
    envelope = sent()
    tree = [*envelope.content.tree[:-1], ("/api/configuration/datetime/timezone", "", '"Asia/Tokyo"')]
    content = Content(tree, envelope.content.membership, envelope.content.secrets)
    changed = msgspec.structs.replace(envelope, content=content)
    assert refused(changed, None, centre.cluster_id) == "history_fork"


def test_another_secret_than_the_content_names_is_a_fork(centre: Centre, sent: Callable[..., Envelope]) -> None:
    envelope = sent()
    (key,) = envelope.secrets
    changed = msgspec.structs.replace(envelope, secrets={key: ("hash", "$argon2id$mine")})
    assert refused(changed, None, centre.cluster_id) == "history_fork"


def test_another_cluster_is_a_fork(sent: Callable[..., Envelope]) -> None:
    assert refused(sent(), None, "another") == "history_fork"


def test_a_history_that_lost_what_was_applied_is_a_fork(centre: Centre, sent: Callable[..., Envelope]) -> None:
    envelope, now = sent(), newest(centre)
    mine = msgspec.structs.replace(now, hash="f" * 64)
    assert refused(envelope, mine, centre.cluster_id) == "history_fork"
    assert refused(envelope, header(now.epoch, now.number + 1, now.hash, "x"), centre.cluster_id) == "history_fork"
    centre.committed((ZONE, "Asia/Tokyo"))
    assert refused(sent(mine), mine, centre.cluster_id) == "history_fork"
    assert refused(msgspec.structs.replace(sent(now), headers=[]), now, centre.cluster_id) == "history_fork"


def test_a_later_epoch_is_followed_though_its_numbers_went_back(centre: Centre, sent: Callable[..., Envelope]) -> None:
    applied = header(newest(centre).epoch - 1, 900, "", "x")
    check(sent(applied), applied, centre.cluster_id)
    assert refused(sent(), header(newest(centre).epoch + 1, 1, "", "x"), centre.cluster_id) == "history_fork"


def test_who_was_away_for_more_revisions_than_headers_are_kept_goes_on(
    centre: Centre, sent: Callable[..., Envelope], monkeypatch: pytest.MonkeyPatch
) -> None:
    applied = newest(centre)
    monkeypatch.setattr("doorward.cluster.ledger.MOST_HEADERS", 2)
    for number in range(4):
        centre.committed((SERVERS, [ip(f"192.0.2.{number + 1}")]))
    check(sent(applied), applied, centre.cluster_id)


def test_another_release_is_a_mismatch(centre: Centre, sent: Callable[..., Envelope]) -> None:
    assert refused(msgspec.structs.replace(sent(), version="9.9.9"), None, centre.cluster_id) == "version_mismatch"
