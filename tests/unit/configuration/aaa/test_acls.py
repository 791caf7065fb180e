"""Rights of groups: what a line may say, and that every line names a group that is there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from doorward.tree.problems import InvalidBody, SemanticError
from doorward.tree.validation import check
from tests.unit.transaction.rig import GROUPS, ROOT, TREE, USERS, Rig

if TYPE_CHECKING:
    from collections.abc import Callable

    from doorward.transaction.candidate import Candidate

ACLS = "aaa/acls"
NODE: Any = TREE[ROOT + ACLS].node
SPECIAL = [
    "auth", "backup", "basic", "changelog", "cluster", "http", "ica", "mssql", "pol", "rdp", "report", "searchmenu", "ssh",
    "telnet", "vnc",
]  # fmt: skip


def line(group: str = "basic-view", *objects: str, permission: str = "read") -> dict[str, Any]:
    return {"group": group, "objects": list(objects) or ["/special/basic"], "permission": permission}


def problems(value: Any) -> list[tuple[str, str]]:
    try:
        check(NODE.adapter, value)
    except InvalidBody as refused:
        return [(problem.code, problem.pointer) for problem in refused.problems]
    return []


def refused(work: Callable[[], object]) -> list[tuple[str, str, str]]:
    with pytest.raises(SemanticError) as caught:
        work()
    return [(problem.code, problem.path.removeprefix(ROOT), problem.pointer) for problem in caught.value.problems]


def group(rig: Rig, candidate: Candidate, name: str = "operators") -> str:
    return rig.post(candidate, GROUPS, {"name": name})


@pytest.mark.parametrize("name", SPECIAL)
def test_the_objects_of_the_contract_are_taken(name: str) -> None:
    assert problems([line("x", f"/special/{name}")]) == []


def test_the_path_of_every_endpoint_below_the_root_is_an_object() -> None:
    paths = sorted(endpoint.path for endpoint in TREE.configuration if endpoint.path != "/api/configuration")
    assert len(paths) > 100
    for start in range(0, len(paths), 64):
        assert problems([line("x", *paths[start : start + 64])]) == []


@pytest.mark.parametrize(
    "name",
    [
        "", "/", "basic", "/special", "/special/", "/special/basics", "/special/Basic", "/special/basic/", " /special/basic",
        "/api", "/api/transaction", "/api/configuration", "/api/configuration/", "/api/configuration/datetime/",
        "/api/configuration/nothing", "/api/configuration/datetime/ntp_servers/0", "/api/configuration/aaa/../datetime",
        "/api/configuration//datetime", "/API/configuration/datetime", f"/{ROOT}datetime",
        "/api/configuration/aaa/local_database/users/-1", "/api/management/exported_configuration_encryption",
    ],
)  # fmt: skip
def test_other_objects_are_of_the_wrong_form(name: str) -> None:
    assert problems([line(), line("x", "/special/basic", name)]) == [("format", "/1/objects/1")]


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ([], []),
        ([line(), line(permission="write"), line("basic-view", "/special/auth")], []),
        ([line("g" * 64)], []),
        ([line(), line("x"), line()], [("duplicate", "/2")]),
        ([line("x", "/special/pol", "/special/ssh", "/special/pol")], [("duplicate", "/0/objects/2")]),
        ([{**line(), "objects": []}], [("length", "/0/objects")]),
        ([line("x", *sorted(endpoint.path for endpoint in TREE.configuration)[1:66])], [("length", "/0/objects")]),
        ([line(f"g{n}") for n in range(1000)], []),
        ([line(f"g{n}") for n in range(1001)], [("length", "")]),
        ([line(permission="delete")], [("enum", "/0/permission")]),
        ([line("")], [("length", "/0/group")]),
        ([line("g" * 65)], [("length", "/0/group")]),
        ([line("a group")], [("format", "/0/group")]),
        ([{}], [("missing", "/0/group"), ("missing", "/0/objects"), ("missing", "/0/permission")]),
        ([{**line(), "group": {"key": "-1001"}, "objects": "/special/basic"}], [("type", "/0/group"), ("type", "/0/objects")]),
        (line(), [("type", "")]),
    ],
)
def test_what_a_list_may_hold(value: Any, found: list[tuple[str, str]]) -> None:
    assert problems(value) == found


def test_an_unknown_member_of_a_line_is_dropped_and_named() -> None:
    checked = check(NODE.adapter, [line() | {"comment": "x"}])
    assert [(warning.code, warning.pointer) for warning in checked.warnings] == [("unknown_member", "/0/comment")]


def test_the_order_of_lines_and_objects_is_kept(rig: Rig) -> None:
    lines = [line("ssh-write", "/special/ssh", "/api/configuration/aaa"), line("basic-view"), line("auth-view", "/special/auth")]
    rig.committed((ACLS, lines))
    assert rig.value(ACLS) == lines
    assert rig.restarted().value(ACLS) == lines


def test_a_line_is_appended(rig: Rig) -> None:
    before = rig.value(ACLS)
    candidate = rig.candidate()
    rig.post(candidate, ACLS, line("basic-view", "/special/changelog"))
    rig.commit(candidate)
    assert rig.value(ACLS) == [*before, line("basic-view", "/special/changelog")]


def test_the_list_may_be_empty(rig: Rig) -> None:
    rig.committed((ACLS, []))
    assert rig.value(ACLS) == []


def test_a_group_that_does_not_exist_is_refused_at_the_commit(rig: Rig) -> None:
    candidate = rig.candidate()
    rig.put(candidate, ACLS, [line("operators"), line("basic-view"), line("Basic-view")])
    found = [("unknown_reference", ACLS, "/0/group"), ("unknown_reference", ACLS, "/2/group")]
    assert refused(lambda: rig.commit(candidate)) == found
    assert [(p.code, p.pointer) for p in rig.pipeline.plan(candidate).problems] == [(code, at) for code, _, at in found]


def test_the_group_of_a_line_may_be_made_after_the_line(rig: Rig) -> None:
    candidate = rig.candidate()
    rig.put(candidate, ACLS, [line("operators")])
    group(rig, candidate)
    rig.commit(candidate)
    assert rig.value(ACLS) == [line("operators")]


def test_a_group_that_a_line_names_cannot_be_deleted(rig: Rig) -> None:
    candidate = rig.candidate()
    key = group(rig, candidate)
    rig.put(candidate, ACLS, [line("operators"), line("operators", "/special/auth")])
    rig.commit(candidate)
    candidate = rig.candidate()
    assert refused(lambda: rig.delete(candidate, GROUPS, key)) == [("referenced", f"{GROUPS}/{key}", "")]
    assert not candidate.changed
    rig.put(candidate, ACLS, [])
    rig.delete(candidate, GROUPS, key)
    rig.commit(candidate)
    assert rig.value(GROUPS, key) is None


def test_a_group_of_almost_the_same_name_can_be_deleted(rig: Rig) -> None:
    candidate = rig.candidate()
    key = group(rig, candidate, "Basic-view")
    rig.commit(candidate)
    candidate = rig.candidate()
    rig.delete(candidate, GROUPS, key)
    rig.commit(candidate)
    assert rig.value(GROUPS, key) is None


def test_renaming_a_group_takes_its_lines_along_or_is_refused(rig: Rig) -> None:
    candidate = rig.candidate()
    key = group(rig, candidate)
    rig.put(candidate, ACLS, [line("basic-view"), line("operators")])
    rig.commit(candidate)
    candidate = rig.candidate()
    rig.put(candidate, GROUPS, {"name": "Operators"}, key)
    assert refused(lambda: rig.commit(candidate)) == [("unknown_reference", ACLS, "/1/group")]
    rig.put(candidate, ACLS, [line("basic-view"), line("Operators")])
    rig.commit(candidate)
    assert rig.value(GROUPS, key)["name"] == "Operators"


def test_members_of_a_group_that_a_line_names_may_change(rig: Rig) -> None:
    candidate = rig.candidate()
    user = rig.post(candidate, USERS, {"name": "jane"})
    rig.put(candidate, GROUPS, {"name": "basic-view", "members": [user]}, "-1001")
    rig.commit(candidate)
    candidate = rig.candidate()
    rig.delete(candidate, USERS, user)
    rig.commit(candidate)
    assert rig.value(GROUPS, "-1001")["members"] == []


@pytest.mark.parametrize("first", ["delete", "line"])
def test_a_line_and_the_end_of_its_group_do_not_meet(rig: Rig, first: str) -> None:
    candidate = rig.candidate()
    key = group(rig, candidate)
    rig.commit(candidate)
    deletes, names = rig.candidate(), rig.candidate()
    rig.delete(deletes, GROUPS, key)
    rig.post(names, ACLS, line("operators"))
    one, other = (deletes, names) if first == "delete" else (names, deletes)
    rig.commit(one)
    count = 28 if first == "line" else 27
    assert refused(lambda: rig.commit(other)) == [("unknown_reference", ACLS, "/27/group")]
    assert len(rig.value(ACLS)) == count
