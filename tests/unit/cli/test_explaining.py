"""What ``doorward explain`` tells of a place, from the declarations alone."""

from __future__ import annotations

import pytest

import doorward.configuration
from doorward.cli.explaining import explained, lines
from doorward.tree.registry import Tree, discover


@pytest.fixture(scope="module")
def tree() -> Tree:
    return discover(doorward.configuration)


def told(tree: Tree, path: str) -> str:
    found = explained(tree, path)
    assert found is not None
    return "\n".join(line.text for line in lines(found))


def test_people_see_no_marks_of_documents(tree: Tree) -> None:
    for path in tree.endpoints:
        assert "`" not in told(tree, path), path


def test_title_scope_right_and_members_are_told(tree: Tree) -> None:
    shown = told(tree, "datetime/ntp_servers")
    assert shown.startswith("/api/configuration/datetime/ntp_servers: NTP servers\n")
    assert "Scope:      cluster: on a managed host it comes from Central Management" in shown
    assert "Privilege:  /special/basic" in shown
    assert '  [].selection  ("fqdn", required)' in shown
    assert '  [].selection  ("ip", required)' in shown
    assert "      Server certificate CA: With nts: an authority" in shown


@pytest.mark.parametrize("path", ["management/webinterface.timeout", "/api/configuration/management/webinterface#/timeout"])
def test_of_a_member_only_that_is_told(tree: Tree, path: str) -> None:
    found = explained(tree, path)
    assert found is not None
    assert [row["member"] for row in found["members"]] == ["timeout"]


def test_below_an_object_the_member_is_found_by_name(tree: Tree) -> None:
    found = explained(tree, "ssh/connections/some-key.server_address.address")
    assert found is not None
    members = {row["member"] for row in found["members"]}
    assert "server_address.address.value" in members
    assert all(member.startswith("server_address.address") for member in members)


@pytest.mark.parametrize("path", ["datetime/tinezone", "management/webinterface.timeou", "datetime/timezone/key"])
def test_what_is_not_there_is_not_explained(tree: Tree, path: str) -> None:
    assert explained(tree, path) is None
