"""Regular expressions that administrators write and users' words are matched against: in linear time, whatever both are (RE2).

RE2 has no look-ahead, no look-behind and no references back; that is the price. https://github.com/google/re2/wiki/Syntax
It is imported when the first expression comes: few servers have any.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

MAX_TEXT: Final = 16_384
"""Characters that are matched; what is longer matches nothing."""
MAX_MEMORY: Final = 128 << 10
"""Bytes of an expression and of its states while it is at work: what it can cost is in proportion."""
_SHOWN = 100


class ExpressionError(ValueError):
    """It is no regular expression of RE2, or too large a one. The message says why."""


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> Any:
    """Return an expression. Raises ExpressionError."""
    import re2

    options = re2.Options()
    options.max_mem, options.log_errors, options.never_capture, options.dot_nl = MAX_MEMORY, False, True, True
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        said = error.args[0] if error.args else ""
        raise ExpressionError((said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said))[:_SHOWN]) from None
    except UnicodeEncodeError:
        raise ExpressionError("it is no text") from None


def check_expression(pattern: str) -> None:
    """Raise ExpressionError unless a text is a regular expression."""
    _compiled(pattern)


def is_whole_match(pattern: str, text: str) -> bool:
    """Whether an expression matches the whole of a text; ``.`` is any character. One that is none matches nothing."""
    if len(text) > MAX_TEXT:
        return False
    try:
        return _compiled(pattern).fullmatch(text) is not None
    except (ExpressionError, UnicodeEncodeError):
        return False
