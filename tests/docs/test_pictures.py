"""The pictures of the documentation are what their scripts draw, and shown where they should be."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.pictures.__main__ import FOLDER, RECORD, pictures
from scripts.pictures.cast import load
from scripts.pictures.diagram import STEPS

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ["cast.svg", "commit.svg"])
def test_a_picture_is_what_its_script_draws(name: str) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8") == pictures()[name], "run `make pictures`"
    assert f"docs/pictures/{name}" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_cast_shows_a_time_server_that_answers() -> None:
    came = "".join(piece.text for piece in load(RECORD) if not piece.typed)
    assert "selected" in came
    assert "Traceback" not in came


def test_the_diagram_has_the_steps_of_the_architecture() -> None:
    architecture = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    assert f"candidate → {' → '.join(name for name, _ in STEPS)}" in architecture
