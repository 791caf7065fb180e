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


@cache
def trees() -> list[tuple[str, ast.Module]]:
    return [(path.relative_to(SOURCES).as_posix(), ast.parse(path.read_text("utf-8"))) for path in sorted(SOURCES.rglob("*.py"))]


def is_logged(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or node.func.attr not in LEVELS:
        return False
    return isinstance(node.func.value, ast.Name) and node.func.value.id in {"log", "_log"}


def test_events_in_the_log_are_constant_words_and_have_fields() -> None:
    odd = []
    for path, tree in trees():
        for node in ast.walk(tree):
            if not is_logged(node) or path in PASSED_ON:
                continue
            assert isinstance(node, ast.Call)
            [*events] = node.args
            event = events[0].value if len(events) == 1 and isinstance(events[0], ast.Constant) else None
            if not isinstance(event, str) or not EVENT.fullmatch(event):
                odd.append(f"{path}:{node.lineno}: {ast.unparse(node)}")
    assert odd == []


def test_each_class_has_a_name_of_its_own() -> None:
    found = defaultdict(list)
    for path, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                found[node.name].append(f"{path}:{node.lineno}")
    assert {name: places for name, places in found.items() if len(places) > 1} == {}
