"""The body of every endpoint on a fresh appliance, and what becomes of it when it is written back."""

from __future__ import annotations

from typing import Any

import pytest

import doorward.configuration
from doorward.configuration.aaa import acls
from doorward.host.machine import Machine
from doorward.host.zones import is_zone
from doorward.transaction.candidate import Candidate, Running
from doorward.tree.jsontext import decode_own, encode
from doorward.tree.nodes import Collection, ListSingleton, Singleton, Valued, WriteOnce
from doorward.tree.places import Place
from doorward.tree.problems import SemanticError
from doorward.tree.registry import Endpoint, discover

TREE = discover(doorward.configuration)
FRESH = Running(1, "", TREE.defaults(Machine()))
SINGLE = [endpoint for endpoint in TREE if isinstance(endpoint.node, (Singleton, ListSingleton))]
BUILT_IN = [(endpoint, key) for endpoint in TREE if isinstance(endpoint.node, Collection) for key in endpoint.node.default]
DOCUMENTS = [(endpoint, "") for endpoint in SINGLE] + BUILT_IN
LATER = [endpoint for endpoint in TREE if not endpoint.node.supported]


def name(value: Any) -> str:
    return value.path if isinstance(value, Endpoint) else str(value)


def refused(write: Any) -> list[tuple[str, str]]:
    with pytest.raises(SemanticError) as caught:
        write()
    return [(problem.code, problem.path) for problem in caught.value.problems]


@pytest.mark.parametrize(("endpoint", "key"), DOCUMENTS, ids=name)
def test_the_default_is_canonical(endpoint: Endpoint, key: str) -> None:
    assert isinstance(endpoint.node, Valued)
    document = FRESH.snapshot.document(Place(endpoint.path, key))
    assert document is not None
    declared = endpoint.node.default[key] if isinstance(endpoint.node, Collection) else endpoint.node.default  # type: ignore[attr-defined]
    assert document.stored == encode(declared(Machine()) if callable(declared) else declared)
    validated = endpoint.node.document(endpoint.node.parse(document.value))
    assert encode(document.value) == validated.stored
    assert (document.shown, document.references, document.name) == (validated.shown, validated.references, validated.name)


def test_only_defaults_are_loaded_without_a_validator(monkeypatch: pytest.MonkeyPatch) -> None:
    def validates(_node: object, value: Any) -> Any:
        raise ZeroDivisionError(value)

    monkeypatch.setattr(Valued, "parse", validates)
    declared = [(endpoint, key) for endpoint, key in DOCUMENTS if not callable(endpoint.node.default)]  # type: ignore[attr-defined]
    assert len(declared) > 50
    for endpoint, key in declared:
        document = FRESH.snapshot.document(Place(endpoint.path, key))
        assert document is not None
        assert endpoint.node.load(document.value) == document
    ssh, policies = TREE["/api/configuration/ssh/options"].node, TREE["/api/configuration/ssh/channel_policies"].node
    for node, key in ((ssh, ""), (policies, "-211")):
        document = FRESH.snapshot.document(Place(node.path, key))
        assert document is not None
        for other in (encode(document.value).replace(b"false", b"0"), encode(document.value).replace(b"false", b"true")):
            with pytest.raises(ZeroDivisionError):
                node.load(decode_own(other))


@pytest.mark.parametrize("strict", [False, True], ids=["lenient", "strict"])
@pytest.mark.parametrize(("endpoint", "key"), [d for d in DOCUMENTS if "PUT" in d[0].methods or d[1]], ids=name)
def test_putting_back_what_get_shows_is_accepted_and_no_change(endpoint: Endpoint, key: str, strict: bool) -> None:
    candidate = Candidate.on(FRESH)
    document = FRESH.snapshot.document(Place(endpoint.path, key))
    assert document is not None
    assert endpoint.node.replace(candidate, key, decode_own(document.shown), strict=strict) == ()
    assert not candidate.changed
    assert candidate.snapshot is FRESH.snapshot


@pytest.mark.parametrize("endpoint", [e for e in LATER if "PUT" in e.methods], ids=name)
@pytest.mark.parametrize("value", [{"x": 1}, [1], "x", 7, True], ids=str)
def test_what_is_not_honoured_yet_takes_no_other_body(endpoint: Endpoint, value: Any) -> None:
    candidate = Candidate.on(FRESH)
    assert refused(lambda: endpoint.node.replace(candidate, "", value, strict=False)) == [("not_supported", endpoint.path)]
    assert not candidate.changed


@pytest.mark.parametrize("endpoint", [e for e in LATER if "POST" in e.methods], ids=name)
def test_what_is_not_honoured_yet_takes_no_new_object(endpoint: Endpoint) -> None:
    candidate = Candidate.on(FRESH)
    assert refused(lambda: endpoint.node.add(candidate, {"name": "x"}, strict=False)) == [("not_supported", endpoint.path)]
    assert not candidate.changed


@pytest.mark.parametrize(("endpoint", "key"), BUILT_IN, ids=name)
def test_built_in_objects_cannot_be_deleted(endpoint: Endpoint, key: str) -> None:
    candidate = Candidate.on(FRESH)
    assert refused(lambda: endpoint.node.delete(candidate, key, TREE.node)) == [("built_in", f"{endpoint.path}/{key}")]
    assert not candidate.changed


def test_the_keys_of_built_in_objects_are_unlike_those_of_others() -> None:
    samples = {"78101850949e47437dd91d"}  # the one that the published samples show
    assert all(key.startswith("-") and int(key) < 0 for _, key in BUILT_IN if key not in samples)


def test_the_time_zone_is_that_of_the_host() -> None:
    assert is_zone(FRESH.snapshot.value("/api/configuration/datetime/timezone"))


def test_every_endpoint_but_branches_and_stores_has_a_body() -> None:
    expected = {endpoint.path for endpoint in SINGLE} | {"/api/configuration/ssh/connections"}  # an order
    assert set(FRESH.snapshot.singletons) == expected
    assert set(FRESH.snapshot.collections) == {endpoint.path for endpoint, _ in BUILT_IN}
    assert not any(isinstance(TREE[path].node, WriteOnce) for path in FRESH.snapshot.collections)


def test_the_rights_of_the_built_in_groups() -> None:
    lines = {line["group"]: (*line["objects"], line["permission"]) for line in FRESH.snapshot.value(acls.PATH)}
    protocols = ["ssh", "http", "ica", "mssql", "rdp", "telnet", "vnc"]
    pairs = [("basic", "basic"), ("auth", "auth"), *[(p, p) for p in protocols], ("cluster", "cluster"), ("backup", "backup")]
    expected = {
        f"{group}-{verb}": (f"/special/{right}", permission)
        for group, right in [*pairs, ("policies", "pol")]
        for verb, permission in (("view", "read"), ("write", "write"))
    }
    expected |= {
        "search": ("/special/searchmenu", "read"),
        "changelog": ("/special/changelog", "read"),
        "report": ("/special/report", "read"),
    }
    assert lines == expected
    assert list(lines)[:8] == [
        "basic-view", "basic-write", "auth-view", "auth-write", "search", "changelog", "policies-view", "policies-write",
    ]  # fmt: skip


def test_the_built_in_groups_are_those_of_the_rights_in_their_order() -> None:
    groups = FRESH.snapshot.objects("/api/configuration/aaa/local_database/groups")
    found = [(key, document.value["name"]) for key, document in groups.items()]
    names = [line["group"] for line in FRESH.snapshot.value(acls.PATH)]
    assert found == [(str(-1001 - index), group) for index, group in enumerate(names)]
    assert all(document.value["members"] == [] for _, document in groups.items())
