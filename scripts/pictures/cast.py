"""Half a minute at the command line: recorded from a real node as text, drawn from that text.

The record, ``docs/pictures/cast.json``, has what was typed and what came, colours as a terminal gets them. Drawing it again gives
the same picture, on every machine.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.style import Style
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from scripts.pictures.drawing import BLUE, DIM, FRAME, GREEN, PLAIN, RED, YELLOW, element, picture, text

COLUMNS, ROWS = 92, 24
_CELL, _LINE, _LEFT, _TOP = 8.43, 19, 18, 48
_TYPING_SECONDS, _CHUNK = 0.09, 3
"""How long some typed characters take, and how many they are."""
_READ_SECONDS, _LINE_SECONDS = 1.1, 0.16
"""How long output stays before the next thing is typed, and how much longer for each line."""
_END_SECONDS = 4.0


def _colour(name: str) -> tuple[int, int, int]:
    return int(name[1:3], 16), int(name[3:5], 16), int(name[5:], 16)


_THEME = TerminalTheme(
    (20, 25, 31), _colour(PLAIN), [_colour(one) for one in (FRAME, RED, GREEN, YELLOW, BLUE, BLUE, BLUE, PLAIN)]
)  # fmt: skip


@dataclass(frozen=True)
class Piece:
    """What was typed, or what came in answer to it."""

    typed: bool
    text: str


@dataclass
class Shown:
    """Some characters of a row: where, in which style, and when they appear, in seconds from the start."""

    row: int
    column: int
    text: str
    style: Style
    at: float


def load(path: Path) -> list[Piece]:
    """Return a record."""
    return [Piece(**piece) for piece in json.loads(path.read_text(encoding="utf-8"))]


def save(path: Path, pieces: list[Piece]) -> None:
    """Write a record."""
    path.write_text(json.dumps([vars(piece) for piece in pieces], indent=1) + "\n", encoding="utf-8")


def cast(pieces: list[Piece]) -> str:
    """Return the picture of a record."""
    shown, seconds = _timed(pieces)
    moments = sorted({one.at for one in shown if one.at})
    names = {moment: f"t{number}" for number, moment in enumerate(moments)}
    rules = [f"@keyframes {names[at]} {{ 0% {{ opacity: 0 }} {_percent(at, seconds)} {{ opacity: 1 }} }}" for at in moments]
    rules += [f".{name} {{ animation: {name} {seconds:g}s step-end infinite }}" for name in names.values()]
    scrolls = [(at, max(one.row for one in shown if one.at <= at) - ROWS + 1) for at in moments]
    frames = " ".join(
        f"{_percent(at, seconds)} {{ transform: translateY({-_LINE * rows}px) }}" for at, rows in scrolls if rows > 0
    )
    last = max(scrolls[-1][1], 0)
    rules += [f"@keyframes scroll {{ 0% {{ transform: none }} {frames} }}"]
    rules += [f".screen {{ transform: translateY({-_LINE * last}px); animation: scroll {seconds:g}s step-end infinite }}"]
    rules += ["@media (prefers-reduced-motion: reduce) { * { animation: none !important } }"]
    lines = "\n".join(_drawn(one, names.get(one.at)) for one in shown)
    width, height = round(2 * _LEFT + COLUMNS * _CELL), _TOP + ROWS * _LINE
    window = element("rect", x=0, y=_TOP - _LINE + 5, width=width, height=height - _TOP + _LINE - 13)
    return picture(
        width,
        height,
        "A time server is set at the command line: the difference, the effect on the host, the proof, the history, the way back",
        element("clipPath", window, id="window"),
        *(element("circle", cx=22 + 18 * number, cy=17, r=5, fill=colour) for number, colour in enumerate((RED, YELLOW, GREEN))),
        element("g", element("g", f"\n{lines}\n", class_="screen"), clip_path="url(#window)"),
        style="\n".join(rules),
    )


def _timed(pieces: list[Piece]) -> tuple[list[Shown], float]:
    """Return what is shown when, and how long all of it takes."""
    shown: list[Shown] = []
    row = column = 0
    at = 0.0
    for piece in pieces:
        if piece.typed:
            line = piece.text.removesuffix("\n")
            for start in range(0, len(line), _CHUNK):
                shown.append(Shown(row, column + start, line[start : start + _CHUNK], Style(bold=True), at))
                at += _TYPING_SECONDS
            column += len(line)
        else:
            came = _output(piece.text, row, column, at)
            shown += came
            lines = piece.text.count("\n")
            column = 0 if lines else column
            column += Text.from_ansi(piece.text.rpartition("\n")[2]).cell_len
            row += lines
            at += _READ_SECONDS + _LINE_SECONDS * lines
        if piece.typed and piece.text.endswith("\n"):
            row, column = row + 1, 0
    return shown, at + _END_SECONDS


def _output(ansi: str, row: int, column: int, at: float) -> Iterator[Shown]:
    console = Console(width=COLUMNS, color_system="truecolor")
    for number, line in enumerate(ansi.split("\n")):
        place = 0 if number else column
        for segment in Text.from_ansi(line).render(console):
            if segment.text.strip():
                yield Shown(row + number, place, segment.text, segment.style or Style(), at)
            place += len(segment.text)


def _percent(at: float, seconds: float) -> str:
    return f"{100 * at / seconds:.2f}%"


def _drawn(one: Shown, name: str | None) -> str:
    """Return some characters; their width is set, so that every font gives the same columns."""
    style: dict[str, object] = {"textLength": f"{len(one.text) * _CELL:.1f}", "lengthAdjust": "spacingAndGlyphs"}
    if name:
        style["class_"] = name
    if one.style.color:
        style["fill"] = one.style.color.get_truecolor(_THEME).hex
    elif one.style.dim:
        style["fill"] = DIM
    if one.style.bold:
        style["font_weight"] = "bold"
    return text(one.text, round(_LEFT + one.column * _CELL, 1), _TOP + one.row * _LINE, **style)
