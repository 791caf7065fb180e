"""Configuration resources as bytes: neighbours, shapes, tags, and what is encoded once only."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from doorward.api.encoding import encoded, with_warnings
from doorward.host.machine import Machine
from doorward.tree.jsontext import encode
from doorward.tree.nodes import Branch, Collection, WriteOnce
from doorward.tree.registry import Endpoint
from doorward.tree.snapshot import Snapshot, etag
from tests.unit.transaction.rig import GOOD_PASSWORD, GROUPS, PASSWORDS, ROOT, SERVERS, TREE, USERS, Rig

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FRESH = TREE.defaults(Machine())
SHOWN = [endpoint for endpoint in TREE if not isinstance(endpoint.node, WriteOnce)]


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path)
    yield made
    made.close()


def name(endpoint: Endpoint) -> str:
    return endpoint.path


def read(snapshot: Snapshot, endpoint: Endpoint, key: str = "", seconds: int = 600) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(with_warnings(encoded(snapshot, endpoint, key), seconds, []))
    return found


def neighbours(answer: dict[str, Any]) -> tuple[Any, ...]:
    meta = answer["meta"]
    return tuple(meta[member] for member in ("first", "previous", "next", "last"))


@pytest.mark.parametrize("endpoint", SHOWN, ids=name)
def test_an_answer_is_canonical_and_has_the_shape_of_its_kind(endpoint: Endpoint) -> None:
    raw = with_warnings(encoded(FRESH, endpoint, ""), 412, [])
    answer = json.loads(raw)
    assert encode(answer) == raw
    listed = isinstance(endpoint.node, (Branch, Collection))
    assert set(answer) == ({"items", "meta"} if listed else {"body", "key", "meta"})
    assert answer["meta"]["href"] == endpoint.path
    assert answer["meta"]["parent"] == (endpoint.parent.path if endpoint.parent else None)
    assert answer["meta"]["remaining_seconds"] == 412
    assert answer["meta"]["transaction"] == "/api/transaction"
    assert encoded(FRESH, endpoint, "").etag == etag(encode(answer["items" if listed else "body"]))
    if not listed:
        assert answer["key"] == endpoint.key


@pytest.mark.parametrize("endpoint", [e for e in SHOWN if isinstance(e.node, Branch)], ids=name)
def test_the_children_of_a_branch_are_each_others_neighbours(endpoint: Endpoint) -> None:
    items = read(FRESH, endpoint)["items"]
    hrefs = [item["meta"]["href"] for item in items]
    assert [item["key"] for item in items] == [href.rpartition("/")[2] for href in hrefs]
    assert hrefs == sorted(hrefs)
    assert all(set(item) == {"key", "meta"} and set(item["meta"]) == {"href"} for item in items)
    chain: list[str | None] = [None, *hrefs, None]
    for index, href in enumerate(hrefs, 1):
        if not isinstance(TREE[href].node, WriteOnce):
            assert neighbours(read(FRESH, TREE[href])) == (hrefs[0], chain[index - 1], chain[index + 1], hrefs[-1])


def test_the_root_is_its_own_neighbour() -> None:
    root = ROOT.rstrip("/")
    assert neighbours(read(FRESH, TREE.root)) == (root, None, None, root)
    assert read(FRESH, TREE.root)["meta"]["parent"] is None


def test_what_is_not_listed_stands_beside_the_row() -> None:
    branch = ROOT + "management"
    answer = read(FRESH, TREE[branch + "/accounting"])
    listed = TREE[branch].listed
    assert neighbours(answer) == (listed[0].path, None, None, listed[-1].path)
    assert listed[0].key == "certificates"


def test_an_only_child_points_at_itself() -> None:
    href = ROOT + "management/snmp/trap"
    assert neighbours(read(FRESH, TREE[href])) == (href, None, None, href)


def test_objects_are_neighbours_in_the_order_of_the_list(rig: Rig) -> None:
    candidate = rig.candidate()
    keys = [rig.post(candidate, USERS, {"name": f"u{number}"}) for number in range(3)]
    rig.delete(candidate, USERS, keys[1])
    endpoint, base = TREE[ROOT + USERS], ROOT + USERS
    order = ["-1", keys[0], keys[2]]
    hrefs = [f"{base}/{key}" for key in order]
    answer = read(candidate.snapshot, endpoint)
    assert [item["meta"]["href"] for item in answer["items"]] == hrefs
    assert all(set(item) == {"body", "key", "meta"} for item in answer["items"])
    chain: list[str | None] = [None, *hrefs, None]
    for index, key in enumerate(order):
        one = read(candidate.snapshot, endpoint, key)
        assert neighbours(one) == (hrefs[0], chain[index], chain[index + 2], hrefs[-1])
        assert one["meta"]["parent"] == base
        assert one["key"] == key


def test_references_are_expanded_in_an_object_and_bare_in_a_list(rig: Rig) -> None:
    candidate = rig.candidate()
    jane = rig.post(candidate, USERS, {"name": "jane"})
    group = rig.post(candidate, GROUPS, {"name": "own", "members": [jane]})
    endpoint = TREE[ROOT + GROUPS]
    one = read(candidate.snapshot, endpoint, group)
    assert one["body"]["members"] == [{"key": jane, "meta": {"href": f"{ROOT}{USERS}/{jane}"}}]
    assert read(candidate.snapshot, endpoint)["items"][-1]["body"]["members"] == [jane]


def test_an_empty_collection_is_an_empty_list() -> None:
    answer = read(FRESH, TREE[ROOT + "policies/user_databases"])
    assert answer["items"] == []


def test_a_write_once_object_shows_its_owner_and_no_neighbours(rig: Rig) -> None:
    candidate = rig.candidate()
    secret = rig.post(candidate, PASSWORDS, {"plain": GOOD_PASSWORD})
    endpoint, href = TREE[ROOT + PASSWORDS], f"{ROOT}{PASSWORDS}/{secret}"
    answer = read(candidate.snapshot, endpoint, secret)
    assert neighbours(answer) == (href, None, None, href)
    assert (answer["body"]["form"], answer["body"]["owner"]) == ("plain", None)
    jane = rig.post(candidate, USERS, {"name": "jane", "password": secret})
    answer = read(candidate.snapshot, endpoint, secret)
    assert (answer["body"]["form"], answer["body"]["owner"]) == ("hash", f"{ROOT}{USERS}/{jane}")
    assert GOOD_PASSWORD not in json.dumps(answer)


def test_an_answer_is_encoded_once_for_each_snapshot() -> None:
    snapshot = TREE.defaults(Machine())
    endpoint = TREE[ROOT + SERVERS]
    assert encoded(snapshot, endpoint, "") is encoded(snapshot, endpoint, "")
    assert list(snapshot.memo) == [endpoint.path]


def test_equal_content_has_equal_tags_wherever_it_stands(rig: Rig) -> None:
    candidate = rig.candidate()
    before = encoded(candidate.snapshot, TREE[ROOT + SERVERS], "").etag
    rig.post(candidate, SERVERS, {"selection": "ip", "value": "192.0.2.123"})
    after = encoded(candidate.snapshot, TREE[ROOT + SERVERS], "").etag
    assert (before, after) == ('"c76f60858c1ebdc352ff15e85745b728"', '"0186e7fb6f36ce5d329765ceed68e817"')
    empty = {encoded(FRESH, e, "").etag for e in SHOWN if isinstance(e.node, Collection) and not FRESH.objects(e.path)}
    assert len(empty) == 1


def test_warnings_are_the_last_member_of_meta() -> None:
    warnings = [{"code": "unknown_member", "message": "x", "path": "/p", "pointer": "/a"}]
    raw = with_warnings(encoded(FRESH, TREE[ROOT + SERVERS], ""), 600, warnings)
    answer = json.loads(raw)
    assert encode(answer) == raw
    assert answer["meta"]["warnings"] == warnings


@pytest.mark.parametrize("endpoint", [e for e in SHOWN if e.node.links], ids=name)
def test_named_links_stand_in_meta(endpoint: Endpoint) -> None:
    meta = read(FRESH, endpoint)["meta"]
    assert {link: meta[link] for link in endpoint.node.links} == dict(endpoint.node.links)
