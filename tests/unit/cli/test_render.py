"""What commands show: differences, plans, tables, refusals."""

from __future__ import annotations

from typing import Any

import pytest

from doorward.cli import render
from doorward.cli.failures import explained
from doorward.cli.render import OutputLine
from doorward.client.errors import ApiRefusedError
from doorward.tree.changes import MISSING

USERS = "/api/configuration/aaa/local_database/users"


class Names:
    """Knows one account."""

    def name(self, path: str, key: str) -> str:
        return "jane" if (path, key) == (USERS, "k1") else key

    def label(self, href: str) -> str:
        return href.removeprefix("/api/configuration/").replace("k1", "jane")

    def is_object(self, href: str) -> bool:
        return href.startswith(f"{USERS}/")


def texts(lines: Any) -> list[str]:
    return [line.text for line in lines]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (1, 2, ["  - 1", "  + 2"]),
        (MISSING, {"a": 1}, ["  + a: 1"]),
        ({"a": [1]}, MISSING, ["  - a:", "  -   - 1"]),
        ([1, 2, 3], [1, 3], ["    - 1", "  - - 2", "    - 3"]),
        (list(range(20)), [*range(10), 99, *range(10, 20)], [
            "    …", "    - 7", "    - 8", "    - 9", "  + - 99", "    - 10", "    - 11", "    - 12", "    …",
        ]),
        ("x\ny\n", "x\nz\n", ["    |", "  -   y", "  +   z"]),
    ],
)  # fmt: skip
def test_a_difference_shows_what_goes_and_what_comes(old: Any, new: Any, expected: list[str]) -> None:
    found = texts(render.difference(old, new))
    assert found == expected or [line for line in found if line != "      x"] == expected


def test_changes_name_objects_and_references() -> None:
    reference, gone = ({"key": key, "meta": {"href": f"{USERS}/{key}"}} for key in ("k1", "k2"))
    changes: list[dict[str, Any]] = [
        {"type": "delete", "path": f"{USERS}/k2", "old_value": {"name": "bob"}},
        {"type": "delete", "path": f"{USERS}/k1", "old_value": {"name": "jane"}},
        {"type": "replace", "path": f"{USERS}/k1#password", "old_value": None, "new_value": "p"},
        {"type": "replace", "path": "/api/configuration/x#members", "old_value": [gone], "new_value": [reference]},
        {"type": "reorder", "path": "/api/configuration/y", "old_order": ["a", "b"], "new_order": ["b", "a"]},
    ]
    assert texts(render.changes(changes, Names())) == [
        "- aaa/local_database/users/bob",
        "  - name: bob",
        "- aaa/local_database/users/jane",
        "  - name: jane",
        "~ aaa/local_database/users/jane#password",
        "  - null",
        "  + p",
        "~ x#members",
        "  - - bob",
        "  + - jane",
        "~ y (order)",
        "  + - b",
        "    - a",
        "  - - b",
    ]


def test_a_plan_shows_actions_with_their_effects_and_warnings_once() -> None:
    warning = {"code": "w", "path": "/api/configuration/a/b", "pointer": "/0", "message": "Mind this."}
    action = {"action": "reload chronyd", "effect": "sessions_drop", "path": "/api/configuration/a/b"}
    assert texts(render.plan({"actions": [action], "warnings": [warning, dict(warning)]})) == [
        "On the host:",
        "  a/b: reload chronyd (sessions drop)",
        "Warning: a/b /0: Mind this.",
    ]
    assert texts(render.plan({"actions": [], "warnings": []})) == ["Nothing changes on the host."]


def test_a_table_is_aligned_and_its_last_column_is_never_cut() -> None:
    long = "x" * 300
    assert texts(render.table(("N", "TEXT"), [("1", "a"), ("200", long)])) == ["N    TEXT", "1    a", f"200  {long}"]


def test_control_characters_never_reach_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    render.show([*render.table(("A",), [("\x1b]0;title\x07",)]), OutputLine("\x1b[2J\u202e", "red")])
    assert capsys.readouterr().out == "A\n\\x1b]0;title\\x07\n\\x1b[2J\\x202e\n"


def test_values_are_printed_in_the_order_of_their_maps() -> None:
    found = render.ordered({"b": {"@order": ["z", "a"], "a": 1, "z": 2}, "a": [{"d": 1, "c": 2}]})
    assert list(found) == ["a", "b"]
    assert list(found["b"]) == ["@order", "z", "a"]
    assert list(found["a"][0]) == ["c", "d"]


PATH = "/api/configuration/datetime/ntp_servers"


@pytest.mark.parametrize(
    ("error", "lines"),
    [
        (
            {"type": "InvalidRequestBody", "details": {"errors": [
                {"code": "enum", "message": "Must be fqdn or ip.", "pointer": "/0/selection"},
                {"code": "missing", "message": "Required.", "pointer": ""},
            ]}},
            ["datetime/ntp_servers /0/selection: Must be fqdn or ip.", "datetime/ntp_servers: Required."],
        ),
        (
            {"type": "SemanticError", "details": {"errors": [
                {"code": "referenced", "message": "Still used.", "path": "/api/configuration/x/y", "pointer": "/z"},
                {"code": "message_required", "message": "Say why.", "path": "/api/transaction", "pointer": "/commit_message"},
            ]}},
            ["x/y /z: Still used.", "/api/transaction /commit_message: Say why."],
        ),
        (
            {"type": "Conflict", "message": "1 place was changed.", "details": {"paths": [PATH], "conflicts": [
                {"author": "jane", "path": f"{PATH}#a", "revision": 8, "running_value": {"x": "é" * 99}},
            ]}},
            [
                "1 place was changed.",
                f'datetime/ntp_servers#a: changed by jane in revision 8; it is {{"x": "{"é" * 52}… now',
            ],
        ),
        (
            {"type": "Conflict", "message": "Pending.", "details": {"confirm_remaining_seconds": 9, "user": "bob"}},
            ["Pending. (bob, 9 s left)"],
        ),
        ({"type": "Conflict", "message": "None open.", "details": {"resource": "x"}}, ["datetime/ntp_servers: None open."]),
        (
            {"type": "ApplyFailed", "message": "Put back.", "details": {"action": "reload", "path": PATH, "reason": "it died"}},
            ["Put back.", "datetime/ntp_servers: reload: it died"],
        ),
        (
            {"type": "TooManyRequests", "message": "Too many.", "details": {"retry_after": 9}},
            ["datetime/ntp_servers: Too many. Try again in 9 s."],
        ),
        ({"type": "InternalError", "message": "Look.", "details": {"error_id": "1"}}, ["datetime/ntp_servers: Look."]),
    ],
)  # fmt: skip
def test_a_refusal_says_where_and_why_one_a_line(error: dict[str, Any], lines: list[str]) -> None:
    assert list(explained(ApiRefusedError(400, error, PATH))) == lines
