"""The order of SSH connections over the wire: PUT of the collection, what GET shows, changes, one request for all (extension)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.contract.wire import TRANSACTION, Caller
from tests.unit.configuration.ssh.checks import connection

PATH = "/api/configuration/ssh/connections"
OTHERS = "/api/configuration/ssh/channel_policies"
COMMITS = "/api/commits"


@pytest.fixture
def three(admin: Caller) -> Iterator[list[str]]:
    keys = [
        admin.post(PATH, connection(name, {"network/ports": [port]})).ok(201).json["key"]
        for name, port in (("a", 2201), ("b", 2202), ("c", 2203))
    ]
    admin.commit().ok()
    yield keys
    admin.delete(TRANSACTION)
    for key in keys:
        if admin.get(f"{PATH}/{key}").status == 200:
            admin.delete(f"{PATH}/{key}").ok()
    admin.commit().ok()


def shown(admin: Caller) -> list[str]:
    return [item["key"] for item in admin.get(PATH).ok().json["items"]]


def order(*keys: str) -> dict[str, Any]:
    return {"@order": [*keys]}


def test_the_order_is_written_and_shown(admin: Caller, three: list[str]) -> None:
    a, b, c = three
    before = admin.get(PATH).header("ETag")
    answer = admin.put(PATH, order(c, a, b)).ok()
    assert [item["key"] for item in answer.json["items"]] == [c, a, b]
    assert answer.header("Allow") == "GET, HEAD, OPTIONS, POST, PUT"
    assert answer.header("ETag") != before
    changes = admin.get("/api/transaction/changes").json["changes"]
    assert changes == [{"new_order": [c, a, b], "old_order": [], "path": PATH, "type": "reorder"}]
    admin.commit().ok()
    assert shown(admin) == [c, a, b]
    meta = admin.get(f"{PATH}/{a}").meta
    assert (meta["first"], meta["previous"], meta["next"], meta["last"]) == tuple(f"{PATH}/{key}" for key in (c, c, b, b))
    admin.put(PATH, order(c, b, a)).ok()
    assert admin.get("/api/transaction/changes").json["changes"] == [
        {"new_order": [c, b, a], "old_order": [c, a, b], "path": PATH, "type": "reorder"}
    ]


def test_an_order_that_is_none_is_refused(admin: Caller, three: list[str]) -> None:
    admin.put(PATH, order(*three[:2])).is_error(400, "InvalidRequestBody")
    answer = admin.put(PATH, {**order(*three), "x": 1}).ok()
    assert [(one["code"], one["pointer"]) for one in answer.meta["warnings"]] == [("unknown_member", "/x")]
    strict = admin.put(PATH, {**order(*three), "x": 1}, headers={"Prefer": "handling=strict"})
    assert strict.is_error(400, "InvalidRequestBody").codes == [("unknown_member", "/x")]


def test_no_other_collection_has_an_order(admin: Caller) -> None:
    answer = admin.put(OTHERS, order("-211", "-210")).is_error(405, "MethodNotAllowed")
    assert answer.header("Allow") == "GET, HEAD, OPTIONS, POST"


def test_a_new_policy_goes_first_in_one_request(admin: Caller, three: list[str]) -> None:
    made = {"method": "POST", "path": PATH, "body": connection("d", {"network/ports": [2204]}), "id": "d"}
    first = {"method": "PUT", "path": PATH, "body": order("@new:d", *three)}
    answer = admin.post(COMMITS, {"changes": [made, first]}).ok()
    key = answer.json["meta"]["results"][0]["key"] if "results" in answer.json["meta"] else shown(admin)[0]
    assert shown(admin) == [key, *three]
    admin.delete(f"{PATH}/{key}").ok()
    admin.commit().ok()
    assert shown(admin) == three
