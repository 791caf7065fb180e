"""Text that nodes, servers, targets and other programs said, made fit to be shown: the one function for it."""

from __future__ import annotations

import re
import unicodedata

_IGNORED = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")
"""Characters that Unicode calls printable and that show nothing, by Default_Ignorable_Code_Point, and the empty Braille cell."""


def plain(text: str | bytes, most: int | None = None) -> str:
    r"""Return a text as one line in which nothing steers a terminal, turns the direction of writing or stays unseen.

    Such characters are escaped, as ``\x1b``. With ``most``, for sentences, they become blanks, blanks in a row become one, and
    at most so many characters are left, the last of them ``…`` where something is missing.
    """
    words = text.decode(errors="replace") if isinstance(text, bytes) else text
    if words.isascii() and words.isprintable() and (most is None or len(words) <= most):
        return words if most is None else " ".join(words.split())
    if most is None:
        return "".join(one if is_visible(one) else f"\\x{ord(one):02x}" for one in words)
    line = " ".join("".join(one if is_visible(one) else " " for one in words[: 8 * most]).split())
    return line if len(line) <= most and len(words) <= 8 * most else line[: most - 1] + "…"


def is_visible(character: str) -> bool:
    """Whether a character shows something and steers nothing."""
    if character.isascii():
        return character.isprintable()
    return unicodedata.category(character)[0] not in "CZ" and not _IGNORED.match(character)
