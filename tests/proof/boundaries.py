"""Finds in the sources what makes something durable: every sync, every new name, every transaction of the store."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

SOURCES = Path(__file__).parents[2] / "src"
Kind = Literal["sync", "name", "commit"]
_SYNCS = {"fsync", "fdatasync", "sync_directory", "_sync_directory"}
_NAMES = {"rename", "replace", "link"}
HELPERS = {"sync_directory", "_sync_directory"}
"""What they do counts where they are called."""


@dataclass(frozen=True)
class Boundary:
    """One call that makes something durable, by module, function and its place among those of the function."""

    kind: Kind
    module: str
    function: str
    number: int
    first: int
    last: int

    @property
    def name(self) -> str:
        """How the table calls it."""
        more = f" {self.number}" if self.number > 1 else ""
        return f"{self.kind} {self.module.removeprefix('doorward.')}:{self.function}{more}"


@cache
def boundaries() -> tuple[Boundary, ...]:
    """Return all of them, in the order of the sources."""
    return tuple(found for path in sorted(SOURCES.rglob("*.py")) for found in _of(path))


def _of(path: Path) -> Iterator[Boundary]:
    module = ".".join(path.relative_to(SOURCES).with_suffix("").parts).removesuffix(".__init__")
    for function, node in _functions(ast.parse(path.read_text()), ""):
        counts: dict[Kind, int] = {}
        for call in _calls(node):
            kind = _kind(call, module)
            if kind is not None and function not in HELPERS:
                counts[kind] = counts.get(kind, 0) + 1
                yield Boundary(kind, module, function, counts[kind], call.lineno, call.end_lineno or call.lineno)


def _functions(node: ast.AST, above: str) -> Iterator[tuple[str, ast.AST]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            name = f"{above}{child.name}"
            if not isinstance(child, ast.ClassDef):
                yield name, child
            yield from _functions(child, f"{name}.")
        else:
            yield from _functions(child, above)


def _calls(node: ast.AST) -> Iterator[ast.Call]:
    """Yield the calls of a function, in their order, without those of functions inside it."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        if isinstance(child, ast.Call):
            yield child
        yield from _calls(child)


def _kind(call: ast.Call, module: str) -> Kind | None:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else call.func.id if isinstance(call.func, ast.Name) else ""
    if name in _SYNCS:
        return "sync"
    if name == "_write" and module.startswith("doorward.store."):
        return "commit"
    if name == "execute" and module.startswith("doorward.sessions.catalogue.") and _says(call, "COMMIT"):
        return "commit"
    if name in _NAMES and isinstance(call.func, ast.Attribute) and _is_of_files(call, call.func):
        return "name"
    return None


def _is_of_files(call: ast.Call, function: ast.Attribute) -> bool:
    """Whether it gives a file another name, and no text other letters or a value other members."""
    if isinstance(function.value, ast.Name) and function.value.id == "os":
        return True
    return len(call.args) == 1 and not call.keywords and not isinstance(call.args[0], ast.Starred)


def _says(call: ast.Call, text: str) -> bool:
    return bool(call.args) and isinstance(call.args[0], ast.Constant) and call.args[0].value == text
