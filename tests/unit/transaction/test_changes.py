"""Changes as the wire shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from doorward.store.port import Edit
from doorward.transaction.changes import as_changes
from doorward.tree.jsontext import encode
from doorward.tree.places import Place
from tests.unit.transaction.rig import GOOD_PASSWORD, GROUPS, PASSWORDS, ROOT, SERVERS, TREE, USERS, WEB, Rig, ip, place

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from doorward.transaction.candidate import Candidate


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path)
    yield made
    made.close()


def changes(candidate: Candidate) -> list[dict[str, Any]]:
    return as_changes(TREE, candidate.edits())


A, B = ip("192.0.2.1"), ip("192.0.2.2")
POOL = {"selection": "fqdn", "value": "pool.ntp.org"}


def test_an_array_is_replaced_as_a_whole_or_reordered(rig: Rig) -> None:
    candidate = rig.candidate()
    rig.put(candidate, SERVERS, [A, B])
    assert changes(candidate) == [
        {"new_value": [A, B], "old_value": [POOL], "path": ROOT + SERVERS, "type": "replace"},
    ]
    rig.commit(candidate)
    candidate = rig.candidate()
    rig.put(candidate, SERVERS, [B, A])
    assert changes(candidate) == [
        {"new_order": [B, A], "old_order": [A, B], "path": ROOT + SERVERS, "type": "reorder"},
    ]


def test_a_member_has_a_path_of_its_own(rig: Rig) -> None:
    candidate = rig.candidate()
    rig.put(candidate, WEB, {"timeout": 20})
    assert changes(candidate) == [
        {"new_value": 20, "old_value": 10, "path": f"{ROOT}{WEB}#timeout", "type": "replace"},
    ]


def test_an_object_is_created_changed_and_deleted(rig: Rig) -> None:
    candidate = rig.candidate()
    jane = rig.post(candidate, USERS, {"name": "jane"})
    path = f"{ROOT}{USERS}/{jane}"
    assert changes(candidate) == [{"new_value": {"name": "jane", "password": None}, "path": path, "type": "create"}]
    rig.commit(candidate)
    candidate = rig.candidate()
    rig.put(candidate, USERS, {"name": "janet"}, jane)
    assert changes(candidate) == [{"new_value": "janet", "old_value": "jane", "path": f"{path}#name", "type": "replace"}]
    rig.delete(candidate, USERS, jane)
    assert changes(candidate) == [{"old_value": {"name": "jane", "password": None}, "path": path, "type": "delete"}]


def test_values_are_as_get_shows_them_without_secrets_sorted_by_path(rig: Rig) -> None:
    candidate = rig.candidate()
    secret = rig.post(candidate, PASSWORDS, {"plain": GOOD_PASSWORD})
    jane = rig.post(candidate, USERS, {"name": "jane", "password": secret})
    rig.put(candidate, GROUPS, {"name": "basic-view", "members": [jane]}, "-1001")
    found = changes(candidate)
    assert [change["path"] for change in found] == sorted(
        [f"{ROOT}{GROUPS}/-1001#members", f"{ROOT}{USERS}/{jane}", f"{ROOT}{PASSWORDS}/{secret}"]
    )
    by_path = {change["path"]: change for change in found}
    assert by_path[f"{ROOT}{GROUPS}/-1001#members"]["new_value"] == [{"key": jane, "meta": {"href": f"{ROOT}{USERS}/{jane}"}}]
    assert by_path[f"{ROOT}{USERS}/{jane}"]["new_value"]["password"] == {
        "key": secret,
        "meta": {"href": f"{ROOT}{PASSWORDS}/{secret}"},
    }
    assert GOOD_PASSWORD not in str(found)


def test_names_in_paths_are_escaped() -> None:
    where = Place("/api/configuration/gone")
    edit = Edit(where, encode({"a/b": {"~": 1}}), encode({"a/b": {"~": 2}}))
    assert as_changes(TREE, [edit]) == [{"new_value": 2, "old_value": 1, "path": f"{where.path}#a~1b/~0", "type": "replace"}]


def test_what_this_release_would_not_take_is_shown_as_it_was_stored() -> None:
    edit = Edit(place(WEB), encode({"timeout": "ten"}), encode({"timeout": 10}))
    assert as_changes(TREE, [edit]) == [
        {"new_value": 10, "old_value": "ten", "path": f"{ROOT}{WEB}#timeout", "type": "replace"},
    ]


def test_nothing_changed_is_an_empty_list(rig: Rig) -> None:
    assert changes(rig.candidate()) == []
