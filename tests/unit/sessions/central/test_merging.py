"""Answers of several nodes become one, in the order that one catalogue would give."""

from __future__ import annotations

import pytest

from doorward.sessions.catalogue.results import Frequent, TooManyBinsError
from doorward.sessions.central.merging import merged_bins, merged_frequent, merged_page
from doorward.sessions.central.questions import PageAnswer


def page(*rows: tuple[int, int | str | None]) -> PageAnswer:
    return PageAnswer(len(rows), [number for number, _ in rows], [[value] for _, value in rows])


def test_sessions_are_in_the_order_of_sqlite_nothing_first_and_text_whatever_its_case() -> None:
    answers = {"": page((1, None), (2, "Bob")), "n": page((7, 5), (1, "alice"), (3, "carol"))}
    assert merged_page(answers, ["user.name"]) == [("", 1), ("n", 7), ("n", 1), ("", 2), ("n", 3)]
    assert merged_page(answers, ["-user.name"]) == [("n", 3), ("", 2), ("n", 1), ("n", 7), ("", 1)]


def test_equal_sessions_keep_the_order_of_nodes_up_and_down() -> None:
    answers = {"": page((1, 5), (2, 5)), "n": page((1, 5))}
    for sort in ("start_time", "-start_time"):
        assert merged_page(answers, [sort]) == [("", 1), ("", 2), ("n", 1)]


def test_the_second_field_decides_between_equals() -> None:
    answers = {"": PageAnswer(2, [1, 2], [["a", 1], ["b", 3]]), "n": PageAnswer(1, [9], [["a", 2]])}
    assert merged_page(answers, ["user.name", "-start_time"]) == [("n", 9), ("", 1), ("", 2)]


def test_values_are_counted_over_all() -> None:
    one = Frequent([("jane", 3, [("root", 3)]), ("bob", 2, [("root", 2)])], 1)
    other = Frequent([("bob", 2, [("db", 1), ("root", 1)])], 0)
    found = merged_frequent([one, other], 1)
    assert (found.values, found.others) == ([("bob", 4, [("root", 3)])], 4)


def test_bins_are_added_in_the_order_of_time() -> None:
    late, early = "2026-11-29T10:00:00+01:00", "2026-11-29T09:30:00+01:00"
    assert merged_bins([[(late, 1)], [(early, 2), (late, 3)]]) == [(early, 2), (late, 4)]
    with pytest.raises(TooManyBinsError):
        merged_bins([[(number, 1) for number in range(6000)], [(number, 1) for number in range(6000, 12_000)]])
