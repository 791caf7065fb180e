"""What a candidate changes that somebody may not write, and what only follows from what may be deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from doorward.access.rights import Rights
from doorward.access.writable import not_writable
from tests.unit.transaction.rig import GOOD_PASSWORD, GROUPS, PASSWORDS, ROOT, TREE, USERS, ZONE, place

if TYPE_CHECKING:
    from tests.unit.transaction.rig import Rig

JANE = Rights(writable=frozenset({f"/{ROOT.strip('/')}/{USERS}"}))
"""May write accounts and nothing else."""


@pytest.fixture
def keys(rig: Rig) -> tuple[str, str]:
    """A group and its only member."""
    candidate = rig.candidate()
    user = rig.post(candidate, USERS, {"name": "joe"})
    group = rig.post(candidate, GROUPS, {"name": "friends", "members": [user]})
    rig.commit(candidate)
    return user, group


def test_who_deletes_an_account_takes_it_out_of_groups(rig: Rig, keys: tuple[str, str]) -> None:
    user, group = keys
    candidate = rig.candidate()
    rig.delete(candidate, USERS, user)
    assert {edit.place.key for edit in candidate.edits()} >= {user, group}
    assert not_writable(TREE, candidate, JANE) == []
    assert not_writable(TREE, candidate, Rights()) == [f"{ROOT}{GROUPS}/{group}", f"{ROOT}{USERS}/{user}"]


def test_a_group_that_loses_more_than_the_account_needs_the_right(rig: Rig, keys: tuple[str, str]) -> None:
    user, group = keys
    candidate = rig.candidate()
    rig.delete(candidate, USERS, user)
    rig.put(candidate, GROUPS, {"name": "enemies", "members": []}, group)
    assert not_writable(TREE, candidate, JANE) == [f"{ROOT}{GROUPS}/{group}"]


def test_a_member_that_stays_is_no_excuse(rig: Rig, keys: tuple[str, str]) -> None:
    _, group = keys
    candidate = rig.candidate()
    rig.put(candidate, GROUPS, {"name": "friends", "members": []}, group)
    assert not_writable(TREE, candidate, JANE) == [f"{ROOT}{GROUPS}/{group}"]


def test_everything_that_may_not_be_written_is_named_in_order(rig: Rig) -> None:
    candidate = rig.candidate()
    rig.put(candidate, ZONE, "Asia/Tokyo")
    group = rig.post(candidate, GROUPS, {"name": "friends", "members": []})
    assert not_writable(TREE, candidate, JANE) == [f"{ROOT}{GROUPS}/{group}", ROOT + ZONE]
    assert not_writable(TREE, candidate, Rights(everything=True)) == []


def test_secrets_come_and_go_with_whoever_may_write_something(rig: Rig) -> None:
    candidate = rig.candidate()
    key = rig.post(candidate, PASSWORDS, {"plain": GOOD_PASSWORD})
    user = rig.post(candidate, USERS, {"name": "joe", "password": key})
    assert not_writable(TREE, candidate, JANE) == []
    assert not_writable(TREE, candidate, Rights()) == [f"{ROOT}{USERS}/{user}", f"{ROOT}{PASSWORDS}/{key}"]
    elsewhere = Rights(writable=JANE.writable, paths=(f"{ROOT}{USERS}",))
    assert not_writable(TREE, candidate, elsewhere) == [f"{ROOT}{PASSWORDS}/{key}"]
    rig.commit(candidate)
    candidate = rig.candidate()
    rig.put(candidate, USERS, {"name": "joe", "password": None}, user)
    candidate.remove(place(PASSWORDS, key))
    assert not_writable(TREE, candidate, JANE) == []
