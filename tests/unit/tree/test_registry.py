"""The folders are the tree."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

import pytest

from doorward.tree.nodes import Branch, Collection, ListSingleton, Singleton, WriteOnce
from doorward.tree.places import Place
from doorward.tree.registry import Tree, discover

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NODES = "from doorward.tree.nodes import Branch, Collection, ListSingleton, Singleton, WriteOnce\n"
MODULES = {
    "__init__": '"""The root."""\nNODE = Branch(privilege="/special/basic")\n',
    "b/__init__": "NODE = Branch(children={'m': Singleton(default=3, title='A line.')})\n",
    "b/z": "NODE = Singleton(default=1, render=lambda snapshot: [])\n",
    "b/_x": "NODE = Collection(default={'-1': {'name': 'one'}, '-2': {'name': 'two'}})\n",
    "b/Y": "NODE = ListSingleton(default=lambda machine: [machine])\n",
    "b/hidden": "NODE = Singleton(default=2, listed=False, also_at='/api/other')\n",
    "b/helper": "'''No endpoint: shared by its neighbours.'''\n",
    "a": "'''Written once.\n\nMore.\n'''\nNODE = WriteOnce(privilege='/special/secret')\n",
    "c": "NODE = Singleton(default={'x': 1}, read_only=True, reads=('x',))\n",
    "b/inner/__init__": "NODE = Branch(privilege='/special/inner')\n",
    "b/inner/leaf": "NODE = Singleton(default=None, reads=('x', 'y'))\n",
}


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tree]:
    for name, text in MODULES.items():
        path = tmp_path / "hanging_tree" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("NODE =", f"{NODES}NODE ="))
    monkeypatch.syspath_prepend(tmp_path)
    yield discover(importlib.import_module("hanging_tree"))
    for name in [name for name in sys.modules if name.startswith("hanging_tree")]:
        del sys.modules[name]


ROOT = "/api/configuration"


def test_a_folder_is_a_branch_and_a_module_an_endpoint(tree: Tree) -> None:
    assert {endpoint.path.removeprefix(ROOT): type(endpoint.node) for endpoint in tree} == {
        "": Branch,
        "/a": WriteOnce,
        "/b": Branch,
        "/b/Y": ListSingleton,
        "/b/_x": Collection,
        "/b/hidden": Singleton,
        "/b/inner": Branch,
        "/b/inner/leaf": Singleton,
        "/b/m": Singleton,
        "/b/z": Singleton,
        "/c": Singleton,
    }


def test_children_stand_in_byte_order_of_their_names(tree: Tree) -> None:
    assert list(tree[f"{ROOT}/b"].children) == ["Y", "_x", "hidden", "inner", "m", "z"]


def test_what_is_a_module_can_not_be_listed_by_its_branch_as_well(tree: Tree) -> None:
    branch = importlib.import_module("hanging_tree")
    branch.NODE = Branch(children={"a": Singleton(default=1)})  # type: ignore[attr-defined]
    with pytest.raises(TypeError, match="hanging_tree lists a, which is a module as well"):
        discover(branch)


def test_the_listed_children_leave_out_what_is_only_reachable(tree: Tree) -> None:
    assert [child.key for child in tree[f"{ROOT}/b"].listed] == ["Y", "_x", "inner", "m", "z"]
    assert tree.find(["b", "hidden"]) == (tree[f"{ROOT}/b/hidden"], "")


def test_a_second_spelling_leads_to_its_endpoint(tree: Tree) -> None:
    assert {other: endpoint.path for other, endpoint in tree.aliases.items()} == {"/api/other": f"{ROOT}/b/hidden"}


def test_a_privilege_is_inherited_until_another_is_given(tree: Tree) -> None:
    found = {path: tree[ROOT + path].privilege for path in ("", "/a", "/b", "/b/z", "/b/inner", "/b/inner/leaf")}
    assert found == {
        "": "/special/basic",
        "/a": "/special/secret",
        "/b": "/special/basic",
        "/b/z": "/special/basic",
        "/b/inner": "/special/inner",
        "/b/inner/leaf": "/special/inner",
    }


def test_the_docstring_of_the_module_is_kept(tree: Tree) -> None:
    assert tree.root.doc == "The root."
    assert tree[f"{ROOT}/a"].doc == "Written once.\n\nMore."


READ = ("GET", "HEAD", "OPTIONS")


@pytest.mark.parametrize(
    ("path", "methods", "of_objects"),
    [
        ("", READ, None),
        ("/a", ("OPTIONS", "POST"), READ),
        ("/b/_x", (*READ, "POST"), ("DELETE", *READ, "PUT")),
        ("/b/Y", (*READ, "POST", "PUT"), None),
        ("/b/z", (*READ, "PUT"), None),
        ("/c", READ, None),
    ],
)
def test_methods_follow_from_the_kind(
    tree: Tree, path: str, methods: tuple[str, ...], of_objects: tuple[str, ...] | None
) -> None:
    endpoint = tree[ROOT + path]
    assert endpoint.methods == methods
    assert endpoint.holds_objects == (of_objects is not None)
    if of_objects:
        assert endpoint.object_methods == of_objects


@pytest.mark.parametrize(
    ("segments", "found"),
    [
        ([], ("", "")),
        (["b"], ("/b", "")),
        (["b", "z"], ("/b/z", "")),
        (["b", "_x"], ("/b/_x", "")),
        (["b", "_x", "-1"], ("/b/_x", "-1")),
        (["b", "_x", "whatever"], ("/b/_x", "whatever")),
        (["a", "key"], ("/a", "key")),
        (["x"], 0),
        (["B"], 0),
        (["b", "x"], 1),
        (["b", "helper"], 1),
        (["b", "z", "more"], 2),
        (["b", "_x", "-1", "more"], 3),
        (["b", "x", "y", "z"], 1),
    ],
)
def test_a_path_leads_to_an_endpoint_or_to_its_first_segment_that_is_missing(tree: Tree, segments: list[str], found: Any) -> None:
    expected = found if isinstance(found, int) else (tree[ROOT + found[0]], found[1])
    assert tree.find(segments) == expected


def test_only_endpoints_with_an_effect_are_rendered(tree: Tree) -> None:
    assert [endpoint.path for endpoint in tree.rendering] == [f"{ROOT}/b/z"]


def test_it_is_known_who_reads_what(tree: Tree) -> None:
    assert tree.readers == {"x": (f"{ROOT}/b/inner/leaf", f"{ROOT}/c"), "y": (f"{ROOT}/b/inner/leaf",)}


def test_the_defaults_of_all_endpoints_make_the_first_configuration(tree: Tree) -> None:
    snapshot = tree.defaults("here")
    assert {path: document.value for path, document in snapshot.singletons.items()} == {
        f"{ROOT}/b/Y": ["here"],
        f"{ROOT}/b/hidden": 2,
        f"{ROOT}/b/inner/leaf": None,
        f"{ROOT}/b/m": 3,
        f"{ROOT}/b/z": 1,
        f"{ROOT}/c": {"x": 1},
    }
    objects = snapshot.objects(f"{ROOT}/b/_x")
    assert [(key, document.value) for key, document in objects.items()] == [("-1", {"name": "one"}), ("-2", {"name": "two"})]


def test_a_stored_body_is_read_with_the_model_of_its_endpoint(tree: Tree) -> None:
    assert tree.load(Place(f"{ROOT}/b/z"), 5).stored == b"5"
    assert tree.load(Place(f"{ROOT}/a", "key"), {"created": "x"}).value == {"created": "x"}
