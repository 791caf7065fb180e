"""The cluster on one node: promoting, asking to join, accepting, roles; answers as the samples have them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.contract.wire import Caller, Reply, logged_in, resumed
from tests.support.server import Server, running

CLUSTER = "/api/cluster"
PROMOTE, JOIN, NODES, STATUS = f"{CLUSTER}/promote", f"{CLUSTER}/join_request", f"{CLUSTER}/nodes", f"{CLUSTER}/status"
PLUGIN, SPP = f"{CLUSTER}/configuration_sync_plugin", f"{CLUSTER}/spp"
INTERFACE = "/api/configuration/local_services/cluster"
NIC = "/api/configuration/network/nics/nic1"
UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
HOME = "127.0.0.1"
"""Where Central Management is."""
OTHER = "46f97a58-4028-467d-9a22-9cfe78ae3e1c"
PSK = "Zq3mWq0F8nY2b4cV7xT1sLr9dQ5uJ6hPg0aEiOyNwKMx2B7tR4vC8zD1fG5hJ9kL"
ASK = {"central_management_address": "127.0.0.9"}
ACCEPT = {"address": "127.0.0.2", "node_id": OTHER, "psk": PSK, "roles": []}


def address_key(caller: Caller) -> str:
    """The reference to the address that the node listens on."""
    interfaces = caller.body(NIC)["interfaces"]
    interface = interfaces["@order"][0]
    return f"nic1.interfaces.{interface}.addresses.{interfaces[interface]['addresses']['@order'][0]}"


def enable(caller: Caller) -> None:
    caller.put(INTERFACE, {"enabled": True, "listen_address": address_key(caller)}).ok()
    caller.commit().ok()


@pytest.fixture(scope="module")
def central(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Central Management."""
    with running(tmp_path_factory.mktemp("central") / "state", options=("--cluster-port", "7444")) as server:
        caller = logged_in(server)
        enable(caller)
        caller.post(PROMOTE).ok(201)
        caller.commit().ok()
        caller.close()
        yield server


@pytest.fixture(scope="module")
def cookie(central: Server) -> str:
    caller = logged_in(central)
    caller.close()
    return caller.cookie


@pytest.fixture
def central_node(central: Server, cookie: str) -> Iterator[Caller]:
    with resumed(central, cookie) as caller:
        yield caller


def own_id(caller: Caller) -> str:
    return str(caller.get(STATUS).ok().meta["self"].rpartition("/")[2])


def without_time(reply: Reply) -> Any:
    reply.json["meta"].pop("remaining_seconds")
    return reply.json


def test_the_children_are_those_of_the_contract(admin: Caller) -> None:
    answer = without_time(admin.get(CLUSTER).ok())
    assert [item["key"] for item in answer["items"]] == [
        "configuration_sync_plugin", "join_request", "nodes", "promote", "status"
    ]  # fmt: skip
    assert answer["meta"] == {"href": CLUSTER, "parent": "/api"}


def test_a_standalone_node_is_in_no_cluster(admin: Caller) -> None:
    assert without_time(admin.get(JOIN).ok()) == {
        "details": {}, "meta": {"href": JOIN, "parent": CLUSTER}, "status": "not in cluster"
    }  # fmt: skip
    admin.get(STATUS).is_error(404, "NotFound")
    admin.get(f"{STATUS}/{OTHER}").is_error(404, "NotFound")
    assert admin.get(NODES).ok().json["items"] == []
    assert admin.get("/api/info").ok().json["body"]["roles"] == []
    admin.get(PROMOTE).is_error(405, "MethodNotAllowed")


def test_without_the_interface_nothing_can_begin(admin: Caller) -> None:
    admin.post(PROMOTE).refuses("SemanticError", ("cluster_interface_disabled", ""))
    admin.post(JOIN, ASK).refuses("SemanticError", ("cluster_interface_disabled", ""))
    assert admin.get("/api/transaction").json["body"]["status"] == "closed"


def test_an_interface_needs_an_address_that_exists(admin: Caller) -> None:
    admin.put(INTERFACE, {"enabled": True, "listen_address": "nic1.interfaces.x.addresses.y"}).refuses(
        "SemanticError", ("unknown_reference", "/listen_address")
    )
    admin.put(INTERFACE, {"enabled": True, "listen_address": None}).ok()
    admin.commit().refuses("SemanticError", ("required_with", "/listen_address"))


def test_the_interface_is_shown_as_the_seed_shows_it(admin: Caller) -> None:
    key = address_key(admin)
    href = NIC.rpartition("/")[0] + "/" + key.replace("nic1.", "nic1#", 1).replace(".", "/")
    answer = admin.put(INTERFACE, {"enabled": True, "listen_address": key}).ok()
    assert answer.json["body"] == {"enabled": True, "listen_address": {"key": key, "meta": {"href": href}}}


def test_promotion_is_taken_back_with_its_transaction(admin: Caller) -> None:
    admin.put(INTERFACE, {"enabled": True, "listen_address": address_key(admin)}).ok()
    answer = admin.post(PROMOTE, {}).ok(201)
    assert answer.json["body"] == {"address": "127.0.0.1", "roles": ["central-management"]}
    href = answer.json["meta"]["href"]
    assert re.fullmatch(f"{NODES}/{UUID}", href)
    assert answer.header("Location") == href
    assert without_time(answer)["meta"] == {"href": href, "parent": NODES}
    paths = [change["path"] for change in admin.get("/api/transaction/changes").json["changes"]]
    assert [path for path in paths if path.startswith(CLUSTER)] == [href, PROMOTE]
    admin.post(PROMOTE).refuses("SemanticError", ("already_in_cluster", ""))
    admin.post(JOIN, ASK).refuses("SemanticError", ("already_in_cluster", ""))
    admin.delete("/api/transaction").ok()
    assert admin.get(JOIN).json["status"] == "not in cluster"


def test_a_join_request_shows_its_secret_once_and_can_be_withdrawn(server: Server, admin: Caller) -> None:
    enable(admin)
    answer = admin.post(JOIN, ASK).ok(201)
    body = answer.json["body"]
    assert re.fullmatch("[A-Za-z0-9]{64}", body.pop("psk"))
    assert re.fullmatch(UUID, body.pop("node_id"))
    assert body == {"address": "127.0.0.1", "roles": []}
    assert without_time(answer)["meta"] == {"href": JOIN, "parent": CLUSTER}
    psk = answer.json["body"] | admin.post(JOIN, ASK).ok(201).json["body"]
    assert psk["psk"] not in admin.get("/api/transaction/changes").body.decode()
    admin.commit().ok()
    state = without_time(admin.get(JOIN).ok())
    assert state["status"] == "join requested"
    assert state["details"]["central_management_address"] == "127.0.0.9"
    assert state["details"].keys() == {"central_management_address", "last_attempt", "reason"}
    admin.put(INTERFACE, {"enabled": False}).ok()
    admin.commit().refuses("SemanticError", ("referenced", "/enabled"))
    admin.delete("/api/transaction").ok()
    moved = admin.put(JOIN, {"central_management_address": "127.0.0.8"}).ok()
    assert moved.json["details"]["central_management_address"] == "127.0.0.8"
    admin.commit().ok()
    admin.delete(JOIN).ok()
    admin.commit().ok()
    assert admin.get(JOIN).json["status"] == "not in cluster"
    admin.delete(JOIN).refuses("SemanticError", ("not_in_cluster", ""))
    files = [path for path in Path(server.state).rglob("*") if path.is_file()]
    assert [path for path in files if psk["psk"].encode() in path.read_bytes()] == []
    assert psk["psk"] not in "".join(server.errors)


def test_what_a_transaction_takes_back_leaves_no_secret_behind(admin: Caller) -> None:
    enable(admin)
    admin.post(JOIN, ASK).ok(201)
    admin.delete(JOIN).ok()
    assert admin.get("/api/transaction/changes").ok().json["changes"] == []
    admin.delete("/api/transaction").ok()


@pytest.mark.parametrize(
    ("body", "codes"),
    [
        ({}, [("missing", "/central_management_address")]),
        ({"central_management_address": "central.example.com"}, [("format", "/central_management_address")]),
        ({"central_management_address": 1}, [("type", "/central_management_address")]),
    ],
)
def test_a_join_request_takes_an_address_and_no_name(admin: Caller, body: Any, codes: list[tuple[str, str]]) -> None:
    admin.post(JOIN, body).refuses("InvalidRequestBody", *codes)


def test_a_node_does_not_join_itself(admin: Caller) -> None:
    admin.put(INTERFACE, {"enabled": True, "listen_address": address_key(admin)}).ok()
    itself = {"central_management_address": "127.0.0.1"}
    admin.post(JOIN, itself).refuses("SemanticError", ("own_address", "/central_management_address"))


@pytest.mark.parametrize("path", [NODES, f"{NODES}/{OTHER}"])
def test_who_is_no_central_writes_no_nodes(admin: Caller, path: str) -> None:
    if path == NODES:
        admin.post(path, ACCEPT).refuses("SemanticError", ("not_central", ""))
    else:
        admin.put(path, {"address": "127.0.0.2", "roles": []}).is_error(404, "NotFound")


def test_what_this_release_does_not_do_says_so(admin: Caller, central_node: Caller) -> None:
    shown = {"meta": {"href": PLUGIN, "parent": CLUSTER}, "plugin": {"key": None, "meta": {}}}
    assert without_time(admin.get(PLUGIN).ok()) == shown
    for method in ("post", "put"):
        assert without_time(getattr(central_node, method)(PLUGIN, {"enabled": False}).ok()) == shown
        getattr(central_node, method)(PLUGIN, {"enabled": True, "key": OTHER}).refuses(
            "SemanticError", ("not_supported", "/enabled")
        )
        getattr(admin, method)(PLUGIN, {"enabled": False}).refuses("SemanticError", ("not_central", ""))
        getattr(central_node, method)(PLUGIN, {}).refuses("InvalidRequestBody", ("missing", "/enabled"))
    admin.post(SPP, {"spp": "192.0.2.9"}).refuses("SemanticError", ("not_supported", ""))


# On Central Management


def test_the_central_shows_itself(central_node: Caller) -> None:
    key = own_id(central_node)
    assert without_time(central_node.get(f"{NODES}/{key}").ok()) == {
        "body": {"address": HOME, "roles": ["central-management"]},
        "key": key,
        "meta": {"href": f"{NODES}/{key}", "parent": NODES, "status": f"{STATUS}/{key}"},
    }
    (item,) = central_node.get(STATUS).ok().json["items"]
    assert item.pop("fqdn")
    assert item == {
        "health_status": None, "key": key, "status": "ok", "sync_status": "n/a", "version": "0.1.0",
        "meta": {"configuration": f"{NODES}/{key}", "href": f"{STATUS}/{key}"},
    }  # fmt: skip
    one = without_time(central_node.get(f"{STATUS}/{key}").ok())
    assert one["meta"] == {"configuration": f"{NODES}/{key}", "href": f"{STATUS}/{key}", "parent": STATUS}
    assert (one["key"], one["sync_status"]) == (key, "n/a")
    assert without_time(central_node.get(JOIN).ok()) == {
        "details": {"central_management_address": HOME, "last_attempt": None, "reason": None},
        "meta": {"href": JOIN, "parent": CLUSTER},
        "status": "in cluster",
    }
    assert central_node.get("/api/info").ok().json["body"]["roles"] == ["central-management"]


def test_there_is_no_way_back_from_the_central(central_node: Caller) -> None:
    central_node.delete(JOIN).refuses("SemanticError", ("central_role", ""))
    central_node.put(JOIN, ASK).refuses("SemanticError", ("central_role", ""))
    central_node.delete(f"{NODES}/{own_id(central_node)}").refuses("SemanticError", ("central_role", ""))
    central_node.put(INTERFACE, {"enabled": False}).ok()
    central_node.commit().refuses("SemanticError", ("referenced", "/enabled"))


def test_restoring_the_first_revision_leaves_the_cluster_alone(central_node: Caller) -> None:
    central_node.post("/api/revisions/1/restore").ok()
    central_node.commit().refuses("SemanticError", ("referenced", "/enabled"))


@pytest.fixture
def accepted(central_node: Caller) -> Iterator[Caller]:
    """Central Management after it accepted a node that never comes."""
    answer = central_node.post(NODES, ACCEPT).ok(201)
    assert PSK not in answer.body.decode()
    assert without_time(answer) == {
        "body": {"address": "127.0.0.2", "roles": []},
        "key": OTHER,
        "meta": {"href": f"{NODES}/{OTHER}", "parent": NODES, "status": f"{STATUS}/{OTHER}"},
    }
    central_node.commit().ok()
    yield central_node
    central_node.delete(f"{NODES}/{OTHER}").ok()
    central_node.commit().ok()


def test_an_accepted_node_is_listed_and_offline(accepted: Caller) -> None:
    items = accepted.get(NODES).ok().json["items"]
    assert items[1] == {
        "body": {"address": "127.0.0.2", "roles": []},
        "key": OTHER,
        "meta": {"href": f"{NODES}/{OTHER}", "status": f"{STATUS}/{OTHER}"},
    }
    found = without_time(accepted.get(f"{STATUS}/{OTHER}").ok())
    assert (found["status"], found["sync_status"], found["fqdn"], found["health_status"]) == ("offline", "n/a", None, None)
    assert "last_seen" not in found
    accepted.get(f"{STATUS}/{OTHER[:-1]}d").is_error(404, "NotFound")


def test_a_node_that_never_paired_can_be_accepted_again_with_another_secret(accepted: Caller) -> None:
    accepted.post(NODES, {**ACCEPT, "psk": PSK[::-1]}).ok(201)
    accepted.commit().ok()
    assert len(accepted.get(NODES).json["items"]) == 2


def test_a_node_that_is_removed_before_the_commit_leaves_no_secret_behind(central_node: Caller) -> None:
    central_node.post(NODES, ACCEPT).ok(201)
    central_node.delete(f"{NODES}/{OTHER}").ok()
    assert central_node.get("/api/transaction/changes").ok().json["changes"] == []
    central_node.delete("/api/transaction").ok()


def test_a_cluster_has_room_for_a_thousand_nodes(central_node: Caller) -> None:
    def accept(number: int) -> Reply:
        address, node_id = f"10.0.{number >> 8}.{number & 255}", f"{OTHER[:-4]}{number:04x}"
        return central_node.post(NODES, {**ACCEPT, "address": address, "node_id": node_id})

    for number in range(1, 1000):
        accept(number).ok(201)
    accept(1000).refuses("SemanticError", ("length", ""))
    accept(999).ok(201)
    central_node.delete("/api/transaction").ok()


@pytest.mark.parametrize(
    ("change", "codes"),
    [
        ({"psk": PSK[:-1]}, [("format", "/psk")]),
        ({"psk": PSK[:-1] + "-"}, [("format", "/psk")]),
        ({"node_id": "x"}, [("format", "/node_id")]),
        ({"node_id": "x" * 100}, [("format", "/node_id")]),
        ({"address": "node.example.com", "node_id": 1}, [("format", "/address"), ("type", "/node_id")]),
        ({"roles": ["managed-host"]}, [("length", "/roles")]),
    ],
)
def test_what_can_not_be_accepted(central_node: Caller, change: dict[str, Any], codes: list[tuple[str, str]]) -> None:
    answer = central_node.post(NODES, {**ACCEPT, **change}).refuses("InvalidRequestBody", *codes)
    assert PSK[:-1] not in answer.body.decode()


def test_addresses_and_ids_belong_to_one_node(accepted: Caller) -> None:
    own = own_id(accepted)
    accepted.post(NODES, {**ACCEPT, "node_id": own}).refuses("SemanticError", ("already_in_cluster", "/node_id"))
    other = OTHER[:-1] + "d"
    accepted.post(NODES, {**ACCEPT, "node_id": other}).refuses("SemanticError", ("duplicate_address", "/address"))
    body = {"address": HOME, "roles": []}
    accepted.put(f"{NODES}/{OTHER}", body).refuses("SemanticError", ("duplicate_address", "/address"))


@pytest.mark.parametrize(
    ("roles", "kind", "code"),
    [
        (["backup-host"], "InvalidRequestBody", ("enum", "/roles/0")),
        (["managed-host", "managed-host"], "InvalidRequestBody", ("duplicate", "/roles/1")),
        (["search-local", "search-minion"], "InvalidRequestBody", ("contradiction", "/roles")),
        (["central-management", "managed-host"], "InvalidRequestBody", ("contradiction", "/roles")),
        (["central-management"], "SemanticError", ("central_role", "/roles")),
        (["search-master"], "InvalidRequestBody", ("contradiction", "/roles")),
        (["central-management", "search-minion"], "InvalidRequestBody", ("contradiction", "/roles")),
    ],
)
def test_roles_that_can_not_be_given(accepted: Caller, roles: list[str], kind: str, code: tuple[str, str]) -> None:
    accepted.put(f"{NODES}/{OTHER}", {"address": "127.0.0.2", "roles": roles}).refuses(kind, code)


def test_a_node_that_nobody_searches_is_warned_of(accepted: Caller) -> None:
    body = {"address": "127.0.0.3", "roles": ["search-minion"]}
    accepted.put(f"{NODES}/{OTHER}", body).ok()
    assert [w["code"] for w in accepted.commit().ok().json["meta"]["warnings"]] == ["no_search_master"]


def test_a_role_is_given_with_a_word_of_warning(accepted: Caller) -> None:
    body = {"address": "127.0.0.3", "roles": ["managed-host"]}
    answer = without_time(accepted.put(f"{NODES}/{OTHER}", {**body, "psk": "x"}).ok())
    assert answer["body"] == body
    assert [(w["code"], w["pointer"]) for w in answer["meta"]["warnings"]] == [("unknown_member", "/psk")]
    done = accepted.commit().ok()
    assert [w["code"] for w in done.json["meta"]["warnings"]] == ["overwrites_node", "no_search_role"]
    assert accepted.get(f"{STATUS}/{OTHER}").json["sync_status"] == "not-fetched"
    accepted.put(f"{NODES}/{own_id(accepted)}", {"address": HOME, "roles": []}).refuses(
        "SemanticError", ("central_role", "/roles")
    )


def test_who_has_no_right_for_the_cluster_sees_nothing_of_it(server: Server, admin: Caller, login: Any) -> None:
    password = admin.post("/api/configuration/passwords", {"plain": "correct horse battery"}).ok(201).json["key"]
    users = "/api/configuration/aaa/local_database/users"
    admin.post(users, {"name": "jane", "password": password}).ok(201)
    admin.commit().ok()
    jane = login("jane", "correct horse battery")
    for path in (JOIN, NODES, PLUGIN):
        jane.get(path).is_error(403, "Unauthorized")
    jane.post(PROMOTE).is_error(403, "Unauthorized")
    jane.get(CLUSTER).ok()
    jane.close()
