"""JSON on the way in, strict, and on the way out, canonical."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorward.tree.jsontext import MAX_DEPTH, decode, decode_own, encode
from doorward.tree.problems import InvalidBody, Problem


def refused(data: bytes) -> list[tuple[str, str]]:
    with pytest.raises(InvalidBody) as caught:
        decode(data)
    return [(problem.code, problem.pointer) for problem in caught.value.problems]


def message(data: bytes) -> str:
    with pytest.raises(InvalidBody) as caught:
        decode(data)
    [problem] = caught.value.problems
    return problem.message


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b"null", None),
        (b' [1, 2.5, true, "x"] ', [1, 2.5, True, "x"]),
        (b'{"a": {"b": []}}', {"a": {"b": []}}),
        ('"\u00e9\u4e2d\U0001f512"'.encode(), "\u00e9\u4e2d\U0001f512"),
        (rb'"\ud83d\udd12"', "\U0001f512"),
        (rb'"\\ud800"', "\\ud800"),
        (b"-0", 0),
        (b"123456789012345678901234567890", 123456789012345678901234567890),
    ],
)
def test_what_is_json_is_read(text: bytes, value: Any) -> None:
    assert decode(text) == value


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        (b"", "invalid_json", "Line 1, column 1: a value was expected."),
        (b"{", "invalid_json", "Line 1, column 2: a member name in double quotes was expected."),
        (b"[1 2]", "invalid_json", "Line 1, column 4: a comma or a closing bracket was expected."),
        (b'{\n  "a" 1}', "invalid_json", "Line 2, column 7: a colon was expected."),
        (b"[] []", "invalid_json", "Line 1, column 4: more text follows the value."),
        (b'"abc', "invalid_json", "Line 1, column 1: a string begins that never ends."),
        (b'"a\tb"', "invalid_json", "Line 1, column 3: a control character must be escaped."),
        (rb'"\x"', "invalid_json", "Line 1, column 2: not a valid escape."),
        (rb'"\u12g4"', "invalid_json", "Line 1, column 3: not a valid escape."),
        (b"{'a':1}", "invalid_json", "Line 1, column 2: a member name in double quotes was expected."),
        (b"[NaN]", "invalid_json", "NaN is not a JSON number."),
        (b"Infinity", "invalid_json", "Infinity is not a JSON number."),
        (b"-Infinity", "invalid_json", "-Infinity is not a JSON number."),
        (b"\xef\xbb\xbf{}", "invalid_json", "Line 1, column 1: a byte order mark is not allowed."),
        (b'{"caf\xe9":1}', "invalid_utf8", "Byte 6 is not UTF-8."),
        (b'"\xed\xa0\x80"', "invalid_utf8", "Byte 2 is not UTF-8."),
        (b'"\xc0\xaf"', "invalid_utf8", "Byte 2 is not UTF-8."),
        (b"1" * 5000, "invalid_json", "A number has too many digits."),
        (b"[01]", "invalid_json", "Line 1, column 3: a comma or a closing bracket was expected."),
    ],
)
def test_what_is_no_json_is_refused_with_its_place(text: bytes, code: str, said: str) -> None:
    assert refused(text) == [(code, "")]
    assert message(text) == said


def test_every_member_that_comes_twice_is_named_with_its_pointer() -> None:
    body = b'{"a":1,"a":2,"a":3,"b":[{"x/y":1,"~":2,"x/y":3,"~":4}],"c":{"c":{"d":1,"d":1}}}'
    assert refused(body) == [
        ("duplicate_member", "/a"),
        ("duplicate_member", "/b/0/x~1y"),
        ("duplicate_member", "/b/0/~0"),
        ("duplicate_member", "/c/c/d"),
    ]


def test_a_member_that_comes_twice_by_another_spelling_is_still_twice() -> None:
    assert refused(rb'{"a":1,"\u0061":2}') == [("duplicate_member", "/a")]


def nested(levels: int) -> bytes:
    return b"[" * levels + b"]" * levels


def test_the_deepest_body_is_read() -> None:
    assert decode(nested(MAX_DEPTH)) is not None
    assert decode(b'{"a":' * MAX_DEPTH + b"1" + b"}" * MAX_DEPTH) is not None


@pytest.mark.parametrize("levels", [MAX_DEPTH + 1, 500, 200_000])
def test_a_body_too_deep_is_refused(levels: int) -> None:
    [(code, pointer)] = refused(nested(levels))
    assert code == "too_deep"
    assert pointer in ("", "/0" * MAX_DEPTH)


@pytest.mark.parametrize(
    ("text", "pointer"),
    [
        (rb'"\ud800"', ""),
        (rb'{"a":["x","\udc00\ud800"]}', "/a/1"),
        (rb'{"a":{"\uDfff":1}}', "/a"),
        (rb'"\ud83dx\udd12"', ""),
    ],
)
def test_half_a_surrogate_pair_is_no_text(text: bytes, pointer: str) -> None:
    assert refused(text) == [("format", pointer)]


def test_several_faults_are_reported_at_once() -> None:
    assert refused(rb'{"a":"\ud800","b":1,"b":2}') == [("duplicate_member", "/b"), ("format", "/a")]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"b": 1, "a": 2, "_": 3, "B": 4}, '{"B":4,"_":3,"a":2,"b":1}'),
        ({"z": {"y": 1, "x": [{"q": 1, "p": 2}]}}, '{"z":{"x":[{"p":2,"q":1}],"y":1}}'),
        ({"\u00e9": 1, "z": 2, "\U0001f512": 3, "\uffee": 4}, '{"z":2,"\u00e9":1,"\uffee":4,"\U0001f512":3}'),
        (["\u00e9", "\U0001f512", "/", '"', "\n"], '["\u00e9","\U0001f512","/","\\"","\\n"]'),
        ([True, None, 1, 1.5], "[true,null,1,1.5]"),
    ],
)
def test_encoding_is_canonical(value: Any, text: str) -> None:
    assert encode(value) == text.encode()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=15,
)


@given(JSON)
def test_what_was_encoded_is_read_back_by_both_readers(value: Any) -> None:
    encoded = encode(value)
    assert decode(encoded) == value
    assert decode_own(encoded) == value


@given(JSON)
def test_members_stand_in_byte_order_at_every_level(value: Any) -> None:
    def ordered(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name.encode() for name, _ in pairs]
        assert names == sorted(names)
        return dict(pairs)

    json.loads(encode(value), object_pairs_hook=ordered)


@given(JSON, st.randoms(use_true_random=False))
def test_the_order_of_members_on_the_way_in_does_not_matter(value: Any, random: Any) -> None:
    def shuffled(one: Any) -> Any:
        if isinstance(one, list):
            return [shuffled(element) for element in one]
        if isinstance(one, dict):
            names = list(one)
            random.shuffle(names)
            return {name: shuffled(one[name]) for name in names}
        return one

    assert encode(decode(json.dumps(shuffled(value)).encode())) == encode(value)


@given(st.binary(max_size=200))
def test_bytes_are_read_or_refused_and_never_break_the_reader(data: bytes) -> None:
    try:
        value = decode(data)
    except InvalidBody as refusal:
        value = [problem.code for problem in refusal.problems]
    assert json.dumps(value).encode("utf-8")


def test_a_number_beyond_every_float_is_no_json_number() -> None:
    """It could not be written again: JSON has no infinity."""
    with pytest.raises(InvalidBody) as caught:
        decode(b"[1e999]")
    assert [problem.code for problem in caught.value.problems] == ["invalid_json"]
    assert not math.isinf(decode(b"1e308"))


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"[[1,2,3],[1,2]]", []),
        (b'{"a":{"b":1,"c":2,"d":3}}', []),
        (b"[1,2,3,4]", [("length", "")]),
        (b'{"a":[1,2,3,{}],"b":{"b":1,"c":2,"d":3,"e":[[],[],[],[]]}}', [("length", "/a"), ("length", "/b")]),
    ],
)
def test_width_is_limited_where_a_limit_is_given(data: bytes, found: list[tuple[str, str]]) -> None:
    decode(data)
    assert [(problem.code, problem.pointer) for problem in too_wide(data)] == found


def too_wide(data: bytes) -> Sequence[Problem]:
    try:
        decode(data, 3)
    except InvalidBody as refused:
        return refused.problems
    return ()
