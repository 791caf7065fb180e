"""`doorward apply` plans what is needed and no more."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from doorward.cli import describe, naming
from doorward.cli.describe import plan
from doorward.cli.described import DescribedPlan, DescribedRequest
from doorward.tree.nodes import Collection
from tests.unit.cli.present import Memory, tree

USERS = "/api/configuration/aaa/local_database/users"
GROUPS = "/api/configuration/aaa/local_database/groups"
SETTINGS = "/api/configuration/aaa/settings"
ROOT = "/api/configuration"
PEOPLE = ["ann", "bob.b", "Cleo", "dora@example", "-1x"[1:]]


def accounts(users: Any, groups: Any = None) -> dict[str, Any]:
    return {"aaa": {"local_database": {"groups": groups, "users": users}}}


def planned(memory: Memory, described: Any, *, prune: bool = False) -> DescribedPlan:
    before = copy.deepcopy((memory, described))
    found = plan(tree(), memory, described, prune=prune)
    assert (memory, described) == before, "planning changes nothing"
    return found


def applied(memory: Memory, described: Any, *, prune: bool = False) -> tuple[DescribedRequest, ...]:
    found = planned(memory, described, prune=prune)
    memory.carry_out(found)
    return found.requests


def lines(found: DescribedPlan) -> list[str]:
    return [f"{p.path.removeprefix(ROOT)} {p.pointer} {p.code}" for p in found.problems]


secrets = st.sampled_from([{"from_env": "A"}, {"from_file": "b"}, {"from_env": "A", "change": "never"}])


@st.composite
def descriptions(draw: st.DrawFn) -> dict[str, Any]:
    users = draw(
        st.dictionaries(
            st.sampled_from(PEOPLE), st.none() | st.fixed_dictionaries({}, optional={"password": secrets | st.none()})
        )
    )
    members = st.lists(st.sampled_from([*users, "admin"]), unique=True)
    groups = draw(
        st.dictionaries(st.sampled_from(["ops", "basic-view", "x"]), st.fixed_dictionaries({}, optional={"members": members}))
    )
    policy = st.fixed_dictionaries({"enabled": st.just(value=True)}, optional={"minimum_length": st.integers(1, 150)})
    servers = st.lists(
        st.sampled_from(
            [
                {"selection": "fqdn", "value": "A.Example.COM."},
                {"selection": "fqdn", "value": "b.example.com"},
                {"selection": "ip", "value": "2001:DB8::0:1"},
                {"selection": "ip", "value": "192.0.2.1"},
            ]
        ),
        unique_by=str,
    )
    optional = {
        "aaa": st.fixed_dictionaries(
            {"local_database": st.just({"groups": groups, "users": users})},
            optional={"settings": st.fixed_dictionaries({}, optional={"password_policy": st.just({"enabled": False}) | policy})},
        ),
        "datetime": st.fixed_dictionaries(
            {}, optional={"ntp_servers": servers, "timezone": st.sampled_from(["UTC", "Europe/Budapest"])}
        ),
        "management": st.fixed_dictionaries(
            {}, optional={"webinterface": st.fixed_dictionaries({"timeout": st.integers(1, 1440)})}
        ),
    }
    found = draw(st.fixed_dictionaries({}, optional=optional))
    return dict(draw(st.permutations(list(found.items()))))


@given(descriptions(), descriptions(), st.booleans())
@settings(deadline=None, max_examples=150)
def test_a_second_run_finds_nothing_to_do(first: Any, second: Any, prune: bool) -> None:
    memory = Memory.fresh()
    applied(memory, first)
    applied(memory, second, prune=prune)
    assert planned(memory, second, prune=prune) == DescribedPlan()


@given(descriptions())
@settings(deadline=None, max_examples=50)
def test_the_order_of_the_description_does_not_matter(described: Any) -> None:
    def turned(value: Any) -> Any:
        return {name: turned(member) for name, member in reversed(value.items())} if isinstance(value, dict) else value

    one, other = Memory.fresh(), Memory.fresh()
    applied(one, described)
    applied(other, turned(described))
    assert one.values == other.values
    assert one.named(USERS).keys() == other.named(USERS).keys()


def test_objects_are_made_before_others_refer_to_them() -> None:
    memory = Memory.fresh()
    requests = applied(memory, accounts({"ann": None, "bob.b": None}, {"ops": {"members": ["bob.b", "admin", "ann"]}}))
    assert {request.method for request in requests} == {"POST"}
    assert requests[-1].label == f"{GROUPS}/ops"
    names = {key: body["name"] for key, body in memory.objects(USERS).items()}
    assert [names[key] for key in memory.named(GROUPS)["ops"]["members"]] == ["bob.b", "admin", "ann"]


def test_what_is_not_mentioned_keeps_its_value() -> None:
    memory = Memory.fresh()
    memory.values[SETTINGS]["password_policy"]["minimum_classes"] = 3
    before = copy.deepcopy(memory.values[SETTINGS])
    [request] = applied(memory, {"aaa": {"settings": {"password_policy": {"minimum_length": 20}}}})
    assert (request.method, request.path) == ("PUT", SETTINGS)
    before["password_policy"]["minimum_length"] = 20
    assert memory.values[SETTINGS] == before


def test_a_switch_that_goes_off_takes_its_members_along() -> None:
    memory = Memory.fresh()
    applied(memory, {"aaa": {"settings": {"password_policy": {"enabled": False}}}})
    assert memory.values[SETTINGS]["password_policy"] == {"enabled": False}
    assert memory.values[SETTINGS]["bruteforce_protection"]["enabled"] is True


def test_a_password_is_made_for_a_new_account_only() -> None:
    memory = Memory.fresh()
    described = accounts({"ann": {"password": {"from_env": "ANN"}}})
    secret, account = applied(memory, described)
    assert (secret.path, account.path) == ("/api/configuration/passwords", USERS)
    key = memory.named(USERS)["ann"]["password"]
    assert planned(memory, described).requests == ()
    described["aaa"]["local_database"]["users"]["ann"]["password"]["change"] = "always"
    assert [request.method for request in applied(memory, described)] == ["POST", "PUT"]
    assert memory.named(USERS)["ann"]["password"] != key


def test_a_password_is_made_for_an_account_that_has_none() -> None:
    memory = Memory.fresh()
    applied(memory, accounts({"ann": None}))
    assert len(applied(memory, accounts({"ann": {"password": {"from_env": "ANN"}}}))) == 2
    assert memory.named(USERS)["ann"]["password"] is not None


def test_prune_removes_what_a_described_collection_does_not_name() -> None:
    memory = Memory.fresh()
    applied(memory, accounts({"ann": None, "bob.b": None}, {"ops": {"members": ["ann"]}, "x": None}))
    requests = applied(memory, accounts({"bob.b": None}, {}), prune=True)
    assert [(request.method, request.label) for request in requests if request.label.endswith("ann")] == [
        ("DELETE", f"{USERS}/ann")
    ]
    assert set(memory.named(USERS)) == {"admin", "bob.b"}, "built-in objects stay"
    assert len(memory.named(GROUPS)) == 27


def test_without_prune_nothing_is_removed() -> None:
    memory = Memory.fresh()
    applied(memory, accounts({"ann": None}))
    assert planned(memory, accounts({})) == DescribedPlan()


def test_prune_leaves_collections_alone_that_are_not_described() -> None:
    memory = Memory.fresh()
    applied(memory, accounts({"ann": None}))
    assert planned(memory, {"aaa": {"local_database": {"groups": {}}}}, prune=True) == DescribedPlan()


def test_names_without_regard_to_case_find_the_account() -> None:
    memory = Memory.fresh()
    applied(memory, accounts({"Ann": None}))
    [request] = applied(memory, accounts({"ann": None}, {"basic-view": {"members": ["aNN"]}}))[1:]
    assert request.path.startswith(USERS)
    assert "ann" in memory.named(USERS)


def test_a_reference_may_be_a_key() -> None:
    memory = Memory.fresh()
    applied(memory, accounts(None, {"ops": {"members": ["-1"]}}))
    assert memory.named(GROUPS)["ops"]["members"] == ["-1"]
    assert planned(memory, accounts(None, {"ops": {"members": ["admin"]}})) == DescribedPlan()


@pytest.mark.parametrize(
    ("described", "expected"),
    [
        ({"datetime": {"zone": 1}, "nothing": 2}, ["/datetime/zone  unknown_member", "/nothing  unknown_member"]),
        ([], ["  type"]),
        ({"datetime": []}, ["/datetime  type"]),
        ({"passwords": {"plain": "x"}}, ["/passwords  unsuitable"]),
        (accounts(["ann"]), ["/aaa/local_database/users  type"]),
        (accounts({"ann": "x"}), ["/aaa/local_database/users/ann  type"]),
        (accounts({"ann": {"name": "bob"}}), ["/aaa/local_database/users/ann /name contradiction"]),
        (accounts({"ann": None, "Ann": None}), ["/aaa/local_database/users  duplicate"]),
        (accounts(None, {"ops": {"members": ["ann", "admin", "eve"]}}), [
            "/aaa/local_database/groups/ops /members/0 unknown_reference",
            "/aaa/local_database/groups/ops /members/2 unknown_reference",
        ]),
        (accounts({"ann": {"password": {"from_env": "A", "from_file": "b"}}}), ["/aaa/local_database/users/ann /password type"]),
        (accounts({"ann": {"password": {"from_env": ""}}}), ["/aaa/local_database/users/ann /password type"]),
        (accounts({"ann": {"password": {"from_env": "A", "change": "often"}}}), ["/aaa/local_database/users/ann /password type"]),
        (accounts({"ann": {"password": {"from_env": "A", "form": "x"}}}), ["/aaa/local_database/users/ann /password type"]),
        (accounts(None, {"ops": {"members": [{"from_env": "A"}]}}), ["/aaa/local_database/groups/ops /members/0 type"]),
        ({"telnet": {"connections": {}}}, ["/telnet/connections  not_supported"]),
    ],
)  # fmt: skip
def test_every_problem_is_reported_with_its_place(described: Any, expected: list[str]) -> None:
    assert lines(planned(Memory.fresh(), described)) == expected


def test_what_only_the_server_can_judge_is_sent_as_it_is() -> None:
    body = {"timeout": "soon", "unheard": 1}
    found = planned(Memory.fresh(), {"management": {"webinterface": body}})
    assert [(request.method, request.value) for request in found.requests] == [("PUT", body)]


def test_what_many_objects_cost_is_in_proportion(monkeypatch: pytest.MonkeyPatch) -> None:
    def cost(count: int) -> int:
        """How often names are compared to plan as many accounts, all in one group, that are there already."""
        names = [f"user{number}" for number in range(count)]
        memory = Memory.fresh()
        memory.collections[USERS] = {f"key of {name}": {"name": name, "password": None} for name in names}
        memory.collections[GROUPS] = {"g": {"name": "all", "members": [f"key of {name}" for name in names]}}
        counted: list[str] = []
        folding = naming.folded

        def folded(node: Collection[Any], name: Any) -> Any:
            counted.append(name)
            return folding(node, name)

        with monkeypatch.context() as patched:
            patched.setattr(naming, "folded", folded)
            patched.setattr(describe, "folded", folded)
            assert plan(tree(), memory, accounts(dict.fromkeys(names), {"all": {"members": names}})).requests == ()
        return len(counted)

    assert cost(400) < 5 * cost(100)
