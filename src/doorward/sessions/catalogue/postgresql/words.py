"""Words of the content for PostgreSQL: cut by the tokenizer of SQLite, kept as tsvector, looked for by tsquery.

PostgreSQL's own parser makes other words of paths, addresses and names with hyphens, so that one query would find other sessions
on another engine.
"""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from typing import Any, Final

from doorward.sessions.catalogue.criteria import Words
from doorward.sessions.catalogue.dialect import Condition
from doorward.sessions.catalogue.tokens import TOKENIZER

MAX_POSITIONS: Final = 255
"""PostgreSQL forgets where a word is in a text beyond so many."""
_MAX_BYTES: Final = 1024
"""Of a word; PostgreSQL takes 2,046."""
_LONG = "\x01"
"""Stands between the beginning of a longer word and its digest. No token has it."""


class Tokenizer:
    """Cuts texts into words. Safe in any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._memory = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        self._memory.execute(f"CREATE VIRTUAL TABLE texts USING fts5 (text, content = '', tokenize = '{TOKENIZER}')")
        self._memory.execute("CREATE VIRTUAL TABLE words USING fts5vocab (texts, instance)")

    def places(self, text: str) -> list[tuple[str, int]]:
        """Return the words of a text, each with the number of words before it, in no order."""
        with self._lock:
            self._memory.execute("INSERT INTO texts (rowid, text) VALUES (1, ?)", (text,))
            found = self._memory.execute('SELECT term, "offset" FROM words').fetchall()
            self._memory.execute("INSERT INTO texts (texts) VALUES ('delete-all')")
        return found

    def words(self, text: str) -> list[str]:
        """Return the words of a text in order."""
        return [word for word, _ in sorted(self.places(text.replace("\0", " ")), key=lambda found: found[1])]


TOKENS: Final = Tokenizer()


def indexed(text: str) -> tuple[str, bool]:
    """Return a text as a tsvector, and whether a word is in it so often that its later places are not known."""
    found: dict[str, list[int]] = {}
    for word, place in TOKENS.places(text):
        found.setdefault(_lexeme(word), []).append(place + 1)
    vector = " ".join(f"{_quoted(word)}:{','.join(map(str, sorted(places)[:MAX_POSITIONS]))}" for word, places in found.items())
    return vector, any(len(places) > MAX_POSITIONS for places in found.values())


def condition(words: Words) -> Condition:
    """Return the condition over chunks that words are in one of them."""
    phrases = [phrase for text in words.texts if (phrase := TOKENS.words(text))]
    if not phrases:
        return Condition("FALSE")
    if words.distance is not None and len(phrases) > 1:
        near = _near(phrases, words.distance)
        everywhere = " & ".join(f"({_following(phrase)})" for phrase in phrases)
        return _even_where_crowded(Condition(f"words @@ ?::tsquery AND {near.sql}", (everywhere, *near.values)), phrases)
    (phrase,) = phrases[:1]
    found = Condition("words @@ ?::tsquery", (_following(phrase, is_beginning=words.is_beginning),))
    return found if len(phrase) == 1 else _even_where_crowded(found, phrases, is_beginning=words.is_beginning)


def _even_where_crowded(found: Condition, phrases: list[list[str]], *, is_beginning: bool = False) -> Condition:
    """Where places of words are not known, all words are enough: nobody hides a phrase behind many of its words."""
    lexemes = [_quoted(_lexeme(word)) for phrase in phrases for word in phrase]
    if is_beginning:
        lexemes[-1] = _beginning(phrases[-1][-1])
    return Condition(f"(({found.sql}) OR (is_crowded AND words @@ ?::tsquery))", (*found.values, " & ".join(lexemes)))


def _following(phrase: list[str], *, is_beginning: bool = False) -> str:
    lexemes = [_quoted(_lexeme(word)) for word in phrase]
    if is_beginning:
        lexemes[-1] = _beginning(phrase[-1])
    return " <-> ".join(lexemes)


def _near(phrases: list[list[str]], distance: int) -> Condition:
    """Return the condition that phrases are close to each other; as in FTS5, from the end of each to the begin of the last."""
    values: list[Any] = []
    parts = []
    for number, phrase in enumerate(phrases):
        first, *others = phrase
        rest = "".join(f" AND at + {after} = ANY (coalesce({_PLACES}, '{{}}'))" for after in range(1, len(phrase)))
        parts.append(f"SELECT {number} AS phrase, at, {len(phrase)} AS size FROM unnest({_PLACES}) AS at WHERE TRUE{rest}")
        values += [_lexeme(first), *map(_lexeme, others)]
    return Condition(
        f"EXISTS (WITH places AS MATERIALIZED ({' UNION ALL '.join(parts)}) SELECT 1 FROM places AS latest WHERE (SELECT"
        " count(DISTINCT phrase) FROM places WHERE at BETWEEN latest.at - size - ? AND latest.at) = ?)",
        (*values, distance, len(phrases)),
    )


_PLACES: Final = "(SELECT positions::integer[] FROM unnest(words) WHERE lexeme = ?)"


def _lexeme(word: str) -> str:
    data = word.encode()
    if len(data) <= _MAX_BYTES:
        return word
    return f"{data[:_MAX_BYTES].decode(errors='ignore')}{_LONG}{hashlib.blake2b(data, digest_size=16).hexdigest()}"


def _beginning(word: str) -> str:
    return f"{_quoted(word.encode()[:_MAX_BYTES].decode(errors='ignore'))}:*"


def _quoted(word: str) -> str:
    escaped = word.replace("\\", "\\\\").replace("'", "''")
    return f"'{escaped}'"
