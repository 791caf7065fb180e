"""Where in a session something was: the very lines, with the words marked."""

from __future__ import annotations

import asyncio

import pytest

from doorward.sessions.catalogue.keeping import KeptSessions
from doorward.sessions.catalogue.query import QueryRefusedError
from doorward.sessions.catalogue.results import Hit
from doorward.sessions.catalogue.rows import IndexLine
from doorward.sessions.catalogue.text import CHUNK_LINES
from tests.support.recorded import key_of, row, tell

LINES = ["$ sudo cat /etc/shadow", "root:$6$", "$ ls", *(f"noise {n}" for n in range(CHUNK_LINES)), "sudo again"]


@pytest.fixture
def told(catalogue: KeptSessions) -> KeptSessions:
    tell(catalogue, row(1), row(2), lines=LINES, commands=("sudo cat /etc/shadow",))
    return catalogue


def found(catalogue: KeptSessions, query: str, session: int = 1) -> list[Hit]:
    with catalogue.looking() as look:
        return list(look.hits(session, query))


def test_lines_are_found_with_time_kind_and_marks(told: KeptSessions) -> None:
    one, other, command = found(told, "sudo")
    assert (one.at, one.kind, one.snippet, one.marks) == (1000, "screen", "$ sudo cat /etc/shadow", ((2, 6),))
    assert (other.snippet, other.at) == ("sudo again", 1000 + len(LINES) - 1)
    assert (command.kind, command.at) == ("command", 1000)


@pytest.mark.parametrize(
    ("query", "snippets"),
    [
        ('"/etc/shadow"', ["$ sudo cat /etc/shadow", "sudo cat /etc/shadow"]),
        ("sud*", ["$ sudo cat /etc/shadow", "sudo again", "sudo cat /etc/shadow"]),
        ("sudo AND again", ["sudo again"]),
        ("sudo AND root", ["$ sudo cat /etc/shadow", "root:$6$"]),
        ("sudo -root", ["sudo again", "sudo cat /etc/shadow"]),
        ("again OR ls", ["$ ls", "sudo again"]),
        ("nowhere", []),
        ("NOT sudo", []),
        ("*", []),
        ("", []),
    ],
)
def test_all_of_a_query_holds_where_its_lines_are(told: KeptSessions, query: str, snippets: list[str]) -> None:
    assert [hit.snippet for hit in found(told, query)] == snippets


def test_only_words_can_be_looked_for(told: KeptSessions) -> None:
    with pytest.raises(QueryRefusedError) as caught:
        found(told, "sudo AND user.name:jane")
    assert (caught.value.code, caught.value.position) == ("unknown_field", 9)


def test_hits_are_those_of_one_session(told: KeptSessions) -> None:
    asyncio.run(told.text(key_of(2), 1, [IndexLine(9000, "screen", "only here")]))
    told.writer.flush()
    assert (found(told, "only"), [hit.at for hit in found(told, "only", 2)]) == ([], [9000])


def test_a_long_line_is_shown_in_part(catalogue: KeptSessions) -> None:
    tell(catalogue, row(1), lines=["x " * 1000 + "needle" + " y" * 1000])
    (hit,) = found(catalogue, "needle")
    assert len(hit.snippet) < 100
    ((begin, end),) = hit.marks
    assert hit.snippet[begin:end] == "needle"
