"""How text is cut into words, and how words are looked for in it: as FTS5 of SQLite does, whatever engine keeps the sessions."""

from __future__ import annotations

from typing import Final

from doorward.sessions.catalogue.criteria import Words

TOKENIZER: Final = "unicode61 remove_diacritics 2"


def expression(words: Words) -> str:
    """Return words as an expression of FTS5."""
    texts = [_quoted(text) for text in words.texts]
    if words.distance is not None:
        return f"NEAR({' '.join(texts)}, {words.distance})"
    return f"{texts[0]} *" if words.is_beginning else texts[0]


def _quoted(text: str) -> str:
    escaped = text.replace('"', '""').replace("\0", " ")
    return f'"{escaped}"'
