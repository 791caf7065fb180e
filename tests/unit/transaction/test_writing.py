"""What a write checks, where its problems point to, and that a refused one leaves no trace."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from doorward.transaction.candidate import Candidate
from doorward.tree.nodes import Collection
from doorward.tree.problems import InvalidBody, Problem, SemanticError
from tests.unit.transaction.rig import GROUPS, PASSWORDS, ROOT, SERVERS, TREE, USERS, Rig, ip, place, value_of

Found = list[tuple[str, str, str]]


def refused(candidate: Candidate, write: Callable[[], object]) -> Found:
    before, touched, secrets = candidate.snapshot, dict(candidate.touched), dict(candidate.secrets)
    problems: Sequence[Problem] = ()
    try:
        write()
    except (InvalidBody, SemanticError) as refusal:
        problems = refusal.problems
    assert problems
    assert candidate.snapshot is before
    assert candidate.touched == touched
    assert candidate.secrets == secrets
    return [(p.code, p.path.removeprefix(ROOT), p.pointer) for p in problems]


def body(candidate: Candidate, path: str, key: str = "") -> Any:
    return value_of(candidate.snapshot.document(place(path, key)))


POOL = {"selection": "fqdn", "value": "pool.ntp.org"}
A, B, C = ip("192.0.2.1"), ip("192.0.2.2"), ip("192.0.2.3")


def test_appending_one_element_or_several(rig: Rig) -> None:
    candidate = rig.candidate()
    rig.post(candidate, SERVERS, A)
    assert body(candidate, SERVERS) == [POOL, A]
    rig.post(candidate, SERVERS, [B, C])
    assert body(candidate, SERVERS) == [POOL, A, B, C]
    rig.post(candidate, SERVERS, [])
    assert body(candidate, SERVERS) == [POOL, A, B, C]


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ({"selection": "ip"}, [("missing", "", "/value")]),
        ({"selection": "ip", "value": "x"}, [("format", "", "/value")]),
        ("x", [("type", "", "")]),
        (None, [("type", "", "")]),
        (POOL, [("duplicate", "", "")]),
        ([B, {"selection": "name"}, POOL], [("enum", "", "/1/selection"), ("duplicate", "", "/2")]),
        ([A, B, A], [("duplicate", "", "/0"), ("duplicate", "", "/2")]),
        ([ip(f"198.51.100.{n}") for n in range(15)], [("length", "", "")]),
    ],
)
def test_problems_of_what_is_appended_point_into_what_was_sent(rig: Rig, written: Any, found: Found) -> None:
    candidate = rig.candidate()
    rig.post(candidate, SERVERS, A)
    assert refused(candidate, lambda: rig.post(candidate, SERVERS, written)) == found


def test_warnings_of_what_is_appended_point_into_what_was_sent(rig: Rig) -> None:
    candidate, endpoint = rig.candidate(), TREE[ROOT + SERVERS]
    _, one = endpoint.node.add(candidate, {**A, "x": 1}, strict=False)
    assert [(w.code, w.pointer) for w in one] == [("unknown_member", "/x")]
    _, several = endpoint.node.add(candidate, [B, {**C, "x": 1}], strict=False)
    assert [(w.code, w.pointer) for w in several] == [("unknown_member", "/1/x")]
    assert body(candidate, SERVERS) == [POOL, A, B, C]


def test_one_object_stands_for_a_list_of_one_while_there_is_no_more(rig: Rig) -> None:
    candidate = rig.candidate()
    rig.put(candidate, SERVERS, A)
    assert body(candidate, SERVERS) == [A]
    rig.put(candidate, SERVERS, [])
    rig.put(candidate, SERVERS, B)
    assert body(candidate, SERVERS) == [B]
    rig.put(candidate, SERVERS, [A, B])
    assert refused(candidate, lambda: rig.put(candidate, SERVERS, C)) == [("type", "", "")]


def test_problems_of_one_object_point_into_it(rig: Rig) -> None:
    candidate = rig.candidate()
    assert refused(candidate, lambda: rig.put(candidate, SERVERS, {"selection": "ip"})) == [("missing", "", "/value")]
    warnings = TREE.node(ROOT + SERVERS).replace(candidate, "", {**A, "x": 1}, strict=False)
    assert [(w.code, w.pointer) for w in warnings] == [("unknown_member", "/x")]


def test_a_new_object_gets_a_random_key_and_goes_last(rig: Rig) -> None:
    candidate = rig.candidate()
    keys = [rig.post(candidate, GROUPS, {"name": f"g{n}"}) for n in range(3)]
    assert all(len(key) == 22 and int(key, 16) >= 0 for key in keys)
    assert len(set(keys)) == 3
    assert candidate.snapshot.objects(ROOT + GROUPS).order[-3:] == tuple(keys)


def test_a_new_password_keeps_its_text_apart(rig: Rig) -> None:
    candidate = rig.candidate()
    key = rig.post(candidate, PASSWORDS, {"plain": "correct horse battery"})
    assert candidate.secrets == {key: "correct horse battery"}
    assert list(body(candidate, PASSWORDS, key)) == ["created"]


@pytest.mark.parametrize("value", [{}, {"plain": ""}, {"hash": "x"}, {"plain": 5}, {"plain": "x" * 151}])
def test_a_faulty_password_is_not_made(rig: Rig, value: Any) -> None:
    candidate = rig.candidate()
    assert refused(candidate, lambda: rig.post(candidate, PASSWORDS, value))


def test_references_must_lead_to_something_the_candidate_holds(rig: Rig) -> None:
    candidate = rig.candidate()
    found = refused(candidate, lambda: rig.post(candidate, USERS, {"name": "jane", "password": "nothing"}))
    assert found == [("unknown_reference", USERS, "/password")]
    key = rig.post(candidate, USERS, {"name": "jane"})
    found = refused(candidate, lambda: rig.put(candidate, GROUPS, {"name": "basic-view", "members": ["x", key, "y"]}, "-1001"))
    assert found == [
        ("unknown_reference", f"{GROUPS}/-1001", "/members/0"),
        ("unknown_reference", f"{GROUPS}/-1001", "/members/2"),
    ]
    rig.put(candidate, GROUPS, {"name": "basic-view", "members": [key]}, "-1001")
    assert body(candidate, GROUPS, "-1001")["members"] == [{"key": key, "meta": {"href": f"{ROOT}{USERS}/{key}"}}]


def test_an_object_of_the_wrong_kind_is_no_target(rig: Rig) -> None:
    candidate = rig.candidate()
    found = refused(candidate, lambda: rig.post(candidate, USERS, {"name": "jane", "password": "-1001"}))
    assert found == [("unknown_reference", USERS, "/password")]


def test_built_in_objects_keep_their_names(rig: Rig) -> None:
    candidate = rig.candidate()
    admin = body(candidate, USERS, "-1")
    assert refused(candidate, lambda: rig.put(candidate, USERS, {**admin, "name": "root"}, "-1")) == [
        ("built_in", f"{USERS}/-1", "/name")
    ]
    assert refused(candidate, lambda: rig.put(candidate, GROUPS, {"name": "other", "members": ["x"]}, "-1001")) == [
        ("unknown_reference", f"{GROUPS}/-1001", "/members/0"),
        ("built_in", f"{GROUPS}/-1001", "/name"),
    ]
    assert refused(candidate, lambda: rig.delete(candidate, USERS, "-1")) == [("built_in", f"{USERS}/-1", "")]


def test_deleting_a_user_takes_it_out_of_its_groups(rig: Rig) -> None:
    candidate = rig.candidate()
    jane, joe = (rig.post(candidate, USERS, {"name": name}) for name in ("jane", "joe"))
    own = rig.post(candidate, GROUPS, {"name": "own", "members": [jane, joe]})
    rig.put(candidate, GROUPS, {"name": "basic-view", "members": [jane]}, "-1001")
    rig.delete(candidate, USERS, jane)
    assert body(candidate, USERS, jane) is None
    assert [member["key"] for member in body(candidate, GROUPS, own)["members"]] == [joe]
    assert body(candidate, GROUPS, "-1001")["members"] == []


def test_what_is_referred_to_cannot_be_deleted_where_nothing_cascades(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    node = TREE[ROOT + USERS].node
    assert isinstance(node, Collection)
    candidate = rig.candidate()
    jane = rig.post(candidate, USERS, {"name": "jane"})
    group = rig.post(candidate, GROUPS, {"name": "own", "members": [jane]})
    monkeypatch.setitem(node.__dict__, "cascade", False)
    with pytest.raises(SemanticError, match=f"Still used by {ROOT}{GROUPS}/{group}"):
        rig.delete(candidate, USERS, jane)
    assert refused(candidate, lambda: rig.delete(candidate, USERS, jane)) == [("referenced", f"{USERS}/{jane}", "")]


def test_a_collection_takes_so_many_objects(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    node = TREE[ROOT + GROUPS].node
    candidate = rig.candidate()
    monkeypatch.setitem(node.__dict__, "most", 28)
    rig.post(candidate, GROUPS, {"name": "last"})
    assert refused(candidate, lambda: rig.post(candidate, GROUPS, {"name": "more", "members": ["x"]})) == [
        ("unknown_reference", GROUPS, "/members/0"),
        ("length", GROUPS, ""),
    ]
