"""Going back to an earlier revision: the difference in a candidate, the rest as with every commit."""

from __future__ import annotations

import pytest
from argon2 import PasswordHasher
from msgspec.structs import replace

from doorward.store.port import Edit, Revision
from doorward.transaction.candidate import Candidate
from doorward.transaction.history import restore
from doorward.tree.jsontext import encode
from doorward.tree.places import Place
from doorward.tree.problems import SemanticError
from tests.unit.transaction.rig import GOOD_PASSWORD, GROUPS, PASSWORDS, ROOT, SERVERS, TREE, USERS, WEB, ZONE, Rig, ip, place

A, B = [ip("198.51.100.1")], [ip("198.51.100.2")]


def go_back(rig: Rig, number: int) -> None:
    candidate = rig.candidate()
    restore(TREE, rig.store, candidate, number)
    rig.commit(candidate)


def content(rig: Rig) -> dict[str, object]:
    """Everything that runs, collections in order."""
    snapshot = rig.pipeline.running.snapshot
    found: dict[str, object] = {path: document.stored for path, document in snapshot.singletons.items()}
    for path, objects in snapshot.collections.items():
        if objects:
            found[path] = [(key, document.stored) for key, document in objects.items()]
    return found


def test_every_earlier_revision_can_run_again(rig: Rig) -> None:
    states = {rig.number: content(rig)}

    def committed(*puts: tuple[str, object]) -> None:
        rig.committed(*puts)
        states[rig.number] = content(rig)

    committed((SERVERS, A))
    committed((SERVERS, B), (ZONE, "Europe/Budapest"))
    candidate = rig.candidate()
    keys = [rig.post(candidate, GROUPS, {"name": f"g{n}"}) for n in range(4)]
    jane = rig.post(candidate, USERS, {"name": "jane"})
    rig.commit(candidate)
    states[rig.number] = content(rig)
    candidate = rig.candidate()
    rig.put(candidate, GROUPS, {"name": "g0", "members": [jane]}, keys[0])
    rig.delete(candidate, GROUPS, keys[2])
    rig.commit(candidate)
    states[rig.number] = content(rig)
    candidate = rig.candidate()
    rig.delete(candidate, USERS, jane)
    rig.delete(candidate, GROUPS, keys[1])
    rig.commit(candidate)
    states[rig.number] = content(rig)
    committed((WEB, {"timeout": 5}))
    for number in [1, 7, 4, 2, 6, 3, 5, 1]:
        go_back(rig, number)
        assert content(rig) == states[number], number
    assert rig.store.check() == []


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("order", [[0, 1, 2], [2, 1, 0], [1, 2, 0], [2, 0, 1]])
def test_objects_return_to_their_places_whatever_the_order_they_went_in(rig: Rig, order: list[int], restart: bool) -> None:
    candidate = rig.candidate()
    keys = [rig.post(candidate, GROUPS, {"name": f"g{n}"}) for n in range(3)]
    rig.commit(candidate)
    before = rig.pipeline.running.snapshot.objects(ROOT + GROUPS).order
    for index in order:
        candidate = rig.candidate()
        rig.delete(candidate, GROUPS, keys[index])
        rig.commit(candidate)
    now = rig.restarted() if restart else rig
    candidate = now.candidate()
    restore(TREE, now.store, candidate, 2)
    assert candidate.snapshot.objects(ROOT + GROUPS).order == before
    now.commit(candidate)
    assert now.pipeline.running.snapshot.objects(ROOT + GROUPS).order == before
    again = now.restarted()
    assert again.pipeline.running.snapshot.objects(ROOT + GROUPS).order == before
    again.close()


def test_a_restored_object_stands_before_those_that_came_later(rig: Rig) -> None:
    candidate = rig.candidate()
    old = rig.post(candidate, GROUPS, {"name": "old"})
    rig.commit(candidate)
    candidate = rig.candidate()
    rig.delete(candidate, GROUPS, old)
    rig.commit(candidate)
    candidate = rig.candidate()
    new = rig.post(candidate, GROUPS, {"name": "new"})
    rig.commit(candidate)
    candidate = rig.candidate()
    edit = next(e for e in rig.store.edits(2) if e.place.key == old)
    candidate.put(edit.place, TREE.load(edit.place, {"name": "old", "members": []}), edit.position)
    rig.commit(candidate)
    assert rig.pipeline.running.snapshot.objects(ROOT + GROUPS).order[-2:] == (old, new)


def test_an_account_gets_its_old_password_back(rig: Rig) -> None:
    candidate = rig.candidate()
    first = rig.post(candidate, PASSWORDS, {"plain": GOOD_PASSWORD})
    jane = rig.post(candidate, USERS, {"name": "jane", "password": first})
    rig.commit(candidate)
    candidate = rig.candidate()
    second = rig.post(candidate, PASSWORDS, {"plain": "another good one!"})
    rig.put(candidate, USERS, {"name": "jane", "password": second}, jane)
    rig.commit(candidate)
    go_back(rig, 2)
    assert rig.value(USERS, jane)["password"]["key"] == first
    assert rig.value(PASSWORDS, first) is not None
    assert rig.value(PASSWORDS, second) is None
    assert PasswordHasher().verify(rig.secrets.text(first) or "", GOOD_PASSWORD)


def test_going_back_to_what_runs_changes_nothing(rig: Rig) -> None:
    rig.committed((SERVERS, A))
    candidate = rig.candidate()
    restore(TREE, rig.store, candidate, rig.number)
    assert not candidate.changed


def test_other_changes_of_the_candidate_stay(rig: Rig) -> None:
    rig.committed((SERVERS, A))
    candidate = rig.candidate()
    rig.put(candidate, WEB, {"timeout": 5})
    restore(TREE, rig.store, candidate, 1)
    rig.commit(candidate)
    assert (rig.value(SERVERS), rig.value(WEB)) == ([{"selection": "fqdn", "value": "pool.ntp.org"}], {"timeout": 5})


def test_a_body_that_this_release_does_not_take_is_named_and_nothing_changes(rig: Rig) -> None:
    old, gone = encode({"timeout": "ten"}), Place("/api/configuration/gone")
    edits = [
        Edit(place(WEB), old, encode({"timeout": 10})),
        Edit(gone, b"1", None),
        Edit(place(ZONE), b'"Etc/UTC"', b'"Etc/GMT"'),
    ]
    rig.store.publish(Revision(2, "admin", "", "2026-11-21T10:00:00Z", None, 3), edits)
    candidate = Candidate.on(replace(rig.pipeline.running, number=2))
    with pytest.raises(SemanticError) as caught:
        restore(TREE, rig.store, candidate, 1)
    assert sorted((p.code, p.path) for p in caught.value.problems) == [
        ("unsuitable", gone.href),
        ("unsuitable", place(WEB).href),
    ]
    assert not candidate.changed


def test_an_endpoint_that_came_with_a_release_stays(rig: Rig) -> None:
    edits = [Edit(place(WEB), None, encode({"timeout": 10}))]
    rig.store.publish(Revision(2, "doorward", "", "2026-11-21T10:00:00Z", None, 1), edits)
    candidate = Candidate.on(replace(rig.pipeline.running, number=2))
    restore(TREE, rig.store, candidate, 1)
    assert candidate.snapshot.value(ROOT + WEB) == {"timeout": 10}


def test_only_what_stands_at_or_below_the_paths_comes_back(rig: Rig) -> None:
    rig.committed((SERVERS, A), (ZONE, "Asia/Tokyo"), (WEB, {"timeout": 5}))
    candidate = rig.candidate()
    restore(TREE, rig.store, candidate, 1, [ROOT + "datetime"])
    assert {edit.place.href for edit in candidate.edits()} == {ROOT + SERVERS, ROOT + ZONE}
    candidate = rig.candidate()
    restore(TREE, rig.store, candidate, 1, [ROOT + "date", ROOT + WEB])
    assert {edit.place.href for edit in candidate.edits()} == {ROOT + WEB}


def test_a_password_comes_back_with_the_account_that_had_it(rig: Rig) -> None:
    candidate = rig.candidate()
    first = rig.post(candidate, PASSWORDS, {"plain": GOOD_PASSWORD})
    jane = rig.post(candidate, USERS, {"name": "jane", "password": first})
    rig.commit(candidate)
    rig.committed((ZONE, "Asia/Tokyo"))
    candidate = rig.candidate()
    second = rig.post(candidate, PASSWORDS, {"plain": "another good one!"})
    rig.put(candidate, USERS, {"name": "jane", "password": second}, jane)
    rig.commit(candidate)
    candidate = rig.candidate()
    restore(TREE, rig.store, candidate, 2, [f"{ROOT}{USERS}/{jane}"])
    rig.commit(candidate)
    assert rig.value(USERS, jane)["password"]["key"] == first
    assert rig.value(PASSWORDS, first) is not None
    assert rig.value(ZONE) == "Asia/Tokyo"
