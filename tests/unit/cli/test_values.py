"""VALUE is text where the declarations want text, and JSON or YAML anywhere else."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest

from doorward.cli import kinds
from doorward.cli.failures import Usage
from doorward.cli.times import seconds, words
from doorward.cli.values import parsed
from doorward.tree.nodes import Valued
from tests.unit.cli.present import tree

ROOT = "/api/configuration"


def kind(path: str, body: Any, *at: str) -> Any:
    node = tree()[f"{ROOT}/{path}"].node
    assert isinstance(node, Valued)
    return kinds.kind_at(node.model, body, at)


SYSLOG = {"receivers": [{"address": {"selection": "ip", "value": "192.0.2.1"}, "port": 514, "transport": {"selection": "tls"}}]}


@pytest.mark.parametrize(
    ("path", "body", "at", "text"),
    [
        ("datetime/timezone", "UTC", (), True),
        ("network/naming", {"nickname": None}, ("nickname",), True),
        ("network/naming", {}, (), False),
        ("management/webinterface", {"timeout": 10}, ("timeout",), False),
        ("management/accounting", {}, ("require_commitlog",), False),
        ("aaa/local_database/users", {"name": "x"}, ("password",), True),
        ("aaa/local_database/groups", {"members": []}, ("members",), False),
        ("aaa/local_database/groups", {"members": []}, ("members", "0"), True),
        ("datetime/ntp_servers", [{"selection": "ip", "value": "192.0.2.1"}], ("0", "value"), True),
        ("datetime/ntp_servers", [{"selection": "ip", "value": "192.0.2.1"}], ("0", "selection"), True),
        ("datetime/ntp_servers", [], ("0",), False),
        ("management/syslog", SYSLOG, ("receivers", "0", "port"), False),
        ("management/syslog", SYSLOG, ("receivers", "0", "address", "value"), True),
        ("management/email", {"smtp_server": None}, ("admin_address",), True),
        ("management/email", {"smtp_server": None}, ("smtp_server",), False),
        ("management/webinterface", {}, ("nothing",), False),
    ],
)
def test_where_text_goes(path: str, body: Any, at: tuple[str, ...], text: bool) -> None:
    assert kinds.takes_text(kind(path, body, *at)) is text


TEXT = Annotated[str, "of any form"] | None


@pytest.mark.parametrize(
    ("given", "value"),
    [
        ("123", "123"),
        ("#2 in the cellar", "#2 in the cellar"),
        ("true", "true"),
        ("a: b", "a: b"),
        ("[x", "[x"),
        ("", ""),
        ("null", None),
        ('"null"', "null"),
        ('"a\\n"', "a\n"),
        ('"open', '"open'),
        ("two\nlines\n", "two\nlines"),
        ("{plain: x}", {"plain": "x"}),
    ],
)
def test_text_is_taken_as_it_is(given: str, value: Any) -> None:
    assert parsed(given, TEXT) == value


def test_null_is_a_text_where_no_null_goes() -> None:
    assert parsed("null", str) == "null"
    assert parsed("null", Literal["null", "x"]) == "null"


def test_a_list_stands_for_its_elements() -> None:
    assert parsed("[a, b]", str, several=True) == ["a", "b"]
    assert parsed("[a, b]", str) == "[a, b]"


def test_anything_else_is_json_or_yaml() -> None:
    assert parsed("123", int) == 123
    assert parsed("off", int | str) == "off"
    with pytest.raises(Usage, match=r"^VALUE: "):
        parsed("{", dict)


@pytest.mark.parametrize(("text", "found"), [("10", 10), ("90s", 90), ("5m", 300), ("1h", 3600), (" 60m ", 3600)])
def test_times(text: str, found: int) -> None:
    assert seconds(text) == found


@pytest.mark.parametrize("text", ["", "9", "61m", "2h", "5 m", "-5m", "5d", "1.5m", "m", "1e3", "10000000"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match="must be a time from 10s to 1h"):
        seconds(text)


def test_times_are_shown() -> None:
    assert [words(number) for number in (0, 9, 60, 252, 3600, 3661)] == ["0s", "9s", "1m", "4m 12s", "1h", "1h 1m 1s"]
