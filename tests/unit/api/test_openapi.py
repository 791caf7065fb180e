"""The description of the API: valid, and complete for every node and method of the tree."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from pydantic import TypeAdapter

from doorward.api.openapi import OpenApi, resources
from doorward.api.resources import Resource
from doorward.appliance import Appliance, Options
from doorward.tree.jsontext import encode
from doorward.tree.nodes import Valued, WriteOnce
from doorward.tree.titles import WORDS
from tests.unit.transaction.rig import ROOT, SERVERS, TREE, USERS, WEB

if TYPE_CHECKING:
    from collections.abc import Iterator

Document = dict[str, Any]
DESCRIBED = ("DELETE", "GET", "POST", "PUT")


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Resource]:
    appliance = Appliance(Options(tmp_path_factory.mktemp("state"), port=0, admin_password="a password for admin"))
    yield appliance.app.root
    appliance.close()


@pytest.fixture(scope="module")
def document(api: Resource) -> Document:
    described = api.children["api"].children["openapi.json"]
    assert isinstance(described, OpenApi)
    return described.document


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
        named = {p["name"] for p in operation.get("parameters", []) if p.get("in") == "path"}
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


def resolved(document: Document, schema: Any) -> Any:
    """A schema, or the component that it refers to."""
    while "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


def sent(document: Document, path: str, method: str, kind: str = "application/json") -> Any:
    return resolved(document, document["paths"][path][method]["requestBody"]["content"][kind]["schema"])


def answered(document: Document, path: str, method: str = "get", status: str = "200") -> Any:
    (content,) = document["paths"][path][method]["responses"][status]["content"].values()
    return resolved(document, content["schema"])


def test_bodies_are_those_of_the_models(document: Document) -> None:
    web = sent(document, ROOT + WEB, "put")
    assert web["properties"]["timeout"]["maximum"] == 1440
    assert web["properties"]["timeout"]["description"]
    assert sent(document, ROOT + USERS, "post")["required"] == ["name"]
    assert len(sent(document, ROOT + SERVERS, "post")["anyOf"]) == 2
    assert "Error" in document["components"]["schemas"]


def schemas(value: Any, at: str = "") -> Iterator[tuple[str, Document]]:
    """Every schema of a document, by where it stands."""
    if isinstance(value, dict):
        if not at.endswith(("/properties", "/schemas", "/examples")):
            yield at, value
        for name, member in value.items():
            yield from schemas(member, f"{at}/{name}")
    elif isinstance(value, list):
        for index, element in enumerate(value):
            yield from schemas(element, f"{at}/{index}")


def test_what_is_described_as_a_body_is_what_reads_it(api: Resource) -> None:
    # Outside the configuration, where nodes describe themselves, a schema by hand would be a second opinion.
    by_hand = [
        f"{method} {path}"
        for path, resource in resources(api)
        for method, operation in resource.operations.items()
        if not path.startswith(ROOT) and operation.body and not isinstance(operation.body, TypeAdapter)
    ]
    assert by_hand == []


def test_every_array_says_what_it_holds(document: Document) -> None:
    assert [at for at, schema in schemas(document) if "array" in str(schema.get("type")) and "items" not in schema] == []


def test_no_default_stands_beside_alternatives(document: Document) -> None:
    beside = [at for at, s in schemas(document) if "default" in s and s.keys() & {"$ref", "allOf", "anyOf", "oneOf"}]
    assert beside == []
    policy = sent(document, f"{ROOT}policies/backup_policies", "post")["properties"]["retention"]
    assert policy["description"] == 'What is deleted. Default: `{"enabled": false}`.'


def shown_schemas(document: Document) -> Iterator[tuple[str, Document]]:
    """Every schema of an answer, those that it refers to included."""
    todo = [(f"{path} {method}", operation["responses"]) for path, method, operation in operations(document)]
    todo += [("responses", document["components"]["responses"])]
    seen: set[str] = set()
    while todo:
        origin, value = todo.pop()
        for at, schema in schemas(value):
            yield f"{origin}{at}", schema
            name = str(schema.get("$ref", "")).removeprefix("#/components/schemas/")
            if name in document["components"]["schemas"] and name not in seen:
                seen.add(name)
                todo.append((name, document["components"]["schemas"][name]))


def test_answers_are_open_and_bodies_that_are_sent_are_closed(document: Document) -> None:
    objects = [(at, schema) for at, schema in shown_schemas(document) if schema.get("type") == "object"]
    assert [at for at, schema in objects if not schema.get("additionalProperties")] == []
    assert sent(document, ROOT + USERS, "post")["additionalProperties"] is False


def test_meta_has_all_of_its_members(document: Document) -> None:
    web = answered(document, ROOT + WEB)
    assert set(resolved(document, web["properties"]["meta"])["properties"]) == {
        "blame", "first", "href", "last", "next", "parent", "previous", "remaining_seconds", "revision", "transaction",
        "warnings",
    }  # fmt: skip
    transaction = resolved(document, answered(document, "/api/transaction")["properties"]["meta"])["properties"]
    assert {"changes", "commit", "confirm_remaining_seconds", "revision", "warnings"} <= set(transaction)
    warning = resolved(document, transaction["warnings"]["items"])
    assert {"code", "message", "path", "pointer"} <= set(warning["properties"])


def test_references_lead_to_a_path_of_the_document(document: Document) -> None:
    found = {at: s["x-doorward"]["reference"] for at, s in schemas(document) if "reference" in s.get("x-doorward", {})}
    assert all(to in document["paths"] for to in found.values())
    password = sent(document, ROOT + USERS, "post")["properties"]["password"]
    assert [option.get("x-doorward") for option in password["anyOf"] if option.get("type") == "string"] == [
        {"reference": "/api/configuration/passwords"}
    ]
    assert "key" in resolved(document, password["anyOf"][1])["properties"]
    assert password["x-doorward"] == {"reference": "/api/configuration/passwords"}


def test_acronyms_stand_in_capitals_in_every_title(document: Document) -> None:
    capitals = {shown.lower(): shown for shown in WORDS.values() if shown.isupper()}
    titles = {s["title"] for at, s in schemas(document) if "/properties/" in at and isinstance(s.get("title"), str)}
    raw = [title for title in titles for word in title.split() if capitals.get(word.lower(), word) != word]
    assert "Server certificate CA" in titles
    assert raw == []


def test_important_members_come_first(document: Document) -> None:
    for variant in sent(document, ROOT + SERVERS, "put")["items"]["oneOf"]:
        assert list(resolved(document, variant)["properties"])[:2] == ["selection", "value"]
    assert next(iter(sent(document, ROOT + "management/email", "put")["properties"])) == "smtp_server"


def test_what_rights_are_for_has_a_title_and_a_field_of_its_own(document: Document) -> None:
    hints = document["x-doorward"]
    guarded = {one["privilege"] for one in hints["endpoints"].values() if one["privilege"]}
    assert guarded <= set(hints["objects"])
    objects = resolved(document, sent(document, ROOT + "aaa/acls", "put")["items"])["properties"]["objects"]
    assert objects["items"]["x-doorward"] == {"object": True}


def test_a_reference_to_a_part_says_the_way_to_it(document: Document) -> None:
    ways = [s["x-doorward"]["steps"] for _, s in schemas(document) if "steps" in s.get("x-doorward", {})]
    assert ["interfaces", None, "addresses", None] in ways


@pytest.mark.parametrize(
    ("path", "at"),
    [
        ("/api/configuration/passwords", ("plain",)),
        ("/api/configuration/private_keys", ("private_key",)),
        ("/api/configuration/x509", ("private_key",)),
        ("/api/setup", ("administration", "admin_password")),
        ("/api/setup", ("administration", "root_password")),
        ("/api/backup/restores", ("password",)),
        ("/api/backup/drills", ("password",)),
        ("/api/cluster/nodes", ("psk",)),
    ],
)
def test_secrets_are_marked_and_never_shown(document: Document, path: str, at: tuple[str, ...]) -> None:
    schema = sent(document, path, "post")
    for name in at:
        schema = resolved(document, schema["properties"][name])
    secret = next((option for option in schema.get("anyOf", []) if option.get("type") == "string"), schema)
    assert (secret["format"], secret["writeOnly"]) == ("password", True)
    assert [where for where, shown in shown_schemas(document) if "writeOnly" in shown] == []


def test_formats_say_what_texts_are(document: Document) -> None:
    gateway = sent(document, f"{ROOT}network/routing", "put")
    formats = {schema.get("format") for _, schema in schemas(document)}
    assert {"ipv4", "ipv6", "uuid", "date-time", "password", "binary", "email"} <= formats, gateway
    revision = answered(document, "/api/revisions/{number}")["properties"]["body"]
    assert resolved(document, revision)["properties"]["time"]["format"] == "date-time"


def test_uploads_and_downloads_have_their_media_types(document: Document) -> None:
    upload = document["paths"]["/api/upload/backup"]["post"]["requestBody"]["content"]
    assert set(upload) == {"application/octet-stream", "multipart/form-data"}
    assert upload["multipart/form-data"]["schema"]["required"] == ["backup"]
    for path, kind in (
        ("/api/backup/exports/{id}/download", "application/octet-stream"),
        ("/api/backup/files/{name}/download", "application/octet-stream"),
        ("/api/troubleshooting/support-bundle/{key}/download", "application/gzip"),
        ("/api/metrics", "text/plain"),
    ):
        assert list(document["paths"][path]["get"]["responses"]["200"]["content"]) == [kind]


def header_names(document: Document, path: str, method: str) -> set[str]:
    parameters = document["paths"][path][method].get("parameters", [])
    return {p["$ref"].rpartition("/")[2] for p in parameters if "$ref" in p}


def test_header_fields_are_described(document: Document) -> None:
    assert header_names(document, ROOT + WEB, "get") == {"If-None-Match"}
    assert header_names(document, ROOT + WEB, "put") == {"If-Match", "Prefer", "X-Token"}
    assert header_names(document, "/api/transaction", "put") == {"Idempotency-Key", "Prefer", "X-Token"}
    assert header_names(document, "/api/commits", "post") == {"Idempotency-Key", "Prefer", "X-Token"}
    made = document["paths"][ROOT + USERS]["post"]["responses"]["201"]["headers"]
    assert {"ETag", "Location", "Set-Cookie", "X-Request-Id"} <= set(made)
    assert "304" in document["paths"][ROOT + WEB]["get"]["responses"]
    assert "Retry-After" in document["components"]["responses"]["503"]["headers"]


def test_every_operation_has_the_tag_of_its_branch_and_an_id_that_is_a_name(document: Document) -> None:
    described = {tag["name"] for tag in document["tags"] if tag["description"]}
    for path, _, operation in operations(document):
        (tag,) = operation["tags"]
        assert tag in described
        assert operation["operationId"].isidentifier(), path
    assert document["paths"][ROOT + USERS]["get"]["tags"] == ["configuration-aaa"]
    assert document["paths"][ROOT + USERS]["get"]["operationId"] == "get_configuration_aaa_local_database_users"


def test_what_is_not_honoured_yet_says_so(document: Document) -> None:
    sentence = "Not honoured by this release yet"
    for endpoint in TREE.configuration:
        for operation in document["paths"].get(endpoint.path, {}).values():
            assert (sentence in operation["description"]) == (not endpoint.node.supported), endpoint.path
    assert "does not honour yet" in document["paths"]["/api/firmware/upgrade"]["post"]["description"]


def test_schemas_of_one_name_are_the_same_everywhere() -> None:
    """They are shared by name in the document; two models of one name would overwrite each other."""
    seen: dict[str, Any] = {}
    for endpoint in TREE:
        if isinstance(endpoint.node, (Valued, WriteOnce)) and endpoint.node.supported and endpoint.node.model is not Any:
            for name, schema in endpoint.node.adapter.json_schema().get("$defs", {}).items():
                assert encode(seen.setdefault(name, schema)) == encode(schema), f"{name} of {endpoint.path}"


def test_it_is_sent_as_json(document: Document) -> None:
    assert json.loads(json.dumps(document)) == document
