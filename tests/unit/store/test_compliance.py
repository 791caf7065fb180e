"""What every store promises, whichever adapter it is."""

from __future__ import annotations

import sqlite3
import threading
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from doorward.store.history import past
from doorward.store.port import Confirmation, Edit, Intent, Secret, StaleHeadError, StoreDamagedError
from doorward.tree.jsontext import encode
from doorward.tree.places import Place
from tests.unit.store.samples import HISTORY, JANE, JOE, RUNNING, SERVERS, ZONE, commit_record, edit, fill, revision

if TYPE_CHECKING:
    from collections.abc import Callable

    from doorward.store.port import Revision, Store


def running(store: Store) -> dict[object, object]:
    return {place: (position, body) for place, position, body in store.documents()}


def test_an_empty_store_holds_nothing(store: Store) -> None:
    assert store.head() is None
    assert running(store) == {}
    assert store.intent() is None
    assert store.confirmation() is None
    assert store.revisions() == []
    assert store.commit_records() == []
    assert store.edits(1) == []
    assert store.revision(1) is None
    assert store.secret("key") is None
    assert store.commit_record("id") is None
    assert store.check() == []


def test_a_published_revision_runs(store: Store) -> None:
    published = fill(store)
    assert store.head() == published[-1]
    assert running(store) == RUNNING
    assert store.check() == []


def test_a_revision_comes_back_as_it_was_given_chained_to_its_parent(store: Store) -> None:
    published = fill(store)
    given = revision(2, message=None)
    assert replace(published[1], hash="", parent_hash="") == given
    assert [one.parent_hash for one in published] == ["", *(one.hash for one in published[:-1])]
    assert len({one.hash for one in published}) == len(published)
    assert store.revision(3) == published[2]
    assert [store.edits(number) for number in range(1, 5)] == HISTORY


def test_equal_content_in_another_place_of_the_chain_has_another_hash(store: Store) -> None:
    one = store.publish(revision(1, time="x", message="m"), [edit(ZONE, ..., 1)])
    two = store.publish(revision(2, time="x", message="m"), [edit(ZONE, 1, 1)])
    assert one.hash != two.hash


@pytest.mark.parametrize("number", [0, 1, 4, 6, 99])
def test_only_the_next_number_can_be_published(store: Store, number: int) -> None:
    fill(store)
    before = store.head()
    with pytest.raises(StaleHeadError):
        store.publish(revision(number), [edit(ZONE, "Etc/UTC", "x")], commit_record("t"), [Secret("new", "plain", b"x")])
    assert store.head() == before
    assert running(store) == RUNNING
    assert store.secret("new") is None
    assert store.commit_record("t") is None
    assert store.check() == []


def test_an_empty_store_takes_revision_one_only(store: Store) -> None:
    with pytest.raises(StaleHeadError):
        store.publish(revision(2), [])
    store.publish(revision(1), [])


def test_of_two_writers_with_the_same_head_one_wins(open_store: Callable[[], Store]) -> None:
    one, other = open_store(), open_store()
    fill(one)
    results: list[str] = []
    ready = threading.Barrier(2)

    def write(store: Store, value: str) -> None:
        ready.wait()
        try:
            store.publish(revision(5), [edit(ZONE, "Etc/UTC", value)])
            results.append(value)
        except StaleHeadError:
            results.append("stale")

    threads = [threading.Thread(target=write, args=pair) for pair in ((one, "a"), (other, "b"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 2
    assert results.count("stale") == 1
    assert one.head() == other.head()
    assert one.check() == []


def test_pages_of_revisions_go_back_in_time(store: Store) -> None:
    fill(store)
    assert [one.number for one in store.revisions()] == [4, 3, 2, 1]
    assert [one.number for one in store.revisions(limit=2)] == [4, 3]
    assert [one.number for one in store.revisions(before=3, limit=2)] == [2, 1]
    assert store.revisions(before=1) == []
    assert store.revisions(before=0) == []


def test_revisions_of_some_places_are_those_that_changed_something_there(store: Store) -> None:
    fill(store)

    def numbers(*paths: str, key: str | None = None, before: int | None = None, limit: int = 100) -> list[int]:
        return [one.number for one in store.revisions(before, limit, paths, key)]

    assert numbers("/zone") == [4, 2, 1]
    assert numbers("/users") == [4, 3, 1]
    assert numbers("/users", key="joe") == [3, 1]
    assert numbers("/users", key="nobody") == []
    assert numbers("/zone", "/servers") == [4, 3, 2, 1]
    assert numbers("/zone", before=4) == [2, 1]
    assert numbers("/zone", limit=1) == [4]


@pytest.mark.parametrize(
    ("time", "number"),
    [
        ("2026-11-21T10:00:00Z", None),
        ("2026-11-21T10:00:01Z", 1),
        ("2026-11-21T10:00:03Z", 3),
        ("2026-12-01T00:00:00Z", 4),
    ],
)
def test_the_revision_of_a_time_is_the_newest_made_by_then(store: Store, time: str, number: int | None) -> None:
    fill(store)
    assert store.revision_at(time) == number


def test_every_revision_can_be_read_as_it_was(store: Store) -> None:
    state: dict[Place, tuple[int, bytes]] = {}
    fill(store)
    for number, edits in enumerate(HISTORY, 1):
        for one in edits:
            state.pop(one.place, None)
            if one.new is not None:
                state[one.place] = (one.position, one.new)
        found = {place: (position, body) for place, position, body in store.documents_at(number)}
        assert found == state
        users = {place: (position, body) for place, position, body in store.documents_at(number, ["/users"])}
        assert users == {place: value for place, value in state.items() if place.path == "/users"}
    assert state == RUNNING
    assert list(store.documents_at(0)) == []


@pytest.mark.parametrize(("older", "newer"), [(a, b) for a in range(5) for b in range(a, 5)])
def test_the_difference_of_two_revisions_is_what_leads_from_one_to_the_other(store: Store, older: int, newer: int) -> None:
    fill(store)
    before, after = ({place: (position, body) for place, position, body in store.documents_at(n)} for n in (older, newer))
    difference = store.difference(older, newer)
    assert difference == sorted(difference, key=lambda one: one.place)
    for one in difference:
        assert one.old != one.new
        assert one.old == before.pop(one.place, (0, None))[1]
        if one.new is not None:
            before[one.place] = (one.position, one.new)
    assert {place: body for place, (_, body) in before.items()} == {place: body for place, (_, body) in after.items()}


def test_changes_of_a_place_come_newest_first(store: Store) -> None:
    published = fill(store)
    found = store.changes_of(ZONE, 4, 10)
    assert [(one.number, change.new) for one, change in found] == [(n, encode(z)) for n, z in (
        (4, "Etc/UTC"), (2, "Europe/Budapest"), (1, "Etc/UTC"),
    )]  # fmt: skip
    assert found[0] == (published[3], HISTORY[3][0])
    assert [one.number for one, _ in store.changes_of(ZONE, 3, 1)] == [2]
    assert store.changes_of(Place("/nowhere"), 4, 10) == []


def test_the_journal_holds_one_intent_until_it_is_closed(store: Store) -> None:
    intent = Intent("t1", (edit(ZONE, "Etc/UTC", "x"), edit(JANE, {"name": "jane"}, ...), edit(SERVERS, ..., [], 7)))
    store.begin(intent, commit_record("t1", state="applying"))
    assert store.intent() == intent
    assert store.commit_record("t1") == commit_record("t1", state="applying")
    with pytest.raises(sqlite3.IntegrityError):
        store.begin(Intent("t2", ()), commit_record("t2"))
    assert store.intent() == intent
    assert store.commit_record("t2") is None
    ended = commit_record("t1", state="reverted", finished="2026-11-21T10:00:01Z", error={"reason": "x"})
    store.close_journal(ended)
    assert store.intent() is None
    assert store.commit_record("t1") == ended


def test_closing_a_journal_needs_no_record(store: Store) -> None:
    store.begin(Intent("t1", ()), commit_record("t1"))
    store.close_journal()
    assert store.intent() is None
    assert store.commit_record("t1") == commit_record("t1")


def test_publishing_closes_the_journal_and_ends_the_record_in_one_step(store: Store) -> None:
    store.begin(Intent("t1", tuple(HISTORY[0])), commit_record("t1", state="applying"))
    done = commit_record("t1", state="done", finished="2026-11-21T10:00:02Z", revision=1)
    store.publish(revision(1, 4), HISTORY[0], done)
    assert store.intent() is None
    assert store.commit_record("t1") == done


def test_an_intent_survives_its_encoding() -> None:
    intent = Intent("t", (Edit(JANE, None, b'"\xc3\xa9"', 3), Edit(ZONE, b"1", None), Edit(SERVERS, b"[]", b"[1]")))
    assert Intent.decoded(intent.encoded()) == intent


def test_records_are_found_by_id_and_by_the_key_of_their_account(store: Store) -> None:
    store.save_commit_record(commit_record("t1", user="jane", account="ca2d", idempotency_key="k", request="r"))
    store.save_commit_record(commit_record("t2", user="jane", account="0b1e", idempotency_key="k"))
    store.save_commit_record(commit_record("t3", user="jane", account="ca2d"))
    assert store.commit_record("t1") == commit_record("t1", user="jane", account="ca2d", idempotency_key="k", request="r")
    assert store.commit_record("k", "ca2d") == store.commit_record("t1")
    assert store.commit_record("k", "0b1e") == store.commit_record("t2"), "another account of the same name"
    assert store.commit_record("k", "-1") is None
    assert store.commit_record("k", "jane") is None
    assert store.commit_record("k") is None
    assert store.commit_record("t3", "0b1e") == store.commit_record("t3")


def test_of_several_records_with_one_key_the_one_made_last_counts_whatever_the_clock_said(store: Store) -> None:
    for name, started in (("t1", "2026-11-21T10:00:00Z"), ("t2", "2026-11-21T10:00:00Z"), ("t3", "2026-11-21T09:00:00Z")):
        store.save_commit_record(commit_record(name, idempotency_key="k", started=started))
    found = store.commit_record("k", "-1")
    assert found is not None
    assert found.id == "t3"
    store.save_commit_record(commit_record("t1", state="done", idempotency_key="k", started="2026-11-21T10:00:00Z"))
    assert store.commit_record("k", "-1") == found, "to update a record does not make it another one"


def test_records_are_listed_newest_first(store: Store) -> None:
    for index in range(5):
        store.save_commit_record(commit_record(f"t{index}", started=f"2026-11-21T10:00:0{index // 2}Z"))
    assert [one.id for one in store.commit_records()] == ["t4", "t3", "t2", "t1", "t0"]
    assert [one.id for one in store.commit_records(2)] == ["t4", "t3"]


def test_records_are_listed_in_the_order_they_were_made_in_also_where_the_clock_was_set_back(store: Store) -> None:
    for index in range(4):
        store.save_commit_record(commit_record(f"t{index}", started=f"2026-11-2{4 - index}T10:00:00Z"))
    assert [one.id for one in store.commit_records()] == ["t3", "t2", "t1", "t0"]


def test_what_awaits_confirmation_is_replaced_with_its_record(store: Store) -> None:
    awaited = Confirmation("t1", "jane", 1, 1.0, 60.0, "boot", 7.5)
    store.publish(revision(1), [edit(ZONE, ..., "x")], commit_record("t1", state="awaiting_confirmation"), (), awaited)
    assert store.confirmation() == awaited
    refused = replace(awaited, seconds=0.0, failure="the host refused")
    error = {"action": "write sources", "path": "", "reason": "refused", "restored": True}
    store.await_confirmation(refused, commit_record("t1", state="revert_failed", error=error))
    assert store.confirmation() == refused
    assert (found := store.commit_record("t1")) is not None
    assert (found.state, found.error) == ("revert_failed", error)
    store.publish(revision(2), [edit(ZONE, "x", "y")], commit_record("t2", state="done"))
    assert store.confirmation() is None
    assert (found := store.commit_record("t1")) is not None
    assert (found.state, found.error) == ("reverted", None)


def test_a_record_keeps_its_place_when_it_is_written_again(store: Store) -> None:
    store.save_commit_record(commit_record("t1"))
    store.save_commit_record(commit_record("t2"))
    full = commit_record(
        "t1", state="failed", finished="2026-11-21T10:00:09Z", revision=3, error={"type": "Conflict"}, warnings=[{"code": "x"}]
    )
    store.save_commit_record(full)
    assert store.commit_record("t1") == full
    assert [one.id for one in store.commit_records()] == ["t2", "t1"]


def test_keys_of_old_records_are_forgotten_and_the_records_stay(store: Store) -> None:
    store.save_commit_record(commit_record("old", started="2026-11-19T10:00:00Z", idempotency_key="k1"))
    store.save_commit_record(commit_record("new", started="2026-11-21T10:00:00Z", idempotency_key="k2"))
    store.forget_commit_records("2026-11-20T10:00:00Z")
    assert store.commit_record("k1", "-1") is None
    assert store.commit_record("old") == commit_record("old", started="2026-11-19T10:00:00Z")
    assert store.commit_record("k2", "-1") == store.commit_record("new")


def test_a_confirmation_waits_until_it_is_confirmed(store: Store) -> None:
    fill(store)
    awaited = Confirmation("t1", "jane", 5, 1234.5, 60.0, "boot", 7.5, "the host refused")
    store.publish(revision(5), [edit(ZONE, "Etc/UTC", "x")], commit_record("t1", state="awaiting_confirmation"), (), awaited)
    assert store.confirmation() == awaited
    store.confirmed(commit_record("t1", state="done"))
    assert store.confirmation() is None
    assert store.commit_record("t1") == commit_record("t1", state="done")


def test_the_next_commit_takes_back_the_one_that_awaits_its_confirmation(store: Store) -> None:
    store.publish(
        revision(1), [edit(ZONE, ..., "x")], commit_record("t1", state="done"), (), Confirmation("t1", "jane", 1, 1.0, 60.0)
    )
    store.publish(revision(2), [edit(ZONE, "x", "y")], commit_record("t2", state="done"))
    assert store.confirmation() is None
    taken_back = store.commit_record("t1")
    assert taken_back is not None
    assert taken_back.state == "reverted"


def test_a_revision_that_nobody_committed_settles_nothing(store: Store) -> None:
    """A release that brings endpoints writes one; a commit that awaits its confirmation goes on waiting."""
    awaited = Confirmation("t1", "jane", 1, 1.0, 60.0)
    store.publish(revision(1), [edit(ZONE, ..., "x")], commit_record("t1", state="awaiting_confirmation"), (), awaited)
    store.begin(Intent("t2", ()), commit_record("t2"))
    store.publish(revision(2), [edit(SERVERS, ..., [])])
    assert store.confirmation() == awaited
    assert store.intent() == Intent("t2", ())


def test_what_a_place_held_in_the_past_comes_newest_first(store: Store) -> None:
    fill(store)
    assert store.past(ZONE) == [b'"Etc/UTC"', b'"Europe/Budapest"', b'"Etc/UTC"']
    assert store.past(JANE) == [b'{"name":"jane"}', b'{"name":"jane"}']
    assert store.past(Place("/users", "nobody")) == []


def test_who_committed_what_stands_somewhere(store: Store) -> None:
    fill(store)
    made = commit_record("t5", user="jane", account="ca2d", revision=5, state="done")
    store.publish(revision(5, author="jane"), [edit(ZONE, "Etc/UTC", "Europe/London")], made)
    store.save_commit_record(commit_record("t6", user="joe", account="0b1e", revision=5, state="done"))  # changed nothing
    store.publish(revision(6, author="joe"), [edit(JANE, {"name": "jane"}, ..., 2)], commit_record("t7", user="joe", revision=6))
    assert store.committer(ZONE) == "ca2d"
    assert store.committer(SERVERS) is None, "no account did it, or none that is known"
    assert store.committer(JANE) is None
    assert store.committer(Place("/users", "nobody")) is None


def test_secrets_are_kept_and_take_their_last_form(store: Store) -> None:
    store.publish(revision(1), [], secrets=[Secret("a", "plain", b"\x00\x01"), Secret("b", "sealed", b"")])
    store.publish(revision(2), [], secrets=[Secret("a", "hash", b"\xff")])
    assert store.secret("a") == Secret("a", "hash", b"\xff")
    assert store.secret("b") == Secret("b", "sealed", b"")


def test_everything_is_there_after_opening_again(open_store: Callable[[], Store]) -> None:
    first = open_store()
    published = fill(first)
    first.begin(Intent("t1", (edit(ZONE, "Etc/UTC", "x"),)), commit_record("t1", state="applying"))
    first.close()
    again = open_store()
    assert again.head() == published[-1]
    assert running(again) == RUNNING
    assert again.intent() == Intent("t1", (edit(ZONE, "Etc/UTC", "x"),))
    assert again.commit_record("t1") == commit_record("t1", state="applying")
    assert again.secret("key") == Secret("key", "hash", b"sealed")
    assert again.check() == []


def test_readers_in_other_threads_see_whole_revisions_while_one_writes(store: Store) -> None:
    """Each revision sets both documents to its number: no reader may ever see two different ones."""
    first, second = ZONE, SERVERS
    store.publish(revision(1), [edit(first, ..., 1), edit(second, ..., 1)])
    ended = threading.Event()
    seen: list[set[bytes]] = [set(), set()]
    torn: list[object] = []

    def read(numbers: set[bytes]) -> None:
        while not ended.is_set():
            bodies = {body for _, _, body in store.documents()}
            head = store.head()
            if len(bodies) != 1 or head is None:
                torn.append(bodies)
            numbers |= bodies

    readers = [threading.Thread(target=read, args=(numbers,)) for numbers in seen]
    for reader in readers:
        reader.start()
    for number in range(2, 60):
        store.publish(revision(number), [edit(first, number - 1, number), edit(second, number - 1, number)])
    ended.set()
    for reader in readers:
        reader.join()
    assert torn == []
    assert all(numbers for numbers in seen)
    assert store.check() == []


def test_writes_from_several_threads_are_carried_out_one_after_another(store: Store) -> None:
    def write(worker: int) -> None:
        for index in range(20):
            store.save_commit_record(commit_record(f"{worker}-{index}"))

    threads = [threading.Thread(target=write, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.commit_records(200)) == 80


def taken_from(store: Store) -> list[tuple[Revision, list[Edit]]]:
    """The whole history of a store."""
    return [(one, store.edits(one.number)) for one in reversed(store.revisions())]


def test_a_history_from_elsewhere_takes_the_place_of_the_own(open_store: Callable[[], Store], other_store: Store) -> None:
    store, theirs = open_store(), taken_from_filled(other_store)
    own = [edit(ZONE, ..., "Asia/Tokyo"), edit(JOE, ..., {"n": 9})]
    store.publish(
        revision(1, 2),
        own,
        commit_record("own", revision=1),
        secrets=[Secret("joe", "hash", b"a"), Secret("stray", "hash", b"b")],
    )
    store.save_commit_record(commit_record("refused"))
    came = past(lambda: iter(theirs))
    assert came.head == theirs[-1][0]
    assert came.documents == RUNNING
    further = [edit(ZONE, "Etc/UTC", "Asia/Tokyo")]
    made = store.publish(
        revision(5), further, commit_record("restore", revision=5), secrets=[Secret("jane", "hash", b"c")], past=came
    )
    assert made.parent_hash == theirs[-1][0].hash
    for seen in (store, open_store()):
        assert taken_from(seen) == [*theirs, (made, further)]
        assert running(seen) == {**RUNNING, ZONE: (0, b'"Asia/Tokyo"')}
        assert seen.check() == []
        assert {one.id for one in seen.commit_records()} == {"refused", "restore"}
        assert {key for key in ("joe", "jane", "stray") if seen.secret(key)} == {"joe", "jane"}


def test_what_does_not_follow_a_history_from_elsewhere_leaves_the_own(store: Store, other_store: Store) -> None:
    theirs = taken_from_filled(other_store)
    own = store.publish(revision(1), [edit(ZONE, ..., "Asia/Tokyo")], secrets=[Secret("stray", "hash", b"b")])
    with pytest.raises(StaleHeadError):
        store.publish(revision(2), [], past=past(lambda: iter(theirs)))
    assert store.revisions() == [own]
    assert store.secret("stray")
    assert store.check() == []


def test_a_history_that_is_not_whole_is_not_taken(other_store: Store) -> None:
    theirs = taken_from_filled(other_store)
    (third, changes), altered = theirs[2], [edit(ZONE, ..., 1)]
    for broken in (
        [],
        theirs[1:],
        [*theirs[:2], theirs[3]],
        [*theirs[:2], (third, altered)],
        [*theirs[:2], (third, changes[1:])],
    ):
        with pytest.raises(StoreDamagedError):
            past(lambda broken=broken: iter(broken))  # type: ignore[misc]


def taken_from_filled(store: Store) -> list[tuple[Revision, list[Edit]]]:
    """The small history, as another store made it."""
    fill(store)
    return taken_from(store)
