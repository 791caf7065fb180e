"""The diagram in ``docs/architecture.md``: floors from the import contract, arrows from the imports in the code."""

from __future__ import annotations

import ast
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs" / "architecture.md"
BEGIN, END = "<!-- diagram: python -m scripts.architecture -->\n", "<!-- end of the diagram -->\n"
_SOURCES = ROOT / "src" / "doorward"

Graph = Mapping[str, AbstractSet[str]]
"""Which packages each package imports."""


def floors() -> list[list[str]]:
    """Return the floors of the import contract that there are, from the top; each with its packages."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    named = ([name.strip() for name in layer.split("|")] for layer in layers)
    return [there for names in named if (there := [name for name in names if (_SOURCES / name).is_dir()])]


@cache
def imports() -> Graph:
    """Return who imports whom, wherever in a module that is."""
    found = defaultdict[str, set[str]](set)
    for path in _SOURCES.rglob("*.py"):
        package, *inner = path.relative_to(_SOURCES).parts
        if not inner:  # what starts the command
            continue
        for module in _imported(ast.parse(path.read_text("utf-8"))):
            _, *rest = module.split(".")
            if rest and rest[0] != package and (_SOURCES / rest[0]).is_dir():
                found[package].add(rest[0])
    return found


def _imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module] if node.module != "doorward" else [f"doorward.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        yield from (name for name in names if name.split(".")[0] == "doorward")


def reduced(graph: Graph) -> dict[str, set[str]]:
    """Return a graph without circles less its arrows that others imply: to what is imported by what is imported."""
    below: dict[str, set[str]] = {}

    def reach(name: str) -> set[str]:
        if name not in below:
            below[name] = set().union(*({one} | reach(one) for one in graph.get(name, ())))
        return below[name]

    return {
        name: {one for one in to if not any(one in reach(other) for other in to if other != one)} for name, to in graph.items()
    }


def diagram() -> str:
    """Return the diagram as Mermaid, between its marks."""
    arrows = reduced(imports())
    lines = ["flowchart TD"]
    for number, names in enumerate(floors()):
        lines.append(f'  subgraph floor{number}[" "]')
        lines += [f"    {name}" for name in names]
        lines.append("  end")
    lines += [f"  {name} --> {to}" for name in sorted(arrows) for to in sorted(arrows[name])]
    return "\n".join([BEGIN + "```mermaid", *lines, "```", END])


def document() -> str:
    """Return the document with the diagram as it is now. Raises ValueError where it has no place for it."""
    text = DOCUMENT.read_text("utf-8")
    before, _, rest = text.partition(BEGIN)
    _, mark, after = rest.partition(END)
    if not mark:
        raise ValueError(f"{DOCUMENT.name} has no place for the diagram.")
    return before + diagram() + after
