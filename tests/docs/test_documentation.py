"""The documents say what is there: every node, command and error type has its heading, and the reference is fresh."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer

import doorward
import doorward.configuration
from doorward.api import errors
from doorward.cli.main import app
from doorward.cli.reference import manual
from doorward.tree.registry import discover

DOCS = Path(__file__).parents[2] / "docs"


def test_reference_is_what_the_declarations_say() -> None:
    assert (DOCS / "reference.md").read_text() == manual(), "make docs"


@pytest.mark.parametrize("path", [endpoint.path for endpoint in discover(doorward.configuration)])
def test_every_node_has_its_heading(path: str) -> None:
    assert f"\n## {path}\n" in (DOCS / "reference.md").read_text()


def test_every_endpoint_says_what_it_is() -> None:
    assert [endpoint.path for endpoint in discover(doorward.configuration) if len(endpoint.doc) < 4] == []


def test_every_command_has_its_heading() -> None:
    names = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    text = (DOCS / "operations.md").read_text()
    assert [name for name in names if f"\n## doorward {name}\n" not in text] == []


def test_every_error_type_has_its_heading() -> None:
    types = set(re.findall(r'ApiError\(\d+, "(\w+)"', Path(errors.__file__).read_text()))
    assert len(types) > 15
    text = (DOCS / "api.md").read_text()
    assert [name for name in sorted(types) if f"\n### {name}\n" not in text] == []


def test_every_code_is_named() -> None:
    made = r'\b(?:HostRefusedError|Problem|PydanticCustomError|refusal|wrong)\(\s*"([a-z_]+)"'
    sources = Path(doorward.__file__).parent.rglob("*.py")
    codes = {code for source in sources for code in re.findall(made, source.read_text())} - {"kept"}  # an error raised again
    assert len(codes) > 60
    text = (DOCS / "api.md").read_text()
    assert [code for code in sorted(codes) if f"`{code}`" not in text] == []
