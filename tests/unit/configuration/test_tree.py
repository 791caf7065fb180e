"""The whole tree at a glance: a change to it is always seen in review."""

from __future__ import annotations

from pathlib import Path

import pytest

import doorward.configuration
from doorward.transaction.startup import whole_tree
from doorward.tree.nodes import Branch, Collection, WriteOnce
from doorward.tree.registry import Endpoint, discover

GOLDEN = Path(__file__).with_name("tree.golden.txt")
TREE = discover(doorward.configuration)


def line(endpoint: Endpoint) -> str:
    """Path below the root, kind, whether it is in force, scope, what guards it, methods, and of objects; oddities."""
    node = endpoint.node
    path = endpoint.path.removeprefix("/api/configuration") or "/"
    force = "" if isinstance(node, Branch) else "supported" if node.supported else "later"
    methods = " ".join(endpoint.methods)
    if endpoint.holds_objects:
        methods += " | " + " ".join(endpoint.object_methods)
    oddities = ["unlisted"] * (not node.listed) + [f"also {node.also_at}"] * bool(node.also_at)
    if isinstance(node, Collection) and node.default:
        oddities.append(f"built in: {len(node.default)}")
    columns = f"{path:55} {type(node).__name__:13} {force:9} {node.scope:7} {endpoint.privilege:18} {methods}"
    return "; ".join([columns, *oddities]).rstrip()


def test_the_tree_is_the_one_that_was_agreed_on() -> None:
    assert [line(endpoint) for endpoint in TREE] == GOLDEN.read_text(encoding="utf-8").splitlines()


def test_the_first_level_is_that_of_the_contract() -> None:
    assert " ".join(endpoint.key for endpoint in TREE.root.listed) == (
        "aaa alerting datetime http ica local_services management mssql network passwords plugins policies private_keys "
        "rdp reporting ssh telnet troubleshooting vnc x509"
    )


@pytest.mark.parametrize("name", ["starling", "management/soap", "reporting/custom_subchapters"])
def test_what_the_contract_leaves_out_is_not_there(name: str) -> None:
    assert isinstance(TREE.find(name.split("/")), int)


@pytest.mark.parametrize("endpoint", list(TREE), ids=lambda endpoint: endpoint.path)
def test_every_endpoint_says_what_it_is_and_who_may_use_it(endpoint: Endpoint) -> None:
    assert endpoint.doc
    assert endpoint.privilege.startswith("/special/")
    if endpoint.node.supported and not isinstance(endpoint.node, Branch):
        assert endpoint.node.title


@pytest.mark.parametrize(
    ("branch", "privilege"),
    [
        ("aaa", "auth"),
        ("alerting", "basic"),
        ("datetime", "basic"),
        ("http", "http"),
        ("ica", "ica"),
        ("local_services", "basic"),
        ("management", "basic"),
        ("mssql", "mssql"),
        ("network", "basic"),
        ("plugins", "pol"),
        ("policies", "pol"),
        ("rdp", "rdp"),
        ("reporting", "report"),
        ("ssh", "ssh"),
        ("telnet", "telnet"),
        ("troubleshooting", "basic"),
        ("vnc", "vnc"),
    ],
)
def test_each_branch_is_guarded_by_its_object(branch: str, privilege: str) -> None:
    found = {endpoint.privilege for endpoint in TREE if endpoint.path.startswith(f"/api/configuration/{branch}")}
    assert found == {f"/special/{privilege}"}


def test_the_paths_that_modules_name_are_their_own() -> None:
    for endpoint in TREE:
        if (
            endpoint.parent is not None
            and isinstance(endpoint.parent.node, Branch)
            and endpoint.key in endpoint.parent.node.children
        ):
            continue  # a line of its branch's module
        module = doorward.configuration.__name__ + endpoint.path.removeprefix("/api/configuration").replace("/", ".")
        named = getattr(__import__(module, fromlist=["PATH"]), "PATH", endpoint.path)
        assert named == endpoint.path


def test_what_reads_other_endpoints_names_ones_that_exist() -> None:
    assert {path for endpoint in TREE for path in endpoint.node.reads} <= set(whole_tree().endpoints)


def test_secrets_belong_to_their_owner() -> None:
    assert {endpoint.node.scope for endpoint in TREE if isinstance(endpoint.node, WriteOnce)} == {"owner"}
