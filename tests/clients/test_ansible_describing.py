"""The options of the module ``config`` of the Ansible collection, up to what ``doorward apply`` takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.doorward.appliance.plugins.module_utils.describing import OptionsError, nested, removals, with_secrets
from tests.unit.cli.present import Memory, tree

USERS = "aaa/local_database/users"


def faults(call: Callable[[], Any]) -> list[tuple[str, str, str]]:
    with pytest.raises(OptionsError) as caught:
        call()
    return [(problem.path, problem.pointer, problem.message) for problem in caught.value.problems]


def removed(described: dict[str, Any], *paths: str) -> list[str]:
    return removals(tree(), Memory.fresh(), paths, described)


def test_paths_become_folders_and_names_may_have_slashes() -> None:
    given: dict[str, Any] = {
        "datetime/timezone": "UTC",
        "/api/configuration/datetime/ntp_servers/": [],
        f"{USERS}/a/b": {"password": None},
        USERS: {"jane": {}},
        "management": {"webinterface": {"timeout": 5}},
    }
    with pytest.raises(OptionsError):
        nested(tree(), given)  # the users are described twice
    given[f"{USERS}/jane"] = given.pop(USERS)["jane"]
    assert nested(tree(), given) == {
        "datetime": {"timezone": "UTC", "ntp_servers": []},
        "aaa": {"local_database": {"users": {"a/b": {"password": None}, "jane": {}}}},
        "management": {"webinterface": {"timeout": 5}},
    }


@pytest.mark.parametrize(
    "given",
    [
        {"datetime/timezone": "UTC", "datetime": {"timezone": "UTC"}},
        {"datetime": {"timezone": "UTC"}, "datetime/timezone/": "UTC", "/api/configuration/datetime/timezone": "UTC"},
        {"datetime": None, "datetime/timezone": "UTC"},
    ],
)
def test_what_is_described_twice_is_refused_at_each_place(given: dict[str, Any]) -> None:
    found = faults(lambda: nested(tree(), given))
    assert {message for _, _, message in found} == {"Another entry describes the same."}
    assert {path for path, _, _ in found} == {"configuration"}


def test_secrets_are_put_in_by_name() -> None:
    given = {"users": {"jane": {"password": {"from_secret": "jane", "change": "always"}}}, "list": [{"from_secret": "b"}, 1]}
    assert with_secrets(given, {"jane": "x", "b": "y"}) == {
        "users": {"jane": {"password": {"plain": "x", "change": "always"}}},
        "list": [{"plain": "y"}, 1],
    }


def test_texts_in_the_clear_and_unknown_names_are_refused_all_at_once() -> None:
    given = {
        "a/b": {"password": {"plain": "hidden"}},
        "c": [{"from_secret": "missing"}, {"from_secret": ["x"]}, {"from_env": "FINE"}],
        "d": {"from_secret": "number"},
    }
    found = faults(lambda: with_secrets(given, {"x": "y", "number": 5}))
    assert [pointer for _, pointer, _ in found] == ["/a~1b/password", "/c/0", "/c/1", "/d"]
    assert found[0][2] == "Put the text into secrets, and its name here, as from_secret."
    assert "hidden" not in str(found)


def test_what_is_to_go_is_found_by_name() -> None:
    [admin] = Memory.fresh().objects(f"/api/configuration/{USERS}")
    assert removed({}, f"{USERS}/admin", f"/api/configuration/{USERS}/admin/", f"{USERS}/nobody") == [
        f"/api/configuration/{USERS}/{admin}"
    ]


def test_what_can_not_go_is_told_by_its_index() -> None:
    described: dict[str, Any] = {"aaa": {"local_database": {"users": {"jane": {}}}}}
    found = faults(lambda: removed(described, "datetime/timezone", f"{USERS}/admin", USERS, f"{USERS}/jane", "passwords/x"))
    assert [(path, pointer) for path, pointer, _ in found] == [("absent", f"/{index}") for index in (0, 2, 3, 4)]
    assert found[2][2] == f"{USERS}/jane is described as well."
