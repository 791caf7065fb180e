"""What a session sent never reaches the terminal of whoever watches: it is drawn."""

from __future__ import annotations

import io
import re

import pytest

from doorward.cli.player import Player, play
from doorward.recording.terminal import AvtTerminal

HOSTILE = (
    "\x1b]0;title\x07\x1b]52;c;aGVsbG8=\x07\x1b[c\x1b[6n\x1b[>q\x1b[21t\x1b[?1000h\x1b[?2004h\x1b[5i\x05\x1bPq#0\x1b\\\x9b6n\x9d0;x\x9c"
    "\x1b[20t\x1b[?1003h\x1b_Gx\x1b\\plain \x1b[31mred\x1b[0m"
)
HARMLESS = re.compile(r"\x1b\[[0-9;?]*[A-HJKXbdfhlmrsu]|\x1b[78=>]|\x1b\([0B]|[\r\n\t\x0e\x0f]")
"""Moving about, colours, repeating, margins; no strings, no requests."""


def output_of(*events: tuple[float, str, str], columns: int = 40, rows: int = 5) -> str:
    out = io.StringIO()
    play(events, Player(columns, rows, out), 1000, 0, lambda _: None)
    return out.getvalue()


def test_it_shows_what_the_session_showed() -> None:
    shown = output_of((0, "o", "$ "), (1, "o", "ls\r\nnotes.txt\r\n"))
    terminal = AvtTerminal(80, 24)
    terminal.feed(shown.encode())
    assert terminal.lines()[:2] == ["$ ls", "notes.txt"]


def test_nothing_of_a_session_steers_the_terminal() -> None:
    shown = output_of((0, "o", HOSTILE))
    assert "plain" in shown
    assert "red" in shown
    for word in (
        "title",
        "aGVsbG8",
        "]52",
        "\x05",
        "[c",
        "[6n",
        "[>q",
        "1000h",
        "1003h",
        "2004h",
        "21t",
        "[5i",
        "\x9b",
        "\x9d",
        "\x1bP",
        "\x1b_",
    ):
        assert word not in shown, word
    rest = HARMLESS.sub("", shown)
    assert all(letter.isprintable() for letter in rest), repr(rest)


def test_sizes_change_and_odd_ones_do_no_harm() -> None:
    shown = output_of((0, "r", "60x10"), (0, "o", "x" * 50), (0, "r", "0x0"), (0, "r", "xx"), (0, "r", "9" * 30), (0, "z", "?"))
    assert "x" * 50 in shown or re.search(r"x\x1b\[49b", shown), repr(shown)


def test_the_pace_is_that_of_the_session() -> None:
    slept: list[float] = []
    events = [(0.0, "o", "a"), (1.0, "o", "b"), (11.0, "o", "c"), (11.0, "o", "d")]
    play(events, Player(10, 2, io.StringIO()), 2.0, 3.0, slept.append)
    assert slept == [0.5, 1.5]


def test_the_terminal_is_left_as_it_was_found() -> None:
    out = io.StringIO()

    def broken() -> object:
        yield 0.0, "o", "\x1b[?25l\x1b[?1hx"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        play(broken(), Player(10, 2, out), 1, 1)  # type: ignore[arg-type]
    assert out.getvalue().endswith("\n")
    assert "\x1b[?1l\x1b[0m\x1b[r\x1b[?25h" in out.getvalue()
