"""What stands at a path, in words: how it differs from what should, without secrets, never more than a page."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from doorward.host.files import FileEntry

MAX_LINES: Final = 200
"""Lines of each side that are compared, and of what is shown."""
_MAX_WIDTH: Final = 300
_SECRET = re.compile(r"(?i)\b(pass(?:word|wd|phrase)?|secret|psk|token|(?:private|shared)?[ _-]?key)(\s*[:=]\s*|\s+)\S.*")
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")


def described(entry: FileEntry | None) -> str:
    """What stands at a path, on one line."""
    if entry is None:
        return "nothing"
    if entry.target is not None:
        return f"a link to {_plain(entry.target)}"
    return f"a file of {len(entry.content)} bytes, mode {entry.mode:04o}"


def difference(expected: FileEntry | None, found: FileEntry | None) -> str:
    """How what was found differs: for two texts a unified diff, else what was found."""
    if expected is None or found is None or expected.target is not None or found.target is not None:
        return described(found)
    lines = [f"mode {found.mode:04o} instead of {expected.mode:04o}"] if found.mode != expected.mode else []
    try:
        texts = [entry.content.decode().splitlines() for entry in (expected, found)]
    except UnicodeDecodeError:
        texts = []
        lines.append(described(found))
    if texts and texts[0] != texts[1]:
        sides = [[_masked(line) for line in text[:MAX_LINES]] for text in texts]
        lines += difflib.unified_diff(sides[0], sides[1], "expected", "found", lineterm="")
        if any(len(text) > MAX_LINES for text in texts) or sides[0] == sides[1]:
            lines.append(described(found))
    elif texts and expected.content != found.content:
        lines.append(described(found))
    return "\n".join(lines[: 2 * MAX_LINES])


def _masked(line: str) -> str:
    return _plain(_SECRET.sub(r"\1\2***", line))


def _plain(text: str) -> str:
    return _UNPRINTABLE.sub("?", text)[:_MAX_WIDTH]
