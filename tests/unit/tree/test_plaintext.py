"""Text from outside: what is shown of it."""

from __future__ import annotations

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorward.tree.plaintext import plain

HIDDEN = [
    "\x00", "\x07", "\x1b", "\n", "\r", "\t", "\x7f", "\x85", "\x9b", "\xad", "\u061c", "\u115f", "\u180e", "\u200b", "\u200d",
    "\u200e", "\u202e", "\u2028", "\u2066", "\u2069", "\u3164", "\ufe0f", "\ufeff", "\uffa0", "\ud800", "\ue000", "\U000e0041",
    "\U000e0100", "\U0010ffff",
]  # fmt: skip


@pytest.mark.parametrize("hidden", HIDDEN)
def test_what_can_not_be_seen_is_escaped_or_a_blank(hidden: str) -> None:
    assert plain(f"a{hidden}b") == f"a\\x{ord(hidden):02x}b"
    assert plain(f"a{hidden}{hidden}b", 10) == "a b"


def test_what_can_be_seen_stays() -> None:
    for text in ("node2.example.com", "  two blanks", "Zoë, 日本語, мир, שלום, नमस्ते 🚪", "[red]\\x1b"):
        assert plain(text) == text
    assert plain("a  b ", 10) == "a b"


def test_it_is_cut() -> None:
    assert plain("x" * 10, 10) == "x" * 10
    assert plain("x" * 11, 10) == "x" * 9 + "…"
    assert plain("\n" * 10_000 + "x", 10) == "…"
    assert plain(b"caf\xe9", 10) == "caf\ufffd"


@given(st.text(alphabet=st.characters(max_codepoint=sys.maxunicode)), st.integers(1, 40))
def test_nothing_else_gets_through(text: str, most: int) -> None:
    for shown in (plain(text), plain(text, most)):
        assert all(one == " " or unicodedata.category(one)[0] not in "CZ" for one in shown)
    assert len(plain(text, most)) <= most
    assert plain(plain(text)) == plain(text)
