"""The life of a commit as a diagram (docs/architecture.md has it in words)."""

from __future__ import annotations

from scripts.pictures.drawing import BLUE, DIM, GREEN, PLAIN, RED, YELLOW, element, picture, text

STEPS = (
    ("merge", "onto what runs"),
    ("rules", "all that is wrong"),
    ("plan", "effects on the host"),
    ("journal", "synced to the disk"),
    ("apply", "each with inverse"),
    ("verify", "the host is asked"),
    ("publish", "one transaction"),
)
"""The steps, and what is particular about each."""
_BEFORE, _TOUCHED = 3, 4
"""The steps that only look; the first one that touches the host."""
_WIDTH, _HEIGHT, _LEFT, _GAP = 118, 50, 20, 16
_TOP = 62
_STEP = _WIDTH + _GAP


def diagram() -> str:
    """Return the picture."""
    width = 2 * _LEFT + len(STEPS) * _STEP - _GAP
    boxes = [part for index, step in enumerate(STEPS) for part in _box(index, *step)]
    arrows = [_arrow(_x(index) - _GAP + 2, _TOP + 25, _x(index) - 3) for index in range(1, len(STEPS))]
    under = _TOP + _HEIGHT
    return picture(
        width,
        250,
        "The life of a commit: merge, rules, plan, journal, apply, verify, publish; refused or put back where a step fails",
        text('PUT /api/transaction  {"status": "commit"}', _LEFT, 34, fill=BLUE),
        text("200: durable, in effect, proven", _right(6), 34, fill=GREEN, text_anchor="end"),
        *boxes,
        *arrows,
        _brace(0, _BEFORE - 1, under + 44, YELLOW),
        text("409, 400: nothing was touched;", _x(0), under + 66, fill=YELLOW),
        text("the places that are wrong, all of them", _x(0), under + 84, fill=YELLOW),
        _brace(_BEFORE, len(STEPS) - 1, under + 44, RED),
        text("500: everything is put back; which setting, which step, why", _x(_BEFORE), under + 66, fill=RED),
        text("kill -9, power cut: at the next start the journal decides,", _x(_BEFORE), under + 96, fill=PLAIN),
        text("the old revision or the new one, never between", _x(_BEFORE), under + 114, fill=PLAIN),
        style=".small { font-size: 10px }\n.step { font-weight: bold }",
    )  # fmt: skip


def _box(index: int, name: str, why: str) -> list[str]:
    x, colour = _x(index), BLUE if index < _TOUCHED else GREEN
    middle = {"text_anchor": "middle"}
    return [
        element("rect", x=x, y=_TOP, width=_WIDTH, height=_HEIGHT, rx=6, fill="none", stroke=colour),
        text(name, x + _WIDTH / 2, _TOP + 22, class_="step", **middle),
        text(why, x + _WIDTH / 2, _TOP + 39, class_="small", fill=DIM, **middle),
    ]


def _arrow(start: float, y: float, end: float) -> str:
    return element("path", d=f"M{start:g} {y:g}H{end:g}m-4 -3l4 3l-4 3", stroke=DIM, fill="none")


def _brace(first: int, last: int, y: float, colour: str) -> str:
    return element("path", d=f"M{_x(first)} {y - 30:g}v10H{_right(last)}v-10", stroke=colour, fill="none")


def _x(index: int) -> int:
    return _LEFT + index * _STEP


def _right(index: int) -> int:
    return _x(index) + _WIDTH
