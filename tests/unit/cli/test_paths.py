"""What PATH means, and how a shell completes it."""

from __future__ import annotations

from typing import Any

import pytest

from doorward.cli.addresses import completions, locate
from doorward.cli.completing import declared
from doorward.cli.failures import CommandError, Usage
from doorward.cli.members import member, with_member
from doorward.tree.changes import MISSING
from tests.unit.cli.present import tree

ROOT = "/api/configuration"
USERS = f"{ROOT}/aaa/local_database/users"


class Accounts:
    """The objects of every collection."""

    def objects(self, _path: str) -> dict[str, Any]:
        return {
            "-1": {"name": "admin"},
            "k1": {"name": "jane"},
            "k2": {"name": "jane.doe"},
            "k3": {"name": "a/b"},
            "k4": {"name": "k1"},
        }


@pytest.mark.parametrize(
    ("text", "href", "at"),
    [
        ("", ROOT, ()),
        ("datetime", f"{ROOT}/datetime", ()),
        ("/datetime/timezone/", f"{ROOT}/datetime/timezone", ()),
        ("/api/configuration/datetime/timezone", f"{ROOT}/datetime/timezone", ()),
        ("management/webinterface.timeout", f"{ROOT}/management/webinterface", ("timeout",)),
        ("management/webinterface#timeout", f"{ROOT}/management/webinterface", ("timeout",)),
        ("aaa/settings.password_policy.enabled", f"{ROOT}/aaa/settings", ("password_policy", "enabled")),
        ("aaa/settings#a~1b/c.d", f"{ROOT}/aaa/settings", ("a/b", "c.d")),
        ("datetime/ntp_servers.0", f"{ROOT}/datetime/ntp_servers", ("0",)),
        ("aaa/local_database/users", USERS, ()),
        ("aaa/local_database/users/jane", f"{USERS}/k1", ()),
        ("aaa/local_database/users/JANE", f"{USERS}/k1", ()),
        ("aaa/local_database/users/k1", f"{USERS}/k1", ()),
        ("aaa/local_database/users/-1", f"{USERS}/-1", ()),
        ("aaa/local_database/users/jane.password", f"{USERS}/k1", ("password",)),
        ("aaa/local_database/users/jane.doe", f"{USERS}/k2", ()),
        ("aaa/local_database/users/jane.doe.password", f"{USERS}/k2", ("password",)),
        ("aaa/local_database/users/jane.doe#password", f"{USERS}/k2", ("password",)),
        ("aaa/local_database/users/a/b.name", f"{USERS}/k3", ("name",)),
        ("passwords/0d5c", f"{ROOT}/passwords/0d5c", ()),
    ],
)
def test_paths_lead_somewhere(text: str, href: str, at: tuple[str, ...]) -> None:
    found = locate(tree(), Accounts(), text)
    assert (found.href, found.member) == (href, at)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("datetime/tiemzone", "Did you mean datetime/timezone"),
        ("datetime/timezone/x", r"as in datetime/timezone\.x"),
        ("datetime#x", "only single values, lists and objects have members"),
        ("aaa/local_database/users#x", "only single values"),
        ("nothing.at.all", "There is no nothing.at.all"),
        ("Datetime", "There is no Datetime"),
    ],
)
def test_paths_that_the_tree_does_not_have(text: str, said: str) -> None:
    with pytest.raises(Usage, match=said):
        locate(tree(), Accounts(), text)


@pytest.mark.parametrize("name", ["nobody", "nobody.password", "jane.doe.x#y"])
def test_objects_that_do_not_exist(name: str) -> None:
    with pytest.raises(CommandError, match="has no object"):
        locate(tree(), Accounts(), f"aaa/local_database/users/{name}")


def test_completion_knows_paths_and_members() -> None:
    assert [path for path, _ in completions(tree(), "datetime/")] == ["datetime/ntp_servers", "datetime/timezone"]
    assert [path for path, _ in completions(tree(), "/api/configuration/datetime/t")] == ["/api/configuration/datetime/timezone"]
    assert list(completions(tree(), "management/webinterface.")) == [
        ("management/webinterface.timeout", "Minutes of inactivity after which a login session ends."),
        (
            "management/webinterface.session_hours",
            "Hours after its login at which a login session ends, however busy it is.",
        ),
    ]
    assert [path for path, _ in completions(tree(), "zzz")] == []
    assert dict(declared("datetime/time")) == {"datetime/timezone": "Time zone"}


BODY = {"a": {"b": [1, {"c": 2}]}, "m": {"@order": ["x", "y"], "x": 1, "y": 2}}


def test_members_are_found() -> None:
    assert member(BODY, ()) is BODY
    assert member(BODY, ("a", "b", "1", "c")) == 2
    for at in (("z",), ("a", "b", "2"), ("a", "b", "-1"), ("a", "b", "x"), ("m", "x", "y")):
        with pytest.raises(CommandError, match="There is no member"):
            member(BODY, at)


@pytest.mark.parametrize(
    ("at", "value", "expected"),
    [
        ((), 5, 5),
        (("a", "b", "0"), 9, {**BODY, "a": {"b": [9, {"c": 2}]}}),
        (("a", "b", "0"), MISSING, {**BODY, "a": {"b": [{"c": 2}]}}),
        (("a", "new"), 1, {**BODY, "a": {"b": [1, {"c": 2}], "new": 1}}),
        (("m", "z"), 3, {**BODY, "m": {"@order": ["x", "y", "z"], "x": 1, "y": 2, "z": 3}}),
        (("m", "x"), 3, {**BODY, "m": {"@order": ["x", "y"], "x": 3, "y": 2}}),
        (("m", "x"), MISSING, {**BODY, "m": {"@order": ["y"], "y": 2}}),
        (("m", "@order"), ["y", "x"], {**BODY, "m": {"@order": ["y", "x"], "x": 1, "y": 2}}),
    ],
)
def test_members_are_changed(at: tuple[str, ...], value: Any, expected: Any) -> None:
    assert with_member(BODY, at, value) == expected


@pytest.mark.parametrize(("at", "value"), [(("z", "y"), 1), (("z",), MISSING), (("a", "b", "2"), 1), (("m", "x", "y"), 1)])
def test_only_the_last_name_may_be_new(at: tuple[str, ...], value: Any) -> None:
    with pytest.raises(CommandError, match="There is no member"):
        with_member(BODY, at, value)
