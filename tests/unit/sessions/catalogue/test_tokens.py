"""What is found in the content is the same with every engine, whatever the words are."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from doorward.sessions.catalogue.criteria import Says, Words
from doorward.sessions.catalogue.fields import FIELDS
from doorward.sessions.catalogue.keeping import KeptSessions
from doorward.sessions.catalogue.postgresql.words import MAX_POSITIONS
from doorward.sessions.catalogue.results import SortOrder
from doorward.sessions.catalogue.rows import IndexLine
from tests.support.catalogues import ENGINES, made
from tests.support.recorded import key_of, row

LINES = [
    "cat /etc/passwd", "passwd root", "a-b a b", "b a", "x y z x", "z x y", "naïve Größe ÄÖ", "don't \\stop 'now'",
    "foo.bar@example.com 10.0.0.1:22", "…", "x" * 3000, "a x a y a", "日本語 テキスト", "İstanbul ǅ ﬁ", "e\u0301te\u0301",
    f"{'rm ' * (MAX_POSITIONS + 20)}rf hidden",
]  # fmt: skip
PIECES = [
    "a", "b", "x", "y", "z", "a-b", "etc", "passwd", "root", "GRÖSSE", "größe", "naive", "don", "t", "'",
    "\\", "…", "", " ", "\0", "&",
    "foo.bar", "10.0", "x" * 3000, "x" * 2500, "rm", "hidden", "日本", "日本語", "istanbul", "ete", ":*", "|", "ﬁ",
]  # fmt: skip
ORDER = SortOrder(((FIELDS["start_time"], False),))


@pytest.fixture(scope="module")
def catalogues(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, KeptSessions]]:
    """The same with every engine: a session for each line."""

    async def told(catalogue: KeptSessions) -> None:
        for number, line in enumerate(LINES, 1):
            await catalogue.begin(row(number))
            await catalogue.text(key_of(number), 1, [IndexLine(5, "screen", line), IndexLine(6, "screen", "end")])
        await catalogue.synced()

    found = {engine: made(engine, tmp_path_factory.mktemp(engine)) for engine in ENGINES}
    for catalogue in found.values():
        asyncio.run(told(catalogue))
    yield found
    for catalogue in found.values():
        catalogue.close()


def seen(catalogue: KeptSessions, words: Words) -> list[int]:
    with catalogue.looking() as look:
        return list(look.ids(Says(words), ORDER, 100))


@settings(max_examples=120, deadline=None)
@given(
    texts=st.lists(st.lists(st.sampled_from(PIECES), min_size=1, max_size=3).map(" ".join), min_size=1, max_size=3),
    is_beginning=st.booleans(),
    distance=st.none() | st.integers(0, 4),
)
def test_the_same_is_found(
    catalogues: dict[str, KeptSessions], texts: list[str], is_beginning: bool, distance: int | None
) -> None:
    words = Words(
        tuple(texts) if distance is not None else (texts[0],), is_beginning=is_beginning and distance is None, distance=distance
    )
    by_engine = {engine: seen(catalogue, words) for engine, catalogue in catalogues.items()}
    if {"rm", "hidden"}.isdisjoint(" ".join(texts).split()):  # places so far behind are not told apart, below
        assert len(set(map(tuple, by_engine.values()))) == 1, by_engine
    else:
        assert all(set(by_engine["sqlite"]) <= set(found) for found in by_engine.values()), by_engine


def test_nobody_hides_a_phrase_behind_many_of_its_words(catalogues: dict[str, KeptSessions]) -> None:
    for engine, catalogue in catalogues.items():
        for words in (Words(("rm rf",)), Words(("rm rf hid",), is_beginning=True), Words(("rm", "hidden"), distance=1)):
            assert seen(catalogue, words) == [len(LINES)], (engine, words)
