"""What the models of all supported endpoints promise, and bodies made to break each of their members."""

from __future__ import annotations

import typing
from collections.abc import Callable, Iterator
from copy import copy
from typing import Annotated, Any

import pytest
from pydantic import ConfigDict, TypeAdapter
from pydantic.fields import FieldInfo

import doorward.configuration
from doorward.tree.models import Body
from doorward.tree.nodes import ListSingleton, Valued, WriteOnce
from doorward.tree.problems import InvalidBody
from doorward.tree.references import RefersTo, RefersToPart
from doorward.tree.registry import Endpoint, discover
from doorward.tree.validation import check
from tests.unit.configuration.local_services.samples import SERVING
from tests.unit.configuration.management.samples import BACKING_UP, SENDING
from tests.unit.configuration.network.samples import NETWORK
from tests.unit.configuration.policies.samples import POLICIES, STORES
from tests.unit.configuration.ssh.samples import REFERRING as REFERRING_IN_SESSIONS
from tests.unit.configuration.ssh.samples import SESSIONS

TREE = discover(doorward.configuration)
MODELLED = [e for e in TREE if isinstance(e.node, (Valued, WriteOnce)) and e.node.supported and e.node.model is not Any]
GOOD: dict[str, Any] = {
    "aaa/acls": [{"group": "ssh-write", "objects": ["/special/ssh", "/api/configuration/datetime"], "permission": "write"}],
    "aaa/local_database/groups": {"members": ["-1"], "name": "operators"},
    "aaa/local_database/users": {"name": "jane", "password": None},
    "aaa/settings": {
        "bruteforce_protection": {"block_seconds": 1, "enabled": True, "failures": 2, "window_seconds": 3},
        "password_policy": {
            "dictionary_check": False,
            "enabled": True,
            "expiration_days": 90,
            "minimum_classes": 3,
            "minimum_length": 14,
            "remembered_passwords": 5,
        },
    },
    "datetime/ntp_servers": [{"selection": "fqdn", "value": "pool.ntp.org"}, {"selection": "ip", "value": "192.0.2.1"}],
    "datetime/timezone": "Etc/UTC",
    "management/accounting": {"require_commitlog": True},
    "management/change_approval": {
        "emergency_group": "firemen",
        "enabled": True,
        "expires_hours": 24,
        "rules": [{"approvers": "security", "mail_to": ["security@example.com"], "paths": ["/api/configuration"], "required": 2}],
    },
    "management/drift": {"exceptions": ["/etc/timezone", "/api/configuration/network"], "mode": "repair"},
    "management/webinterface": {"timeout": 5},
    "passwords": {"plain": "correct horse battery"},
    "troubleshooting": {"core_files": {"retention_days": 30}, "debug_logging": {"enabled": True}},
    **STORES,
    **POLICIES,
    **SENDING,
    **BACKING_UP,
    **NETWORK,
    **SERVING,
    **SESSIONS,
}
REFERRING = {
    "datetime/ntp_servers",
    "aaa/local_database/groups", "aaa/local_database/users", "management/email", "management/syslog",
    "management/system_backup", *POLICIES, *SERVING, *REFERRING_IN_SESSIONS
} - {"policies/time_policies"}  # fmt: skip
SAMPLES: dict[str, list[Any]] = {
    "null": [None],
    "boolean": [True, False],
    "integer": [1, 0],
    "number": [1.0, 0.5],
    "string": ["1", "true", ""],
    "array": [[], [1]],
    "object": [{}, {"x": 1}],
}


def short(endpoint: Endpoint) -> str:
    return endpoint.path.removeprefix("/api/configuration/")


def schema_of(endpoint: Endpoint) -> dict[str, Any]:
    found: dict[str, Any] = endpoint.node.adapter.json_schema()  # type: ignore[attr-defined]
    return found


def resolved(schema: dict[str, Any], root: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The alternatives of a schema, without references."""
    if "$ref" in schema:
        yield from resolved(root["$defs"][schema["$ref"].rpartition("/")[2]], root)
    elif "anyOf" in schema or "oneOf" in schema:
        for alternative in schema.get("anyOf", schema.get("oneOf", [])):
            yield from resolved(alternative, root)
    else:
        yield schema


def types(schema: dict[str, Any], root: dict[str, Any]) -> set[str]:
    found = {alternative["type"] for alternative in resolved(schema, root)}
    return found | ({"integer"} if "number" in found else set())


def broken(schema: dict[str, Any], value: Any, root: dict[str, Any], at: str = "") -> Iterator[tuple[str, Any]]:
    """Bodies with one value of a type that its place does not take: (its pointer, the body). Derived members take any."""
    if schema.get("readOnly"):
        return
    for kind, samples in SAMPLES.items():
        if kind not in types(schema, root):
            yield from ((at, sample) for sample in samples)
    if isinstance(value, dict):
        members = next(found for a in resolved(schema, root) if fits(found := members_of(a, value), value))
        yield from inside(value, value, lambda name: members[name], root, at)
    elif isinstance(value, list):
        [items] = [alternative["items"] for alternative in resolved(schema, root)]
        yield from inside(value, dict(enumerate(value)), lambda _: items, root, at)


def members_of(schema: dict[str, Any], value: dict[str, Any]) -> dict[str, Any]:
    """The schemas of the members of an object; those of a map by the names that the value has."""
    entries = dict.fromkeys(value, schema["additionalProperties"]) if schema.get("additionalProperties") else {}
    return {**entries, **schema.get("properties", {})}


def fits(properties: dict[str, Any], value: dict[str, Any]) -> bool:
    """Whether these are the members of the variant that the value has."""
    consts = {name: member["const"] for name, member in properties.items() if "const" in member}
    return value.keys() <= properties.keys() and all(value.get(name) == const for name, const in consts.items())


def inside(
    value: Any, members: dict[Any, Any], schema_of_member: Callable[[Any], dict[str, Any]], root: dict[str, Any], at: str
) -> Iterator[tuple[str, Any]]:
    for name, member in members.items():
        for pointer, other in broken(schema_of_member(name), member, root, f"{at}/{name}"):
            changed = copy(value)
            changed[name] = other
            yield pointer, changed


def problems(endpoint: Endpoint, value: Any, *, strict: bool = False) -> list[tuple[str, str]]:
    try:
        check(endpoint.node.adapter, value, strict=strict)  # type: ignore[attr-defined]
    except InvalidBody as refused:
        return [(problem.code, problem.pointer) for problem in refused.problems]
    return []


def test_there_is_a_sample_for_every_modelled_endpoint() -> None:
    assert sorted(GOOD) == [short(endpoint) for endpoint in MODELLED]


@pytest.mark.parametrize("endpoint", MODELLED, ids=short)
def test_the_sample_is_accepted_as_it_is(endpoint: Endpoint) -> None:
    model = check(endpoint.node.adapter, GOOD[short(endpoint)], strict=True).model  # type: ignore[attr-defined]
    assert endpoint.node.adapter.dump_python(model, mode="json") == GOOD[short(endpoint)]  # type: ignore[attr-defined]


@pytest.mark.parametrize("endpoint", MODELLED, ids=short)
def test_a_value_of_another_type_is_refused_wherever_it_stands(endpoint: Endpoint) -> None:
    schema, tried = schema_of(endpoint), 0
    for pointer, body in broken(schema, GOOD[short(endpoint)], schema):
        found = problems(endpoint, body)
        assert found, (pointer, body)
        assert all(at.startswith(pointer) for _, at in found), (pointer, body, found)
        assert {code for code, _ in found} <= {"type", "enum", "missing"}, (pointer, body, found)
        tried += 1
    assert tried >= 6


@pytest.mark.parametrize("endpoint", MODELLED, ids=short)
def test_an_object_without_a_required_member_is_refused(endpoint: Endpoint) -> None:
    value = GOOD[short(endpoint)]
    schema = schema_of(endpoint)
    if isinstance(value, dict):
        for required in schema.get("required", []):
            body = {name: member for name, member in value.items() if name != required}
            assert problems(endpoint, body) == [("missing", f"/{required}")]
    if isinstance(value, list):
        for required in value[0]:
            element = {name: member for name, member in value[0].items() if name != required}
            assert problems(endpoint, [element]) == [("missing", f"/0/{required}")]


@pytest.mark.parametrize("endpoint", [e for e in MODELLED if isinstance(GOOD[short(e)], dict)], ids=short)
def test_an_unknown_member_is_dropped_and_named(endpoint: Endpoint) -> None:
    body = {**GOOD[short(endpoint)], "prefered": 1}
    checked = check(endpoint.node.adapter, body)  # type: ignore[attr-defined]
    assert [(w.code, w.pointer) for w in checked.warnings] == [("unknown_member", "/prefered")]
    assert problems(endpoint, body, strict=True) == [("unknown_member", "/prefered")]


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("datetime/timezone", "Nowhere/Here", [("format", "")]),
        ("datetime/timezone", "europe/budapest", [("format", "")]),
        ("datetime/timezone", "localtime", [("format", "")]),
        ("datetime/timezone", "posixrules", [("format", "")]),
        ("datetime/timezone", "Factory", [("format", "")]),
        ("datetime/timezone", "posix/Europe/Budapest", [("format", "")]),
        ("datetime/timezone", "right/Europe/Budapest", [("format", "")]),
        ("datetime/timezone", "../etc/passwd", [("format", "")]),
        ("datetime/timezone", "", [("format", "")]),
        ("datetime/timezone", "x" * 129, [("length", "")]),
        ("datetime/timezone", "US/Eastern", []),
        ("datetime/ntp_servers", [], []),
        ("datetime/ntp_servers", [{"selection": "ip", "value": f"192.0.2.{n}"} for n in range(1, 17)], []),
        ("datetime/ntp_servers", [{"selection": "ip", "value": f"192.0.2.{n}"} for n in range(1, 18)], [("length", "")]),
        (
            "datetime/ntp_servers",
            [{"selection": "fqdn", "value": "A.example."}, {"selection": "fqdn", "value": "a.EXAMPLE"}],
            [("duplicate", "/1")],
        ),
        ("management/webinterface", {"timeout": 0}, [("range", "/timeout")]),
        ("management/webinterface", {"timeout": 1441}, [("range", "/timeout")]),
        ("management/webinterface", {"timeout": 1440}, []),
        ("management/webinterface", {}, []),
        ("troubleshooting", {"core_files": {"retention_days": 0}}, [("range", "/core_files/retention_days")]),
        ("troubleshooting", {"core_files": {"retention_days": 366}}, [("range", "/core_files/retention_days")]),
        ("troubleshooting", {"core_files": {"retention_days": 365}, "debug_logging": {}}, []),
        ("aaa/local_database/users", {"name": ""}, [("length", "/name")]),
        ("aaa/local_database/users", {"name": "-x"}, [("format", "/name")]),
        ("aaa/local_database/users", {"name": "a b"}, [("format", "/name")]),
        ("aaa/local_database/users", {"name": "j\u00e9"}, [("format", "/name")]),
        ("aaa/local_database/users", {"name": "x\n"}, [("format", "/name")]),
        ("aaa/local_database/users", {"name": "u" * 65}, [("length", "/name")]),
        ("aaa/local_database/users", {"name": "J.o-e_@example.com"}, []),
        ("aaa/local_database/groups", {"name": "a@b"}, [("format", "/name")]),
        ("aaa/local_database/groups", {"name": "g" * 65}, [("length", "/name")]),
        ("aaa/local_database/groups", {"name": "g", "members": ["-1", "-1"]}, [("duplicate", "/members/1")]),
        ("aaa/local_database/groups", {"name": "g", "members": ["x"] * 1001}, [("length", "/members")]),
        ("passwords", {"plain": ""}, [("length", "/plain")]),
        ("passwords", {"plain": "p" * 151}, [("length", "/plain")]),
        ("passwords", {"plain": "a\x00b"}, [("format", "/plain")]),
        ("passwords", {"plain": "a\nb"}, [("format", "/plain")]),
        ("passwords", {"plain": " \u00e9\U0001f512 "}, []),
    ],
)
def test_limits_of_values(name: str, value: Any, found: list[tuple[str, str]]) -> None:
    assert problems(TREE[f"/api/configuration/{name}"], value)[: max(1, len(found))] == found


def bodies(parent: type[Body] = Body) -> Iterator[type[Body]]:
    for child in parent.__subclasses__():
        if child.__module__.startswith("doorward."):
            yield child
        yield from bodies(child)


FIELDS = [(body, name, field) for body in dict.fromkeys(bodies()) for name, field in body.model_fields.items()]


def field_id(value: Any) -> str:
    if isinstance(value, type):
        return f"{value.__module__.removeprefix('doorward.')}.{value.__name__}"
    return value if isinstance(value, str) else ""


@pytest.mark.parametrize(("body", "name", "field"), FIELDS, ids=field_id)
def test_every_member_is_described_in_a_sentence(body: type[Body], name: str, field: FieldInfo) -> None:
    assert body.__doc__
    assert field.description
    assert field.description.endswith(".")


@pytest.mark.parametrize(("body", "name", "field"), [f for f in FIELDS if f[2].examples], ids=field_id)
def test_the_examples_of_members_are_valid_and_canonical(body: type[Body], name: str, field: FieldInfo) -> None:
    member = Annotated[field.annotation, *(field.metadata or [""])]  # type: ignore[name-defined]
    adapter: TypeAdapter[Any] = TypeAdapter(member, config=ConfigDict(strict=True))
    for example in field.examples or []:
        assert adapter.dump_python(adapter.validate_python(example), mode="json") == example


@pytest.mark.parametrize("endpoint", MODELLED, ids=short)
def test_the_examples_of_whole_bodies_are_valid(endpoint: Endpoint) -> None:
    schema = schema_of(endpoint)
    for example in schema.get("examples", []):
        assert problems(endpoint, example, strict=True) == []
    if not isinstance(endpoint.node, ListSingleton) and schema.get("type", "object") != "object":
        assert schema["description"]


def referred(annotation: Any) -> Iterator[RefersTo]:
    for part in getattr(annotation, "__metadata__", ()):
        if isinstance(part, RefersTo):
            yield part
    for part in typing.get_args(annotation):
        yield from referred(part)
        if isinstance(part, type) and issubclass(part, Body):
            yield from in_body(part)


def in_body(body: type[Body]) -> Iterator[RefersTo]:
    for annotation in typing.get_type_hints(body, include_extras=True).values():
        yield from referred(annotation)
        if isinstance(annotation, type) and issubclass(annotation, Body):
            yield from in_body(annotation)


@pytest.mark.parametrize("endpoint", MODELLED, ids=short)
def test_references_stay_within_one_scope(endpoint: Endpoint) -> None:
    model = endpoint.node.model  # type: ignore[attr-defined]
    found = list(in_body(model) if isinstance(model, type) and issubclass(model, Body) else referred(model))
    assert bool(found) == (short(endpoint) in REFERRING)
    for reference in found:
        target = TREE[reference.to]
        assert target.holds_objects != isinstance(reference, RefersToPart)
        targets = target.children.values() if isinstance(reference, RefersToPart) else [target]
        assert {found.node.scope for found in targets} <= {"owner", endpoint.node.scope}
