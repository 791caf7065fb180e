"""Names and words of the code, which no linter looks at."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from functools import cache
from pathlib import Path

SOURCES = Path(__file__).resolve().parents[2] / "src" / "doorward"
LEVELS = frozenset({"critical", "debug", "error", "exception", "info", "warning"})
PASSED_ON = frozenset({"proxy/ssh/wire/failures.py"})
"""Modules that log events of their callers."""
EVENT = re.compile(r"[A-Za-z][^_{}\n]*[^.!?\s]")
"""An event in the log: words, without the values that belong into fields."""
SUPERLATIVE = re.compile(r"\b_?(?:FEWEST|HIGHEST|LARGEST|LEAST|LONGEST|LOWEST|MOST|SHORTEST|SMALLEST|WIDEST)(?:_[A-Z_]+)?\b")
"""Constants whose names say no more than that there is a limit."""


@cache
def named() -> tuple[list[tuple[str, ast.Call]], list[tuple[str, ast.ClassDef]]]:
    """What is logged, and the classes: each with the module that it is in. One walk finds both."""
    logged, classes = [], []
    for file in sorted(SOURCES.rglob("*.py")):
        path = file.relative_to(SOURCES).as_posix()
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and is_logged(node):
                logged.append((path, node))
            elif isinstance(node, ast.ClassDef):
                classes.append((path, node))
    assert len(logged) > 100
    assert len(classes) > 1000
    return logged, classes


def is_logged(node: ast.Call) -> bool:
    if not isinstance(node.func, ast.Attribute) or node.func.attr not in LEVELS:
        return False
    return isinstance(node.func.value, ast.Name) and node.func.value.id in {"log", "_log"}


def test_events_in_the_log_are_constant_words_and_have_fields() -> None:
    odd = []
    for path, node in named()[0]:
        if path in PASSED_ON:
            continue
        [*events] = node.args
        event = events[0].value if len(events) == 1 and isinstance(events[0], ast.Constant) else None
        if not isinstance(event, str) or not EVENT.fullmatch(event):
            odd.append(f"{path}:{node.lineno}: {ast.unparse(node)}")
    assert odd == []


def test_each_class_has_a_name_of_its_own() -> None:
    found = defaultdict(list)
    for path, node in named()[1]:
        found[node.name].append(f"{path}:{node.lineno}")
    assert {name: places for name, places in found.items() if len(places) > 1} == {}


def test_limits_are_called_by_what_they_are() -> None:
    odd = []
    for file in sorted(SOURCES.rglob("*.py")):
        found = SUPERLATIVE.findall(file.read_text("utf-8"))
        odd += [f"{file.relative_to(SOURCES).as_posix()}: {name}" for name in sorted(set(found))]
    assert odd == [], "a limit is MAX_… or MIN_…"
