"""The diagram of the architecture is that of the code."""

from __future__ import annotations

from scripts.architecture.diagram import DOCUMENT, document, floors, imports, reduced


def test_the_diagram_is_current() -> None:
    assert DOCUMENT.read_text("utf-8") == document(), "run: python -m scripts.architecture"


def test_every_package_stands_on_a_floor_and_builds_on_lower_ones() -> None:
    stands = {name: number for number, names in enumerate(floors()) for name in names}
    assert imports().keys() <= stands.keys()
    assert [(name, to) for name, found in imports().items() for to in found if stands[to] <= stands[name]] == []


def test_what_others_imply_is_left_out() -> None:
    assert reduced({"a": {"b", "c"}, "b": {"c"}}) == {"a": {"b"}, "b": {"c"}}
