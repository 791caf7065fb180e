"""What only the merged whole shows: names, targets, single owners; all problems at once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from doorward.transaction.candidate import Candidate
from doorward.transaction.rules import check_rules
from doorward.tree.problems import Problem, SemanticError
from doorward.tree.snapshot import Snapshot
from tests.unit.transaction.rig import (
    ACCOUNTING,
    ADMIN,
    GOOD_PASSWORD,
    GROUPS,
    PASSWORDS,
    ROOT,
    SERVERS,
    TREE,
    USERS,
    WEB,
    Rig,
    place,
)  # fmt: skip


def problems(rig: Rig, candidate: Candidate) -> list[tuple[str, str, str]]:
    """What the plan says and the commit refuses."""
    planned = rig.pipeline.plan(candidate, "why", by=ADMIN).problems
    if planned:
        number = rig.number
        with pytest.raises(SemanticError) as caught:
            rig.commit(candidate, message="why")
        assert tuple(caught.value.problems) == planned
        assert rig.number == number
    return [(p.code, p.path.removeprefix(ROOT), p.pointer) for p in planned]


@pytest.mark.parametrize(("one", "other"), [("jane", "jane"), ("jane", "JANE"), ("Admin", "x"), ("x", "ADMIN")])
def test_the_names_of_users_are_unique_without_regard_to_case(rig: Rig, one: str, other: str) -> None:
    candidate = rig.candidate()
    keys = [rig.post(candidate, USERS, {"name": name}) for name in (one, other)]
    found = problems(rig, candidate)
    assert {code for code, _, _ in found} == {"duplicate"}
    assert {path for _, path, _ in found} <= {f"{USERS}/{key}" for key in keys}
    assert {pointer for _, _, pointer in found} == {"/name"}


def test_the_names_of_groups_are_compared_exactly(rig: Rig) -> None:
    candidate = rig.candidate()
    rig.post(candidate, GROUPS, {"name": "Basic-View"})
    assert problems(rig, candidate) == []
    key = rig.post(candidate, GROUPS, {"name": "basic-view"})
    assert problems(rig, candidate) == [("duplicate", f"{GROUPS}/{key}", "/name")]


def test_a_name_that_somebody_took_meanwhile_is_found_after_the_merge(rig: Rig) -> None:
    mine, theirs = rig.candidate(), rig.candidate()
    key = rig.post(mine, USERS, {"name": "jane"})
    rig.post(theirs, USERS, {"name": "Jane"})
    rig.commit(theirs)
    assert problems(rig, mine) == [("duplicate", f"{USERS}/{key}", "/name")]


def test_names_can_be_exchanged_in_one_commit(rig: Rig) -> None:
    candidate = rig.candidate()
    one, other = (rig.post(candidate, USERS, {"name": name}) for name in ("jane", "joe"))
    rig.commit(candidate)
    candidate = rig.candidate()
    rig.put(candidate, USERS, {"name": "joe"}, one)
    rig.put(candidate, USERS, {"name": "jane"}, other)
    assert problems(rig, candidate) == []
    rig.commit(candidate)
    assert [rig.value(USERS, key)["name"] for key in (one, other)] == ["joe", "jane"]


def test_a_target_that_somebody_deleted_meanwhile_is_missed(rig: Rig) -> None:
    candidate = rig.candidate()
    jane = rig.post(candidate, USERS, {"name": "jane"})
    rig.commit(candidate)
    mine, theirs = rig.candidate(), rig.candidate()
    group = rig.post(mine, GROUPS, {"name": "own", "members": ["-1", jane]})
    rig.delete(theirs, USERS, jane)
    rig.commit(theirs)
    assert problems(rig, mine) == [("unknown_reference", f"{GROUPS}/{group}", "/members/1")]


def test_what_somebody_began_to_use_meanwhile_cannot_be_deleted(rig: Rig) -> None:
    candidate = rig.candidate()
    jane = rig.post(candidate, USERS, {"name": "jane"})
    rig.commit(candidate)
    mine, theirs = rig.candidate(), rig.candidate()
    rig.delete(mine, USERS, jane)
    rig.post(theirs, GROUPS, {"name": "own", "members": [jane]})
    rig.commit(theirs)
    assert problems(rig, mine) == [("referenced", f"{USERS}/{jane}", "")]


def test_a_password_has_one_owner(rig: Rig) -> None:
    candidate = rig.candidate()
    secret = rig.post(candidate, PASSWORDS, {"plain": GOOD_PASSWORD})
    users = [rig.post(candidate, USERS, {"name": name, "password": secret}) for name in ("jane", "joe")]
    assert problems(rig, candidate) == [("referenced_twice", f"{USERS}/{key}", "/password") for key in users]
    rig.put(candidate, USERS, {"name": "joe"}, users[1])
    assert problems(rig, candidate) == []


def test_a_password_that_somebody_took_meanwhile_is_taken(rig: Rig) -> None:
    candidate = rig.candidate()
    secret = rig.post(candidate, PASSWORDS, {"plain": GOOD_PASSWORD})
    rig.commit(candidate)
    mine, theirs = rig.candidate(), rig.candidate()
    key = rig.post(mine, USERS, {"name": "jane", "password": secret})
    rig.post(theirs, USERS, {"name": "joe", "password": secret})
    rig.commit(theirs)
    assert problems(rig, mine) == [("referenced_twice", f"{USERS}/{key}", "/password")]


def test_admin_keeps_a_password(rig: Rig) -> None:
    candidate = rig.candidate()
    rig.put(candidate, USERS, {"name": "admin", "password": None}, "-1")
    assert problems(rig, candidate) == [("required_with", f"{USERS}/-1", "/password")]


def test_all_problems_come_at_once(rig: Rig) -> None:
    rig.committed((ACCOUNTING, {"require_commitlog": True}))
    candidate = rig.candidate()
    secret = rig.post(candidate, PASSWORDS, {"plain": "short"})
    key = rig.post(candidate, USERS, {"name": "ADMIN", "password": secret})
    rig.put(candidate, USERS, {"name": "admin", "password": None}, "-1")
    found = rig.pipeline.plan(candidate, None).problems
    assert [(p.code, p.path) for p in found] == [
        ("message_required", "/api/transaction"),
        ("duplicate", f"{ROOT}{USERS}/-1"),
        ("duplicate", f"{ROOT}{USERS}/{key}"),
        ("required_with", f"{ROOT}{USERS}/-1"),
        ("weak_password", f"{ROOT}{USERS}/{key}"),
    ]
    assert "message_required" not in [p.code for p in rig.pipeline.plan(candidate, "why").problems]
    assert "message_required" not in [p.code for p in rig.pipeline.plan(candidate, asked=False).problems]


def test_a_collection_that_two_people_filled_beyond_its_limit(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TREE[ROOT + GROUPS].node.__dict__, "most", 29)
    mine, theirs = rig.candidate(), rig.candidate()
    for number in range(2):
        rig.post(mine, GROUPS, {"name": f"mine{number}"})
        rig.post(theirs, GROUPS, {"name": f"theirs{number}"})
    rig.commit(theirs)
    assert problems(rig, mine) == [("length", GROUPS, "")]


def test_rules_run_for_what_reads_a_changed_place(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule of one endpoint that looks at another runs again when the other changes."""
    web = TREE[ROOT + WEB]
    ran: list[str] = []

    def rule(snapshot: Snapshot, where: object) -> list[Problem]:
        ran.append(getattr(where, "path", ""))
        return [Problem("contradiction", "x", "/timeout")] if not snapshot.value(ROOT + SERVERS) else []

    monkeypatch.setattr(web, "node", replace(web.node, rules=(rule,)))
    monkeypatch.setattr(TREE, "readers", {**TREE.readers, ROOT + SERVERS: (ROOT + WEB,)})
    candidate = rig.candidate()
    rig.put(candidate, SERVERS, [])
    assert problems(rig, candidate)[0] == ("contradiction", WEB, "/timeout")
    assert set(ran) == {ROOT + WEB}
    ran.clear()
    candidate = rig.candidate()
    rig.put(candidate, ACCOUNTING, {"require_commitlog": True})
    assert problems(rig, candidate) == []
    assert ran == []


def test_rules_of_untouched_places_do_not_run(rig: Rig) -> None:
    """Problems that were there before stop nobody from changing something else."""
    snapshot = rig.pipeline.running.snapshot.put(place(USERS, "-1"), TREE.load(place(USERS, "-1"), {"name": "admin"}))
    assert check_rules(TREE, snapshot, []).problems == ()


def test_warnings_name_their_resource(rig: Rig) -> None:
    candidate = rig.candidate()
    rig.put(candidate, SERVERS, [])
    [warning] = rig.pipeline.plan(candidate).warnings
    assert (warning.code, warning.path) == ("no_time_source", ROOT + SERVERS)
