"""What is wrong with a written body: every code, every pointer, all problems at once (sections 6, 9.6 and 10)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.wire import ACCOUNTING, GROUPS, NTP, PASSWORDS, TRANSACTION, USERS, WEB, ZONE, Caller

STRICT = {"Prefer": "handling=strict"}
POOL = [{"selection": "fqdn", "value": "pool.ntp.org"}]


@pytest.mark.parametrize(
    ("content", "line", "column"),
    [
        (b"", 1, 1),
        (b"[1 2]", 1, 4),
        (b'{"timeout":}', 1, 12),
        (b"{\n  timeout: 10\n}", 2, 3),
        (b'{"timeout" 10}', 1, 12),
        (b'{"timeout":10} {}', 1, 16),
        (b'"\x01"', 1, 2),
        (b'"\\x"', 1, 2),
        (b'"open', 1, 1),
        (b"\xef\xbb\xbf{}", 1, 1),
        ("\n\n{äöü}".encode(), 3, 2),
    ],
)
def test_text_that_is_not_json_is_shown_its_place(admin: Caller, content: bytes, line: int, column: int) -> None:
    answer = admin.put(WEB, content=content).refuses("InvalidRequestBody", ("invalid_json", ""))
    (problem,) = answer.error["details"]["errors"]
    assert problem["message"].startswith(f"Line {line}, column {column}: ")
    assert problem["message"].endswith(".")
    assert answer.error["message"] == "The request body has 1 problem."


@pytest.mark.parametrize("content", [b"NaN", b"[Infinity]", b'{"timeout":-Infinity}', b"9" * 5000])
def test_numbers_that_json_does_not_have(admin: Caller, content: bytes) -> None:
    admin.put(WEB, content=content).refuses("InvalidRequestBody", ("invalid_json", ""))


@pytest.mark.parametrize("content", [b'"\xff"', b'{"timeout\xe9":1}', b'"\xed\xa0\x80"', "ä".encode("utf-16")])
def test_bytes_that_are_not_utf_8(admin: Caller, content: bytes) -> None:
    admin.put(WEB, content=content).refuses("InvalidRequestBody", ("invalid_utf8", ""))


def test_member_named_twice_is_pointed_at(admin: Caller) -> None:
    admin.put(WEB, content=b'{"timeout":1,"timeout":1}').refuses("InvalidRequestBody", ("duplicate_member", "/timeout"))
    content = b'[{"selection":"ip","a/b~c":{"x":1,"x":2},"selection":"ip","value":"127.0.0.1"}]'
    admin.put(NTP, content=content).refuses(
        "InvalidRequestBody", ("duplicate_member", "/0/selection"), ("duplicate_member", "/0/a~1b~0c/x")
    )
    admin.put(WEB, content=b'{"time\\u006fut":1,"timeout":1}').refuses("InvalidRequestBody", ("duplicate_member", "/timeout"))


def nested(levels: int) -> bytes:
    return b'{"timeout":10,"x":' + b"[" * (levels - 1) + b"]" * (levels - 1) + b"}"


def test_32_levels_are_deep_enough(admin: Caller) -> None:
    assert [w["pointer"] for w in admin.put(WEB, content=nested(32)).ok().meta["warnings"]] == ["/x"]
    answer = admin.put(WEB, content=nested(33)).is_error(400, "InvalidRequestBody")
    assert [code for code, _ in answer.codes] == ["too_deep"]


@pytest.mark.parametrize("levels", [1_000, 100_000, 500_000])
def test_depth_beyond_every_stack_is_too_deep(admin: Caller, levels: int) -> None:
    answer = admin.put(WEB, content=b"[" * levels + b"]" * levels).is_error(400, "InvalidRequestBody")
    assert [code for code, _ in answer.codes] == ["too_deep"]


WRONG_TYPES: list[tuple[str, Any, str]] = [
    (WEB, {"timeout": "5"}, "/timeout"),
    (WEB, {"timeout": 1.0}, "/timeout"),
    (WEB, {"timeout": True}, "/timeout"),
    (WEB, {"timeout": None}, "/timeout"),
    (WEB, [], ""),
    (WEB, None, ""),
    (ACCOUNTING, {"require_commitlog": 1}, "/require_commitlog"),
    (ACCOUNTING, {"require_commitlog": "true"}, "/require_commitlog"),
    (ZONE, 5, ""),
    (ZONE, {"body": "Etc/UTC"}, ""),
    (NTP, "pool.ntp.org", ""),
    (NTP, ["pool.ntp.org"], "/0"),
    (NTP, [{"selection": 1, "value": "x"}], "/0/selection"),
    (NTP, [{"selection": "ip", "value": 127}], "/0/value"),
    (USERS, {"name": "x", "password": 5}, "/password"),
    (GROUPS, {"members": {}, "name": "x"}, "/members"),
    (GROUPS, {"members": [{}], "name": "x"}, "/members/0"),
    (TRANSACTION, {"status": "commit", "confirm_seconds": "10"}, "/confirm_seconds"),
]


@pytest.mark.parametrize(("path", "value", "pointer"), WRONG_TYPES)
def test_types_are_strict(admin: Caller, path: str, value: Any, pointer: str) -> None:
    send = admin.post if path in {USERS, GROUPS} else admin.put
    send(path, value).refuses("InvalidRequestBody", ("type", pointer))


OTHER_PROBLEMS: list[tuple[str, str, Any, str, str]] = [
    ("POST", USERS, {}, "missing", "/name"),
    ("POST", PASSWORDS, {}, "missing", "/plain"),
    ("PUT", NTP, [{}], "missing", "/0/selection"),
    ("PUT", NTP, [{"selection": "ip"}], "missing", "/0/value"),
    ("PUT", TRANSACTION, {}, "missing", "/status"),
    ("PUT", NTP, [{"selection": "name", "value": "x"}], "enum", "/0/selection"),
    ("PUT", TRANSACTION, {"status": "open"}, "enum", "/status"),
    ("PUT", TRANSACTION, {"status": "closed"}, "enum", "/status"),
    ("PUT", WEB, {"timeout": 0}, "range", "/timeout"),
    ("PUT", WEB, {"timeout": 1441}, "range", "/timeout"),
    ("PUT", WEB, {"timeout": 10**30}, "range", "/timeout"),
    ("PUT", TRANSACTION, {"status": "commit", "confirm_seconds": 9}, "range", "/confirm_seconds"),
    ("PUT", TRANSACTION, {"status": "commit", "confirm_seconds": 3601}, "range", "/confirm_seconds"),
    ("PUT", TRANSACTION, {"status": "commit", "commit_message": "x" * 4097}, "length", "/commit_message"),
    ("POST", USERS, {"name": ""}, "length", "/name"),
    ("POST", USERS, {"name": "x" * 65}, "length", "/name"),
    ("POST", PASSWORDS, {"plain": "x" * 151}, "length", "/plain"),
    ("PUT", NTP, [{"selection": "ip", "value": f"127.0.0.{n}"} for n in range(1, 18)], "length", ""),
    ("POST", USERS, {"name": "two words"}, "format", "/name"),
    ("POST", PASSWORDS, {"plain": "a\u0000b"}, "format", "/plain"),
    ("PUT", NTP, [{"selection": "ip", "value": "pool.ntp.org"}], "format", "/0/value"),
    ("PUT", NTP, [{"selection": "fqdn", "value": "127.0.0.1"}], "format", "/0/value"),
    ("PUT", NTP, [{"selection": "fqdn", "value": "10.0.0.300"}], "format", "/0/value"),
    ("PUT", ZONE, "Mars/Olympus_Mons", "format", ""),
    ("PUT", ZONE, "right/Europe/Budapest", "format", ""),
]


@pytest.mark.parametrize(("method", "path", "value", "code", "pointer"), OTHER_PROBLEMS)
def test_code_and_pointer(admin: Caller, method: str, path: str, value: Any, code: str, pointer: str) -> None:
    admin.call(method, path, value).refuses("InvalidRequestBody", (code, pointer))
    assert admin.status() == "closed", "a refused write opens no transaction"


def test_lone_surrogate_is_no_text(admin: Caller) -> None:
    content = b'{"name":"\\ud800"}'
    admin.post(USERS, content=content).refuses("InvalidRequestBody", ("format", "/name"))


def test_equal_entries_are_refused_at_the_later_one(admin: Caller) -> None:
    twins = [{"selection": "fqdn", "value": "Time.Invalid."}, {"selection": "fqdn", "value": "time.invalid"}]
    admin.put(NTP, twins).refuses("InvalidRequestBody", ("duplicate", "/1"))
    shapes = [{"selection": "ip", "value": "::1"}, {"selection": "ip", "value": "0:0:0:0:0:0:0:1"}]
    admin.put(NTP, shapes).refuses("InvalidRequestBody", ("duplicate", "/1"))
    admin.post(NTP, POOL[0]).refuses("InvalidRequestBody", ("duplicate", ""))
    admin.post(NTP, [{"selection": "ip", "value": "::1"}, *POOL]).refuses("InvalidRequestBody", ("duplicate", "/1"))


def test_pointers_of_an_appended_element_are_those_of_the_sent_body(admin: Caller) -> None:
    admin.post(NTP, {"selection": "ip", "value": "x"}).refuses("InvalidRequestBody", ("format", "/value"))
    admin.post(NTP, [{"selection": "ip", "value": "x"}]).refuses("InvalidRequestBody", ("format", "/0/value"))


def test_one_object_cannot_replace_a_longer_list(admin: Caller) -> None:
    assert admin.put(NTP, POOL[0]).ok().json["body"] == POOL
    admin.post(NTP, {"selection": "ip", "value": "127.0.0.1"}).ok(201)
    admin.put(NTP, POOL[0]).refuses("InvalidRequestBody", ("type", ""))


def test_all_problems_are_told_at_once(admin: Caller) -> None:
    value = [{"selection": "name"}, {"selection": "ip", "value": 1}, POOL[0], 7, POOL[0], {"value": "x"}]
    answer = admin.put(NTP, value)
    answer.refuses(
        "InvalidRequestBody",
        ("enum", "/0/selection"),
        ("type", "/1/value"),
        ("type", "/3"),
        ("duplicate", "/4"),
        ("missing", "/5/selection"),
    )
    assert answer.error["message"] == "The request body has 5 problems."


def test_unknown_members_are_ignored_and_told(admin: Caller) -> None:
    answer = admin.put(NTP, [{**POOL[0], "a/b": 1, "~": 2}]).ok()
    assert answer.json["body"] == POOL
    assert sorted((w["code"], w["path"], w["pointer"]) for w in answer.meta["warnings"]) == [
        ("unknown_member", NTP, "/0/a~1b"),
        ("unknown_member", NTP, "/0/~0"),
    ]


def test_unknown_members_are_errors_under_strict_handling(admin: Caller) -> None:
    answer = admin.put(NTP, [{**POOL[0], "prefered": True}], headers=STRICT)
    answer.refuses("InvalidRequestBody", ("unknown_member", "/0/prefered"))
    assert answer.header("Preference-Applied") == "handling=strict"
    assert admin.status() == "closed"
    body: dict[str, Any] = {"name": "x", "passwort": None, "members": []}
    admin.post(USERS, body, headers={"Prefer": "respond-async, handling=strict; x=y"}).refuses(
        "InvalidRequestBody", ("unknown_member", "/members"), ("unknown_member", "/passwort")
    )
    admin.put(TRANSACTION, {"status": "commit", "message": "x"}, headers=STRICT).refuses(
        "InvalidRequestBody", ("unknown_member", "/message")
    )


def test_lenient_handling_says_nothing_of_the_preference(admin: Caller) -> None:
    for preference in ("handling=lenient", "return=minimal"):
        answer = admin.put(WEB, {"timeout": 10, "x": 1}, headers={"Prefer": preference}).ok()
        assert not answer.all("Preference-Applied")
        assert [w["pointer"] for w in answer.meta["warnings"]] == ["/x"]


def test_unknown_members_named_like_our_own_words_are_unknown_members(admin: Caller) -> None:
    answer = admin.put(NTP, [{**POOL[0], "<selection=ip>": 1, "0": 2, "": 3}]).ok()
    assert sorted(w["pointer"] for w in answer.meta["warnings"]) == ["/0/", "/0/0", "/0/<selection=ip>"]


@pytest.mark.parametrize(
    "content", [b"[" + b"{}," * 300_000 + b"{}]", b'{"timeout":11,' + b",".join(b'"%d":1' % n for n in range(90_000)) + b"}"]
)
def test_a_body_full_of_mistakes_gets_a_short_answer(admin: Caller, content: bytes) -> None:
    path = NTP if content.startswith(b"[") else WEB
    admin.put(path, content=content).refuses("InvalidRequestBody", ("length", ""))
    assert admin.status() == "closed"


def test_a_large_body_is_written_like_a_small_one(admin: Caller) -> None:
    blanks = b" " * 100_000
    assert admin.put(WEB, content=blanks + b'{"timeout":17}').ok().json["body"] == {"timeout": 17}
    admin.post(NTP, content=blanks + b'{"selection":"ip","value":"192.0.2.99"}').ok(201)
    admin.post(NTP, content=blanks + b'[{"selection":"ip"}]').refuses("InvalidRequestBody", ("missing", "/0/value"))
    admin.put(WEB, content=blanks + b'{"timeout":').refuses("InvalidRequestBody", ("invalid_json", ""))
    assert sorted(change["path"] for change in admin.changes()) == [NTP, f"{WEB}#timeout"]
