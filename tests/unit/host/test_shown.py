"""What stands at a path, in words."""

from __future__ import annotations

import pytest

from doorward.host.files import FileEntry
from doorward.host.shown import MAX_LINES, described, difference


def file(text: str | bytes, mode: int = 0o644) -> FileEntry:
    return FileEntry(text.encode() if isinstance(text, str) else text, mode)


@pytest.mark.parametrize(
    ("entry", "text"),
    [(None, "nothing"), (FileEntry(target="/a\x1b"), "a link to /a?"), (file("abc", 0o600), "a file of 3 bytes, mode 0600")],
)
def test_what_is_there_is_said_on_one_line(entry: FileEntry | None, text: str) -> None:
    assert described(entry) == text


def test_texts_are_compared_line_by_line() -> None:
    assert difference(file("a\nb\n"), file("a\nc\n", 0o600)).splitlines() == [
        "mode 0600 instead of 0644", "--- expected", "+++ found", "@@ -1,2 +1,2 @@", " a", "-b", "+c",
    ]  # fmt: skip
    assert difference(file("a\n"), file("a")) == "a file of 1 bytes, mode 0644"
    assert difference(file("a"), file(b"\xff")) == "a file of 1 bytes, mode 0644"
    assert difference(file("a"), None) == "nothing"


@pytest.mark.parametrize(
    "line",
    ["password = hunter2", "Secret: hunter2", "key 7 SHA1 hunter2", "private-key=hunter2", "  token hunter2", "psk: hunter2"],
)
def test_secrets_are_masked_on_both_sides(line: str) -> None:
    shown = difference(file(f"{line}\n"), file("x\n")) + difference(file("x\n"), file(f"{line}\n"))
    assert "hunter2" not in shown
    assert shown.count("***") == 2


def test_what_differs_in_secrets_alone_is_still_said_to_differ() -> None:
    assert difference(file("password: one\n"), file("password: two\n")) == "a file of 14 bytes, mode 0644"


def test_it_is_never_more_than_a_page() -> None:
    shown = difference(file("".join(f"{n}\n" for n in range(10_000))), file("\x1b" * 10_000 + "\n" * 10_000))
    assert len(shown.splitlines()) <= 2 * MAX_LINES
    assert max(map(len, shown.splitlines())) <= 301
    assert "\x1b" not in shown
