"""What a reader may see of what several rights meet in."""

from __future__ import annotations

from typing import Any

import pytest

from doorward.access.rights import Rights
from doorward.access.sight import UNSEEN, Sight
from doorward.configuration.aaa.acls import OBJECTS
from doorward.store.port import Edit
from doorward.tree.jsontext import encode
from doorward.tree.nodes import Branch, WriteOnce
from doorward.tree.places import Place
from tests.unit.transaction.rig import GOOD_PASSWORD, GROUPS, PASSWORDS, ROOT, TREE, USERS, WEB, ZONE, Rig

PLAIN = [endpoint for endpoint in TREE if not isinstance(endpoint.node, (Branch, WriteOnce))]
ADMIN = Rights(everything=True)


def reading(*objects: str) -> Rights:
    return Rights(readable=frozenset(objects))


@pytest.mark.parametrize("name", sorted(OBJECTS))
def test_a_place_is_seen_by_who_may_read_it(name: str) -> None:
    """Whatever stands there, as a resource, an object below it or a place inside its body."""
    sight, blind = Sight(TREE, reading(name)), Sight(TREE, Rights())
    for endpoint in PLAIN:
        for place in (Place(endpoint.path), Place(endpoint.path, "key")) if endpoint.holds_objects else (Place(endpoint.path),):
            seen = endpoint.privilege == name
            assert sight.place(place) == sight.path(place.href) == sight.path(f"{place.href}#/0/x") == seen, place
            assert not blind.place(place), place
            assert Sight(TREE, ADMIN).place(place), place
            assert Sight(TREE, reading(endpoint.path)).path(place.href) == endpoint.path.startswith(ROOT), place


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("/api/backup/restores", {"/special/backup"}),
        ("/api/cluster/nodes/x", {"/special/cluster"}),
        ("/api/cluster/status/x", {"/special/cluster"}),
        ("/api/transaction", {*OBJECTS, ""}),
        ("", {*OBJECTS, ""}),
        ("/api/configuration", set()),
        ("/api/configuration/aaa", set()),
        ("/api/configuration/gone/with/a/release", set()),
    ],
)
def test_other_paths_have_their_own_right(path: str, names: set[str]) -> None:
    assert {name for name in (*OBJECTS, "") if Sight(TREE, reading(name)).path(path)} == names
    assert Sight(TREE, ADMIN).path(path)


def test_a_secret_is_seen_by_who_may_read_its_owner(rig: Rig) -> None:
    candidate = rig.candidate()
    secret = Place(ROOT + PASSWORDS, rig.post(candidate, PASSWORDS, {"plain": GOOD_PASSWORD}))
    alone = candidate.snapshot
    key = rig.post(candidate, USERS, {"name": "jane", "password": secret.key})
    owned, auth, basic = candidate.snapshot, reading("/special/auth"), reading("/special/basic")
    assert Sight(TREE, auth, owned).place(secret)
    assert not Sight(TREE, basic, owned).place(secret)
    assert not Sight(TREE, auth, alone).place(secret)
    writer = Rights(writable=frozenset({"/special/basic"}))
    assert Sight(TREE, writer, alone, unowned=True).place(secret)
    assert not Sight(TREE, writer, owned, unowned=True).place(secret)
    assert not Sight(TREE, auth, alone, unowned=True).place(secret)
    edits = [
        Edit(Place(ROOT + USERS, key), encode({"name": "jane", "password": secret.key}), None),
        Edit(Place("/api/configuration/of/another/release"), None, b"1"),
        Edit(Place(ROOT + WEB), b'"of another release"', b"{}"),
    ]
    assert Sight(TREE, auth, edits=edits).place(secret)
    assert not Sight(TREE, basic, edits=edits).place(secret)


def test_what_is_not_shown_is_counted() -> None:
    rows: list[dict[str, Any]] = [{"path": ROOT + ZONE}, {"path": f"{ROOT}{USERS}/x#/name"}, {"path": f"{ROOT}{GROUPS}/x"}]
    body = {"changes": rows, "plan": rows[:1], "other": 1}
    sight = Sight(TREE, reading("/special/basic"))
    assert sight.members(body, "changes", "plan") == {**body, "changes": rows[:1], "hidden": {"changes": 2}}
    assert Sight(TREE, ADMIN).members(body, "changes", "plan") == body


def test_the_words_of_an_error_are_for_who_may_read_every_place_of_it() -> None:
    basic, error = Sight(TREE, reading("/special/basic")), {"reason": "why", "type": "SemanticError"}
    assert basic.error(None) is None
    assert basic.error({**error, "paths": [ROOT + ZONE]}) == error
    assert basic.error({**error, "paths": [ROOT + ZONE, f"{ROOT}{USERS}/x"]}) == {**error, "reason": UNSEEN}
    assert basic.error(error) == {**error, "reason": UNSEEN}, "a record of an earlier release names no places"
    assert Sight(TREE, ADMIN).error(error) == error
    conflict = {"reason": f"{ROOT}{USERS}/x#/name", "type": "Conflict"}
    assert basic.error(conflict) == conflict, "it names places, and no values"
    failed = {"action": "do", "path": f"{ROOT}{USERS}/x", "reason": "why", "restored": True}
    assert basic.error(failed) == {**failed, "action": UNSEEN, "reason": UNSEEN}
    assert basic.error({**failed, "path": ROOT + ZONE}) == {**failed, "path": ROOT + ZONE}
