from __future__ import annotations

import pytest

from doorward.tree.expressions import MAX_TEXT, ExpressionError, check_expression, is_whole_match


@pytest.mark.parametrize("pattern", ["(a+)+b", "(x+x+)+y", "([a-z]*)*!", "(a|a)*b", ".*.*.*.*.*b"])
def test_an_expression_that_others_despair_of_is_linear(pattern: str) -> None:
    check_expression(pattern)
    assert not is_whole_match(pattern, "a" * MAX_TEXT)  # with another engine this is not over today


@pytest.mark.parametrize(
    ("pattern", "part"),
    [
        ("(", "missing"),
        ("a(?=b)", "invalid perl operator"),
        (r"(a)\1", "invalid escape"),
        ("a{1000}{1000}", "repetition"),
        (r"(\pL*\d?){90}", "too large"),
        ("\udc80", "no text"),
    ],
)
def test_what_is_none_is_said(pattern: str, part: str) -> None:
    with pytest.raises(ExpressionError, match=part):
        check_expression(pattern)
    assert not is_whole_match(pattern, "a")


def test_a_match_covers_the_whole_text_whatever_is_in_it() -> None:
    assert is_whole_match("a.*", "a\nb\xe9")
    assert is_whole_match("^a.*$", "a\nb")
    assert not is_whole_match("a", "a\n")
    assert not is_whole_match("a|b", "ab")
    assert not is_whole_match(".*", "\udc80")


def test_what_is_too_long_matches_nothing() -> None:
    assert is_whole_match("a*", "a" * MAX_TEXT)
    assert not is_whole_match("a*", "a" * (MAX_TEXT + 1))
