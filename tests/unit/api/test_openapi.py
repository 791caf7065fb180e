"""The description of the API: valid, and complete for every node and method of the tree."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from doorward.api.openapi import OpenApi
from doorward.appliance import Appliance, Options
from doorward.tree.jsontext import encode
from doorward.tree.nodes import Valued, WriteOnce
from tests.unit.transaction.rig import ROOT, SERVERS, TREE, USERS, WEB

if TYPE_CHECKING:
    from collections.abc import Iterator

Document = dict[str, Any]
DESCRIBED = ("DELETE", "GET", "POST", "PUT")


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Document]:
    appliance = Appliance(Options(tmp_path_factory.mktemp("state"), port=0, admin_password="a password for admin"))
    described = appliance.app.root.children["api"].children["openapi.json"]
    assert isinstance(described, OpenApi)
    yield described.document
    appliance.close()


def test_it_is_a_valid_document_of_openapi_3_1(document: Document) -> None:
    assert document["openapi"].startswith("3.1")
    errors = list(OpenAPIV31SpecValidator(document).iter_errors())
    assert [str(error) for error in errors] == []


def test_every_reference_leads_somewhere(document: Document) -> None:
    def walk(value: Any) -> Iterator[str]:
        if isinstance(value, dict):
            if isinstance(value.get("$ref"), str):
                yield value["$ref"]
            for member in value.values():
                yield from walk(member)
        elif isinstance(value, list):
            for element in value:
                yield from walk(element)

    for reference in set(walk(document)):
        found: Any = document
        for part in reference.removeprefix("#/").split("/"):
            found = found[part]
        assert found


@pytest.mark.parametrize("endpoint", list(TREE.configuration), ids=lambda endpoint: endpoint.path)
def test_every_node_and_method_is_described(document: Document, endpoint: Any) -> None:
    expected = {method.lower() for method in endpoint.methods if method in DESCRIBED}
    assert set(document["paths"].get(endpoint.path, {})) == expected
    if endpoint.holds_objects:
        expected = {method.lower() for method in endpoint.object_methods if method in DESCRIBED}
        assert set(document["paths"][endpoint.path + "/{key}"]) == expected


def test_nothing_of_the_tree_is_described_that_is_not_there(document: Document) -> None:
    paths = {path.removesuffix("/{key}") for path in document["paths"] if path.startswith(ROOT)}
    assert paths <= set(TREE.endpoints)


def operations(document: Document) -> Iterator[tuple[str, str, Document]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def test_every_operation_has_a_summary_an_id_of_its_own_and_its_parameters(document: Document) -> None:
    ids = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(set(ids)) == len(ids)
    for path, _, operation in operations(document):
        assert operation["summary"].endswith(".")
        named = {p["name"] for p in operation.get("parameters", []) if p["in"] == "path"}
        assert named == {part[1:-1] for part in path.split("/") if part.startswith("{")}


def test_every_write_describes_its_body_and_refusals(document: Document) -> None:
    for path, method, operation in operations(document):
        if method in {"post", "put"}:
            assert "requestBody" in operation, (path, method)
            assert {"400", "401", "403", "411", "413", "415"} <= set(operation["responses"]), (path, method)
        else:
            assert "requestBody" not in operation
        assert {"401", "429", "500", "503"} <= set(operation["responses"])


def test_what_needs_no_login_says_so(document: Document) -> None:
    free = {(path, method) for path, method, operation in operations(document) if {} in operation.get("security", [])}
    assert free == {
        ("/api/authentication", "get"),
        ("/api/authentication/login_methods", "get"),
        ("/api/info", "get"),
        ("/api/setup", "get"),
        ("/api/setup", "post"),
    }


def test_bodies_are_those_of_the_models(document: Document) -> None:
    schemas = document["components"]["schemas"]
    web = document["paths"][ROOT + WEB]["put"]["requestBody"]["content"]["application/json"]["schema"]
    assert web["properties"]["timeout"]["maximum"] == 1440
    assert web["properties"]["timeout"]["description"]
    user = document["paths"][ROOT + USERS]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert user["required"] == ["name"]
    servers = document["paths"][ROOT + SERVERS]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert len(servers["anyOf"]) == 2
    assert "Error" in schemas


def test_schemas_of_one_name_are_the_same_everywhere() -> None:
    """They are shared by name in the document; two models of one name would overwrite each other."""
    seen: dict[str, Any] = {}
    for endpoint in TREE:
        if isinstance(endpoint.node, (Valued, WriteOnce)) and endpoint.node.supported and endpoint.node.model is not Any:
            for name, schema in endpoint.node.adapter.json_schema().get("$defs", {}).items():
                assert encode(seen.setdefault(name, schema)) == encode(schema), f"{name} of {endpoint.path}"


def test_it_is_sent_as_json(document: Document) -> None:
    assert json.loads(json.dumps(document)) == document
