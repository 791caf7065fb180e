"""Bringing one's changes onto what others have committed meanwhile: place by place."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from doorward.transaction.candidate import Candidate
from doorward.transaction.merge import Choice, MergeConflict, merge, rebased
from tests.unit.transaction.rig import (
    ACCOUNTING,
    GROUPS,
    PASSWORDS,
    ROOT,
    SERVERS,
    TREE,
    USERS,
    WEB,
    ZONE,
    Rig,
    ip,
    place,
)  # fmt: skip

A, B = [ip("192.0.2.1")], [ip("192.0.2.2")]


def conflict(rig: Rig, candidate: Candidate) -> list[tuple[str, object]]:
    """Paths and running values of what collides; the attempt changes nothing."""
    before = (rig.pipeline.running, candidate.snapshot, dict(candidate.touched), dict(candidate.secrets))
    with pytest.raises(MergeConflict) as caught:
        rig.commit(candidate)
    assert (rig.pipeline.running, candidate.snapshot, candidate.touched, candidate.secrets) == before
    return [(c.path.removeprefix(ROOT), c.running_value) for c in caught.value.collisions]


def test_changes_in_different_places_come_together(rig: Rig) -> None:
    mine = rig.candidate()
    rig.put(mine, SERVERS, A)
    rig.committed((ZONE, "Europe/Budapest"), (WEB, {"timeout": 20}))
    rig.commit(mine)
    assert (rig.value(SERVERS), rig.value(ZONE), rig.value(WEB)) == (A, "Europe/Budapest", {"timeout": 20})


def test_the_same_place_collides_and_nothing_is_lost(rig: Rig) -> None:
    mine = rig.candidate()
    rig.put(mine, SERVERS, A)
    rig.put(mine, ZONE, "Europe/Budapest")
    rig.committed((SERVERS, B))
    assert conflict(rig, mine) == [(SERVERS, B)]
    assert rig.value(ZONE) != "Europe/Budapest"


def test_every_collision_is_named(rig: Rig) -> None:
    mine = rig.candidate()
    rig.put(mine, SERVERS, A)
    rig.put(mine, WEB, {"timeout": 5})
    rig.committed((SERVERS, B), (WEB, {"timeout": 6}))
    assert conflict(rig, mine) == [(SERVERS, B), (f"{WEB}#timeout", 6)]


def test_the_same_change_by_both_is_no_conflict_and_no_change(rig: Rig) -> None:
    mine = rig.candidate()
    rig.put(mine, SERVERS, A)
    rig.committed((SERVERS, A))
    number = rig.number
    record = rig.commit(mine)
    assert rig.number == record.revision == number


def test_setting_a_place_to_its_running_value_settles_the_conflict(rig: Rig) -> None:
    mine = rig.candidate()
    rig.put(mine, SERVERS, A)
    rig.put(mine, WEB, {"timeout": 5})
    rig.committed((SERVERS, B))
    assert conflict(rig, mine)
    rig.put(mine, SERVERS, B)
    rig.commit(mine)
    assert (rig.value(SERVERS), rig.value(WEB)) == (B, {"timeout": 5})


def test_setting_a_place_back_to_its_base_settles_it_too(rig: Rig) -> None:
    mine = rig.candidate()
    base = rig.value(SERVERS)
    rig.put(mine, SERVERS, A)
    rig.committed((SERVERS, B))
    rig.put(mine, SERVERS, base)
    rig.commit(mine)
    assert rig.value(SERVERS) == B


def test_a_change_that_was_taken_back_meanwhile_is_none(rig: Rig) -> None:
    base = rig.value(SERVERS)
    mine = rig.candidate()
    rig.put(mine, SERVERS, A)
    rig.committed((SERVERS, B))
    rig.committed((SERVERS, base))
    rig.commit(mine)
    assert rig.value(SERVERS) == A


def user(rig: Rig, name: str = "jane", **members: object) -> str:
    candidate = rig.candidate()
    key = rig.post(candidate, USERS, {"name": name, **members})
    rig.commit(candidate)
    return key


def password(rig: Rig, candidate: Candidate) -> str:
    return rig.post(candidate, PASSWORDS, {"plain": "correct horse battery"})


def test_two_people_change_different_members_of_one_object(rig: Rig) -> None:
    key = user(rig)
    mine = rig.candidate()
    secret = password(rig, mine)
    rig.put(mine, USERS, {"name": "jane", "password": secret}, key)
    theirs = rig.candidate()
    rig.put(theirs, USERS, {"name": "janet", "password": None}, key)
    rig.commit(theirs)
    rig.commit(mine)
    value = rig.value(USERS, key)
    assert (value["name"], value["password"]["key"]) == ("janet", secret)


def test_the_same_member_of_one_object_collides(rig: Rig) -> None:
    key = user(rig)
    mine, theirs = rig.candidate(), rig.candidate()
    rig.put(mine, USERS, {"name": "janine"}, key)
    rig.put(theirs, USERS, {"name": "janet"}, key)
    rig.commit(theirs)
    assert conflict(rig, mine) == [(f"{USERS}/{key}#name", "janet")]


def change(rig: Rig, candidate: Candidate, key: str) -> None:
    rig.put(candidate, GROUPS, {"name": "other"}, key)


def remove(rig: Rig, candidate: Candidate, key: str) -> None:
    rig.delete(candidate, GROUPS, key)


Step = Callable[[Rig, Candidate, str], None]


@pytest.mark.parametrize(("my", "their"), [(change, remove), (remove, change)])
def test_one_deletes_what_the_other_changes(rig: Rig, my: Step, their: Step) -> None:
    candidate = rig.candidate()
    key = rig.post(candidate, GROUPS, {"name": "own"})
    rig.commit(candidate)
    mine, theirs = rig.candidate(), rig.candidate()
    my(rig, mine, key)
    their(rig, theirs, key)
    rig.commit(theirs)
    assert conflict(rig, mine) == [(f"{GROUPS}/{key}", rig.value(GROUPS, key))]


def test_both_delete_the_same_object(rig: Rig) -> None:
    candidate = rig.candidate()
    key = rig.post(candidate, GROUPS, {"name": "own"})
    rig.commit(candidate)
    mine, theirs = rig.candidate(), rig.candidate()
    remove(rig, mine, key)
    remove(rig, theirs, key)
    rig.commit(theirs)
    rig.commit(mine)
    assert rig.value(GROUPS, key) is None


def test_new_objects_of_two_people_stand_in_the_order_of_their_commits(rig: Rig) -> None:
    mine, theirs = rig.candidate(), rig.candidate()
    own = [rig.post(mine, GROUPS, {"name": f"mine{n}"}) for n in range(2)]
    other = rig.post(theirs, GROUPS, {"name": "theirs"})
    rig.commit(theirs)
    rig.commit(mine)
    assert rig.pipeline.running.snapshot.objects(ROOT + GROUPS).order[-3:] == (other, *own)


def test_merging_leaves_the_inputs_alone(rig: Rig) -> None:
    mine = rig.candidate()
    rig.put(mine, SERVERS, A)
    rig.committed((ACCOUNTING, {"require_commitlog": True}))
    running, snapshot = rig.pipeline.running, mine.snapshot
    merged = merge(TREE, mine, running)
    assert merged.snapshot.value(ROOT + SERVERS) == A
    assert merged.snapshot.value(ROOT + ACCOUNTING) == {"require_commitlog": True}
    assert [edit.place for edit in merged.edits] == [place(SERVERS)]
    assert running.snapshot.value(ROOT + SERVERS) != A
    assert mine.snapshot is snapshot
    assert mine.snapshot.value(ROOT + ACCOUNTING) == {"require_commitlog": False}


def test_a_conflict_is_recorded(rig: Rig) -> None:
    mine = rig.candidate()
    rig.put(mine, SERVERS, A)
    rig.committed((SERVERS, B))
    with pytest.raises(MergeConflict, match=ROOT + SERVERS):
        rig.commit(mine, commit_id="t1")
    record = rig.store.commit_record("t1")
    assert record is not None
    assert (record.state, record.error) == ("failed", {"reason": ROOT + SERVERS, "type": "Conflict"})
    assert record.finished


@pytest.mark.parametrize(("choice", "servers"), [("mine", A), ("theirs", B)])
def test_a_choice_settles_a_collision_and_keeps_the_rest(rig: Rig, choice: Choice, servers: object) -> None:
    mine = rig.candidate()
    rig.put(mine, SERVERS, A)
    rig.put(mine, ZONE, "Europe/Budapest")
    rig.put(mine, WEB, {"timeout": 5})
    added = rig.post(mine, GROUPS, {"name": "added"})
    rig.committed((SERVERS, B), (WEB, {"timeout": 6}))
    choices: dict[str, Choice] = {ROOT + SERVERS: choice, f"{ROOT}{WEB}#timeout": "mine"}
    rig.commit(rebased(TREE, mine, rig.pipeline.running, choices))
    assert (rig.value(SERVERS), rig.value(WEB), rig.value(ZONE)) == (servers, {"timeout": 5}, "Europe/Budapest")
    assert rig.value(GROUPS, added)["name"] == "added"


@pytest.mark.parametrize("choice", ["mine", "theirs"])
@pytest.mark.parametrize(("my", "their"), [(change, remove), (remove, change)])
def test_a_choice_between_a_change_and_a_removal(rig: Rig, my: Step, their: Step, choice: Choice) -> None:
    candidate = rig.candidate()
    key = rig.post(candidate, GROUPS, {"name": "own"})
    rig.commit(candidate)
    mine, theirs = rig.candidate(), rig.candidate()
    my(rig, mine, key)
    their(rig, theirs, key)
    rig.commit(theirs)
    rig.commit(rebased(TREE, mine, rig.pipeline.running, {f"{ROOT}{GROUPS}/{key}": choice}))
    step = my if choice == "mine" else their
    assert (rig.value(GROUPS, key) is None) == (step is remove)


def test_a_collision_without_a_choice_stays_one(rig: Rig) -> None:
    mine = rig.candidate()
    rig.put(mine, SERVERS, A)
    rig.put(mine, WEB, {"timeout": 5})
    rig.committed((SERVERS, B), (WEB, {"timeout": 6}))
    with pytest.raises(MergeConflict) as caught:
        rebased(TREE, mine, rig.pipeline.running, {ROOT + SERVERS: "mine"})
    assert [one.path for one in caught.value.collisions] == [f"{ROOT}{WEB}#timeout"]


NIC = "network/nics/nic1"


def interface(name: str, address: str) -> dict[str, object]:
    addresses = {"@order": ["one"], "one": address}
    return {"addresses": addresses, "name": name, "vlantag": 7}


def test_what_stays_of_mine_fits_into_what_somebody_else_removed(rig: Rig) -> None:
    nic = dict(rig.value(NIC))
    interfaces = {key: value for key, value in nic["interfaces"].items() if key != "@order"}
    both = {**interfaces, "@order": [*interfaces, "x"], "x": interface("extra", "192.0.2.9/24")}
    rig.committed((NIC, {**nic, "interfaces": both}))
    mine = rig.candidate()
    rig.put(mine, NIC, {**nic, "interfaces": {**both, "x": interface("renamed", "192.0.2.9/24")}})
    rig.committed((NIC, nic))
    path = f"{ROOT}{NIC}#interfaces/x/name"
    assert conflict(rig, mine) == [(path.removeprefix(ROOT), None)]
    rig.commit(rebased(TREE, mine, rig.pipeline.running, {path: "mine"}))
    found = rig.value(NIC)["interfaces"]
    assert (list(found["@order"]), found["x"]) == ([*interfaces, "x"], interface("renamed", "192.0.2.9/24"))
