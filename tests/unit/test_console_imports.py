"""The modules of the web console are imported one way: there is no circle of files, and none of folders."""

from __future__ import annotations

import re
from collections.abc import Iterable
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

SOURCES = Path(__file__).parents[2] / "console" / "src"
_IMPORTED = re.compile(r"""(?:\bfrom|\bimport\(|^import)\s*'(\.[^'?]*)""", re.MULTILINE)


def imports() -> list[tuple[Path, Path]]:
    """Return which file imports which, types included, without the endings of their names."""
    files = [file for file in SOURCES.rglob("*.ts*") if file.name != "schema.d.ts"]
    names = {file.with_suffix("") for file in files}
    found = []
    for file in files:
        for name in _IMPORTED.findall(file.read_text("utf-8")):
            to = (file.parent / name).resolve()
            to = to.with_suffix("") if to.suffix in {".ts", ".tsx"} else to
            if to in names:
                found.append((file.with_suffix("").relative_to(SOURCES), to.relative_to(SOURCES)))
    return found


def in_order(edges: Iterable[tuple[Path, Path]]) -> list[str]:
    """Return what is imported, each before whatever imports it."""
    graph: dict[Path, set[Path]] = {}
    for importer, imported in edges:
        graph.setdefault(importer, set()).add(imported)
    try:
        return [str(one) for one in TopologicalSorter(graph).static_order()]
    except CycleError as error:
        pytest.fail("imported in a circle: " + " ← ".join(map(str, error.args[1])))


def test_files_are_imported_one_way() -> None:
    order = in_order(imports())
    assert order.index("api/client") < order.index("routes") < order.index("main")


def test_folders_are_imported_one_way() -> None:
    folders = ((folder(file), folder(to)) for file, to in imports())
    order = in_order((one, other) for one, other in folders if one != other)
    way = [order.index(name) for name in ("api", "display", "forms", "frame", "routes")]
    assert way == sorted(way)


def folder(file: Path) -> Path:
    """Where a file is. What is in no folder counts by itself: it is above all, or for all."""
    return file.parent if file.parent.name else file
