"""Every endpoint over the wire, by its declaration: what it shows, what it refuses and where, and what refers to what.

Bodies come from the samples of the unit tests, and bad values from the schema of the model: a new endpoint is covered by itself.
"""

from __future__ import annotations

from itertools import islice
from typing import Any

import pytest

from doorward.tree.nodes import Branch, Collection, ListSingleton, Singleton, WriteOnce
from doorward.tree.problems import pointer
from doorward.tree.references import Reference
from doorward.tree.registry import Endpoint
from tests.contract.planting import STORES, At, Planter, changed, cluster_role, samples
from tests.contract.walk import tree
from tests.contract.wire import Caller
from tests.unit.configuration.test_models import GOOD, MODELLED, broken, schema_of, short

MOST = 60
"""Bad bodies of one endpoint that travel over the wire; the unit tests try them all."""
ADMIN_WEB = "/api/configuration/local_services/admin_web"
CODES = {"type", "enum", "missing"}
REFERRING: dict[Endpoint, list[Any]] = {}
"""The endpoints whose samples refer to something, with those samples."""
for _endpoint, _body in samples():
    if any(cluster_role(_endpoint.node.adapter.validate_python(_body))):  # type: ignore[attr-defined]
        REFERRING.setdefault(_endpoint, []).append(_body)


def verb(endpoint: Endpoint) -> str:
    return "PUT" if isinstance(endpoint.node, (Singleton, ListSingleton)) else "POST"


@pytest.mark.parametrize("endpoint", list(tree()), ids=short)
def test_get_has_the_shape_of_its_kind(admin: Caller, endpoint: Endpoint) -> None:
    answer = admin.get(endpoint.path)
    if isinstance(endpoint.node, WriteOnce):
        answer.is_error(405, "MethodNotAllowed")
        return
    assert answer.ok().header("Allow") == ", ".join(endpoint.methods)
    if isinstance(endpoint.node, Branch):
        assert answer.json.keys() == {"items", "meta"}
        assert [item["key"] for item in answer.json["items"]] == [child.key for child in endpoint.listed]
        assert all(item.keys() == {"key", "meta"} for item in answer.json["items"])
    elif isinstance(endpoint.node, Collection):
        assert answer.json.keys() == {"items", "meta"}
        assert [item["key"] for item in answer.json["items"]] == list(endpoint.node.default)
        assert all(item.keys() == {"body", "key", "meta"} for item in answer.json["items"])
    else:
        assert answer.json.keys() == {"body", "key", "meta"}
        assert answer.json["key"] == endpoint.key
        assert isinstance(answer.json["body"], list) or not isinstance(endpoint.node, ListSingleton)


@pytest.mark.parametrize("endpoint", [e for e in MODELLED if e.methods != ("GET", "HEAD", "OPTIONS")], ids=short)
def test_a_bad_value_is_refused_at_its_place(admin: Caller, endpoint: Endpoint) -> None:
    schema, sample = schema_of(endpoint), GOOD[short(endpoint)]
    bad = list(broken(schema, sample, schema))
    step = max(1, len(bad) // MOST)
    for at, body in islice(bad, 0, None, step):
        answer = admin.call(verb(endpoint), endpoint.path, body)
        answer.is_error(400, "InvalidRequestBody")
        assert {code for code, _ in answer.codes} <= CODES, (at, body, answer.codes)
        assert all(place.startswith(at) for _, place in answer.codes), (at, body, answer.codes)
    assert admin.status() == "closed", "a write that is refused opens no transaction"


@pytest.mark.parametrize("endpoint", [e for e in MODELLED if isinstance(e.node, WriteOnce)], ids=short)
def test_a_store_takes_nothing_but_new_objects(admin: Caller, endpoint: Endpoint) -> None:
    href = f"{endpoint.path}/{Planter(admin).make(endpoint.path)}"
    for method in ("PUT", "DELETE", "POST"):
        answer = admin.call(method, href, {}).is_error(405, "MethodNotAllowed")
        assert answer.header("Allow") == "GET, HEAD, OPTIONS"


def referred(endpoint: Endpoint, body: Any) -> list[tuple[At, Reference[Any]]]:
    """The references of a body, with their places."""
    return [(at, reference) for at, reference, _ in cluster_role(endpoint.node.adapter.validate_python(body))]  # type: ignore[attr-defined]


@pytest.mark.parametrize("endpoint", REFERRING, ids=short)
def test_a_reference_to_nothing_is_refused_at_its_place(admin: Caller, endpoint: Endpoint) -> None:
    for body in REFERRING[endpoint]:
        whole = Planter(admin).plant(endpoint, body)
        for at, reference in referred(endpoint, whole):
            answer = admin.call(verb(endpoint), endpoint.path, changed(whole, at, f"{reference.text}0"))
            answer.is_error(400, "SemanticError")
            assert ("unknown_reference", pointer(at)) in answer.codes, answer.codes


@pytest.mark.parametrize("endpoint", [e for e in REFERRING if isinstance(e.node, Collection)], ids=short)
def test_an_object_that_goes_takes_its_secrets_along(admin: Caller, endpoint: Endpoint) -> None:
    """A write-once object shows its owner, and vanishes with the last one at the commit."""
    body = Planter(admin).plant(endpoint, GOOD[short(endpoint)])
    owned = [reference.href for _, reference in referred(endpoint, body) if reference.to in STORES]
    made = admin.post(endpoint.path, body).ok(201).header("Location")
    admin.commit().ok()
    for href in owned:
        shown = admin.body(href)
        assert shown.get("owner", shown.get("owners")) in (made, [made])
    admin.delete(made).ok()
    admin.commit().ok()
    assert [admin.get(href).status for href in owned] == [404] * len(owned)


OBJECTS = [
    (e, at, r.to) for e in REFERRING for at, r in referred(e, REFERRING[e][0]) if isinstance(tree()[r.to].node, Collection)
]
"""Where the sample of an endpoint refers to an object that can be deleted: endpoint, place in the body, collection."""


@pytest.mark.parametrize(
    ("endpoint", "at", "collection"), OBJECTS, ids=[short(endpoint) + pointer(at) for endpoint, at, _ in OBJECTS]
)
def test_an_object_that_is_referred_to_stays_or_is_taken_out(admin: Caller, endpoint: Endpoint, at: At, collection: str) -> None:
    target = tree()[collection]
    made = admin.post(collection, Planter(admin).plant(target, GOOD[short(target)])).ok(201)
    key, href = made.json["key"], made.header("Location")
    body = changed(Planter(admin).plant(endpoint, GOOD[short(endpoint)]), at, key)
    owner = admin.call(verb(endpoint), endpoint.path, body)
    assert owner.status in {200, 201}, owner.body
    answer = admin.delete(href)
    if isinstance(target.node, Collection) and target.node.cascade:
        answer.ok()
        assert key not in admin.get(owner.meta["href"]).body.decode()
    else:
        answer.refuses("SemanticError", ("referenced", ""))
        assert owner.meta["href"] in answer.error["details"]["errors"][0]["message"]
        admin.get(href).ok()


PARTS = [
    endpoint for endpoint, bodies in REFERRING.items() if any(reference.inside for _, reference in referred(endpoint, bodies[0]))
]
"""The endpoints that refer to a part of another one, such as an address of a network interface."""


@pytest.mark.parametrize("endpoint", PARTS, ids=short)
def test_a_part_that_is_referred_to_can_not_be_taken_away(admin: Caller, endpoint: Endpoint) -> None:
    """The address on which this server listens is what everything here refers to."""
    [(part, owner)] = {(r.text, r.place.href) for _, r in referred(tree()[ADMIN_WEB], admin.body(ADMIN_WEB))}
    body = GOOD[short(endpoint)]
    for at, reference in referred(endpoint, body):
        if reference.inside:
            body = changed(body, at, part)
    admin.call(verb(endpoint), endpoint.path, body).ok()
    answer = admin.put(owner, {"interfaces": {"@order": []}}).is_error(400, "SemanticError")
    assert {code for code, _ in answer.codes} == {"referenced"}
    named = [problem["message"] for problem in answer.error["details"]["errors"]]
    assert any(message.endswith(f" is used by {endpoint.path}.") for message in named), named
