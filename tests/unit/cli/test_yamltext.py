"""Values on the command line: JSON and YAML with the types of JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorward.cli.yamltext import NotReadableError, dump, load
from doorward.tree.changes import same

texts = st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(
    [
        "22:30",
        "02:30",
        "on",
        "no",
        "null",
        "~",
        "",
        "1e3",
        "-1",
        "0x1f",
        "2026-11-21",
        "@a",
        "- x",
        "a: b",
        "<<",
        "=",
        "True",
        "12_3",
        ".5",
    ]
)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4), max_leaves=12
)


@given(values)
def test_what_is_printed_reads_back_as_the_same_value(value: Any) -> None:
    assert same(load(dump(value)), value)


@given(values)
def test_json_is_taken_too(value: Any) -> None:
    assert same(load(json.dumps(value)), value)
    assert same(load(json.dumps(value, ensure_ascii=False, indent=2)), value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("22:30", "22:30"),
        ("[22:30, 06:00]", ["22:30", "06:00"]),
        ("off", "off"),
        ("2026-11-21", "2026-11-21"),
        ("0123", "0123"),
        ("1_000", "1_000"),
        ("", None),
        ("null", None),
        ("true", True),
        ("-7", -7),
        ("1.5e3", 1500.0),
        ("{1: a, true: b, null: c}", {"1": "a", "true": "b", "null": "c"}),
        ("{selection: ip, value: 192.0.2.1}", {"selection": "ip", "value": "192.0.2.1"}),
        ("a: &x [1]\nb: *x", {"a": [1], "b": [1]}),
        ("|\n  -----BEGIN\n  x\n", "-----BEGIN\nx\n"),
    ],
)
def test_yaml_has_the_types_of_json(text: str, value: Any) -> None:
    assert same(load(text), value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb: 2\na: 3", "Line 3, column 1: 'a' comes twice."),
        ("{a: 1, a: 2}", "Line 1, column 8: 'a' comes twice."),
        ('{"a": 1, "a": 2}', "Named more than once"),
        ("[1, 2", "Line 1"),
        ("a: 1\n---\nb: 2", "Line 2"),
        ("? [a]\n: b", "a key must be a text"),
        ("!!timestamp 2026-11-21", "could not determine a constructor"),
        ("!!python/object/apply:os.system [ls]", "could not determine a constructor"),
        ("&a [*a]", "recursive"),
        ("!!int x", "invalid literal"),
        ("\x00", "special characters are not allowed"),
    ],
)
def test_what_can_not_be_read_says_where(text: str, said: str) -> None:
    with pytest.raises(NotReadableError, match="(?s).*" + said.replace("[", "\\[")):
        load(text)


def test_texts_of_several_lines_are_printed_as_blocks() -> None:
    assert dump({"key": "-----BEGIN\nx\n"}) == "key: |\n  -----BEGIN\n  x\n"


@pytest.mark.parametrize("evil", ["\u202e", "\u200b", "\u2066", "\U000e0100", "\u3164", "\ufe0f", "\x9b", "\x1b", "\u00ad"])
def test_nothing_that_is_printed_steers_or_stays_unseen(evil: str) -> None:
    value = {f"a{evil}b": f"exe{evil}gnp\nüß", "plain": "Grüße"}
    text = dump(value)
    assert evil not in text
    assert "plain: Grüße\n" in text
    assert load(text) == value
