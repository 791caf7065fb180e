"""Connection policies: the body, what has to fit together around them, where they listen, their order."""

from __future__ import annotations

from typing import Any

import pytest

from doorward.configuration.ssh import connections
from doorward.host.claims import listeners
from doorward.host.resources import AccessRule, Listener
from doorward.transaction.history import restore
from doorward.transaction.merge import MergeConflict
from doorward.transaction.privileged import Committer
from doorward.tree.problems import InvalidBody
from tests.unit.configuration.policies.checks import changed, password, private_key, problems, refused, stored
from tests.unit.configuration.ssh.checks import (
    AUTHENTICATIONS,
    CONNECTIONS,
    HOST_KEYS,
    OPTIONS,
    SETTINGS,
    add,
    connection,
    found,
    switched_on,
)
from tests.unit.configuration.ssh.samples import AUTHORITY, CHANNELS, DEFAULTS, ON, SHORT, rule
from tests.unit.transaction.rig import GROUPS, ROOT, TREE, USERS, Rig

ELSEWHERE = "192.0.2.77/32"
OTHER_AUTHORITY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINfMPvcqa8+dU7UwItAVS/PV78PT2pHCj2d5ig0l4zIY"


def gate(rig: Rig, candidate: Any, *relayed: dict[str, Any], backend: str = "accounts") -> str:
    body = {
        "backend": {"selection": backend},
        "client": {"password": {"enabled": True}},
        "name": f"gate-{len(relayed)}",
        "relayed": [*relayed],
    }
    return rig.post(candidate, AUTHENTICATIONS, body)


# The body


def test_what_is_left_out_takes_its_default() -> None:
    whole = stored(CONNECTIONS, SHORT)
    assert {name: whole[name] for name in DEFAULTS} == DEFAULTS
    assert {name for name, chosen in whole["policies"].items() if chosen is None} == {
        "aa_plugin", "analytics_policy", "archive_cleanup_policy", "backup_policy", "credential_store", "ldap_server",
        "usermapping_policy",
    }  # fmt: skip
    assert whole["server_address"]["exception_domains"] == [] == whole["server_address"]["dns_suffixes"]


@pytest.mark.parametrize("required", ["name", "network", "policies", "server_address"])
def test_what_is_required(required: str) -> None:
    assert problems(CONNECTIONS, {name: one for name, one in SHORT.items() if name != required}) == [("missing", f"/{required}")]


@pytest.mark.parametrize("required", ["audit_policy", "authentication_policy", "channel_policy", "settings"])
def test_policies_that_are_required(required: str) -> None:
    chosen = {name: one for name, one in SHORT["policies"].items() if name != required}
    assert problems(CONNECTIONS, {**SHORT, "policies": chosen}) == [("missing", f"/policies/{required}")]


@pytest.mark.parametrize(
    ("at", "value", "code", "pointer"),
    [
        ("policies/aa_plugin", "x", "not_supported", ""),
        ("policies/analytics_policy", "x", "not_supported", ""),
        ("policies/backup_policy", {"key": "x"}, "not_supported", ""),
        ("web_gateway_authentication", {"enabled": True}, "not_supported", "/enabled"),
        ("channel_database_cleanup", {"enabled": True}, "missing", "/days"),
        ("server_address", {"selection": "original"}, "not_supported", "/selection"),
        ("server_address", {"selection": "nat", "network": "10.0.0.0/8"}, "not_supported", "/selection"),
        ("server_address", {"selection": "inband", "domains": []}, "length", "/domains"),
        ("network/ports", [], "length", ""),
        ("network/ports", [22, 22], "duplicate", "/1"),
        ("network/ports", [*range(1, 18)], "length", ""),
        ("network/ports", [0], "range", "/0"),
        ("network/clients", ["10.0.0.1/8", "10.0.0.2/8"], "duplicate", "/1"),
        ("network/clients", ["10.0.0.0/33"], "format", "/0"),
        ("network/targets", ["fe80::1%eth0"], "format", "/0"),
        ("network/targets", ["host.example"], "format", "/0"),
        ("client_side_hostkeys", {"selection": "own", "keys": []}, "length", "/keys"),
        ("server_side_hostkeys", {"authorities": ["ssh-ed25519 x"]}, "format", "/authorities/0"),
        ("indexing", {"priority": 5}, "range", "/priority"),
        ("indexing", {"priority": 3}, "not_supported", "/priority"),
        ("override_log_level", {"enabled": True}, "not_supported", "/enabled"),
    ],
)
def test_what_is_refused(at: str, value: Any, code: str, pointer: str) -> None:
    body = {**SHORT, "policies": {**SHORT["policies"], "backup_policy": None}}
    assert problems(CONNECTIONS, changed(body, at, value)) == [(code, f"/{at}{pointer}")]


def test_a_plain_address_is_a_network_of_its_own() -> None:
    network = {"clients": ["10.0.0.5", "2001:DB8::1"], "ports": [22], "targets": ["192.0.2.1/24"]}
    assert stored(CONNECTIONS, {**SHORT, "network": network})["network"] == {
        "clients": ["10.0.0.5/32", "2001:db8::1/128"], "ports": [22], "targets": ["192.0.2.1/24"]
    }  # fmt: skip


# Where they listen


def test_a_policy_listens_on_the_own_addresses_in_its_targets(rig: Rig) -> None:
    candidate = switched_on(rig)
    first = add(rig, candidate, at={"network/targets": ["127.0.0.0/8", "::1"], "network/ports": [2222, 2223]})
    add(rig, candidate, "second", {"network/ports": [2222]})
    add(rig, candidate, "third", {"active": False, "network/ports": [2224]})
    assert connections.NODE.claims is not None
    assert list(listeners(connections.NODE.claims(candidate.snapshot))) == [
        Listener("127.0.0.1", port, (AccessRule("ssh"),), origin=f"{ROOT}{CONNECTIONS}/{first}") for port in (2222, 2223)
    ]
    rig.commit(candidate)
    assert {"127.0.0.1:2222", "127.0.0.1:2223"} <= rig.host.listeners.open_ones.keys()
    rig.committed((OPTIONS, {}))
    assert not {"127.0.0.1:2222", "127.0.0.1:2223"} & rig.host.listeners.open_ones.keys()


def test_nothing_listens_while_ssh_is_off(rig: Rig) -> None:
    candidate = rig.candidate()
    add(rig, candidate)
    assert connections.NODE.claims is not None
    assert list(connections.NODE.claims(candidate.snapshot)) == []


def test_another_policy_opens_no_listener_anew(rig: Rig) -> None:
    candidate = switched_on(rig)
    key = add(rig, candidate)
    rig.commit(candidate)
    candidate = rig.candidate()
    add(rig, candidate, "second", {"network/clients": ["10.0.0.0/8"]})
    rig.put(candidate, CONNECTIONS, connection("renamed"), key)
    assert rig.pipeline.plan(candidate).plan.actions == ()


def test_a_port_of_another_service_is_refused(rig: Rig) -> None:
    candidate = switched_on(rig)
    first = add(rig, candidate, at={"network/ports": [2222, 8443]})
    add(rig, candidate, "inactive", {"network/ports": [8443], "active": False})
    expected = ("port_conflict", f"{CONNECTIONS}/{first}", "/network/ports/1")
    assert refused(lambda: rig.commit(candidate)) == [expected]
    rig.put(candidate, CONNECTIONS, connection(), first)
    rig.commit(candidate)
    moved = rig.candidate()
    [line] = rig.value("local_services/admin_web")["listen"]
    own = {**rig.value("local_services/admin_web"), "listen": [{**line, "https_port": 2222}]}
    rig.put(moved, "local_services/admin_web", own)
    assert refused(lambda: rig.commit(moved)) == [("port_conflict", f"{CONNECTIONS}/{first}", "/network/ports/0")]


def test_a_conflict_is_seen_when_ssh_is_switched_on_later(rig: Rig) -> None:
    candidate = rig.candidate()
    key = add(rig, candidate, at={"network/ports": [8443]})
    rig.commit(candidate)
    candidate = switched_on(rig)
    other = add(rig, candidate, "second", {"network/ports": [2223]})
    rig.put(candidate, CONNECTIONS, connection("third", {"network/ports": [2224]}), other)
    assert refused(lambda: rig.commit(candidate)) == [("port_conflict", f"{CONNECTIONS}/{key}", "/network/ports/0")]


def test_a_node_without_such_an_address_is_told(rig: Rig) -> None:
    candidate = switched_on(rig)
    away = add(rig, candidate, at={"network/targets": [ELSEWHERE]})
    source = add(rig, candidate, "source", {"source_address": {"selection": "fix", "address": "192.0.2.77"}})
    assert found(rig, candidate) == (
        set(),
        {
            ("no_own_address", f"{CONNECTIONS}/{away}", "/network/targets"),
            ("no_own_address", f"{CONNECTIONS}/{source}", "/source_address/address"),
        },
    )


@pytest.mark.parametrize(
    ("clients", "at", "is_shadowed"),
    [
        ([["10.0.0.0/8"]], {"network/clients": ["10.1.0.0/16"]}, True),
        ([["10.0.0.0/9"], ["10.128.0.0/9"]], {"network/clients": ["10.0.0.0/8"]}, True),
        ([["10.0.0.0/9"]], {"network/clients": ["10.0.0.0/8"]}, False),
        ([["0.0.0.0/0"]], {"network/clients": ["10.0.0.0/8", "::/0"]}, False),
        ([["0.0.0.0/0", "::/0"]], {"network/ports": [2222, 2223]}, False),
        ([["0.0.0.0/0", "::/0"]], {"network/targets": ["127.0.0.0/8"]}, False),
        ([["0.0.0.0/0", "::/0"]], {"network/targets": ["127.0.0.1/32", ELSEWHERE]}, False),
    ],
)
def test_a_policy_that_never_takes_a_connection_is_told(
    rig: Rig, clients: list[list[str]], at: dict[str, Any], is_shadowed: bool
) -> None:
    candidate = rig.candidate()
    for number, networks in enumerate(clients):
        add(rig, candidate, f"earlier-{number}", {"network/clients": networks})
    add(rig, candidate, "off", {"active": False})
    key = add(rig, candidate, "later", at)
    told = ("shadowed", f"{CONNECTIONS}/{key}", "/network") in found(rig, candidate)[1]
    assert told is is_shadowed


# Where connections go


def test_the_appliance_is_no_fixed_server(rig: Rig) -> None:
    candidate = switched_on(rig)
    address: Any = {"selection": "ip", "value": "127.0.0.1"}
    own = add(rig, candidate, at={"server_address": {"selection": "fix", "address": address, "port": 2222}})
    web = add(rig, candidate, "web", {"server_address": {"selection": "fix", "address": address, "port": 8443}})
    add(rig, candidate, "sshd", {"server_address": {"selection": "fix", "address": address, "port": 22}})
    assert found(rig, candidate)[0] == {
        ("contradiction", f"{CONNECTIONS}/{key}", "/server_address/address") for key in (own, web)
    }


def test_a_network_with_addresses_of_the_node_is_told(rig: Rig) -> None:
    candidate = rig.candidate()
    lines: list[Any] = [{"domain": {"selection": "address", "value": "127.0.0.0/8"}, "port": None}]
    key = add(rig, candidate, at={"server_address/domains": lines})
    assert ("own_address", f"{CONNECTIONS}/{key}", "/server_address/domains/0/domain") in found(rig, candidate)[1]
    lines.append({"domain": {"selection": "address", "value": "127.0.0.1"}, "port": 22})
    rig.put(candidate, CONNECTIONS, connection(at={"server_address/domains": lines}), key)
    assert not any(code == "own_address" for code, _, _ in found(rig, candidate)[1])


@pytest.mark.parametrize("check", ["accept_first", "disabled"])
@pytest.mark.parametrize("way", ["same_password", "private_key", "certificate", "credential_store"])
def test_stored_secrets_go_to_proven_servers_only(rig: Rig, check: str, way: str) -> None:
    candidate = rig.candidate()
    members = {"private_key": "key", "certificate": "ca_key"}
    own = {members[way]: private_key(rig, candidate)} if way in members else {}
    policy = gate(rig, candidate, {"selection": "agent"}, {"selection": way, **own})
    store = rig.post(candidate, "policies/credentialstores", {"name": "servers"})
    hosts = {"plain_hostkey": {"check": check}}
    chosen = {**SHORT["policies"], "authentication_policy": policy, "credential_store": store}
    key = add(rig, candidate, at={"server_side_hostkeys": hosts, "policies": chosen})
    at = "/server_side_hostkeys/plain_hostkey/check"
    assert found(rig, candidate)[0] == {("contradiction", f"{CONNECTIONS}/{key}", at)}
    rig.put(candidate, CONNECTIONS, connection(at={"policies": chosen}), key)
    assert found(rig, candidate)[0] == set()


def test_the_password_of_somebody_unknown_may_go_to_any_server(rig: Rig) -> None:
    candidate = rig.candidate()
    key = add(rig, candidate, at={"server_side_hostkeys": {"plain_hostkey": {"check": "disabled"}}})
    at = "/server_side_hostkeys/plain_hostkey/check"
    assert found(rig, candidate) == (set(), {("host_key_unchecked", f"{CONNECTIONS}/{key}", at)})


def test_a_weaker_policy_elsewhere_is_refused_at_the_connection(rig: Rig) -> None:
    candidate = rig.candidate()
    policy = gate(rig, candidate, {"selection": "agent"})
    chosen = {**SHORT["policies"], "authentication_policy": policy}
    key = add(rig, candidate, at={"server_side_hostkeys": {"plain_hostkey": {"check": "accept_first"}}, "policies": chosen})
    rig.commit(candidate)
    candidate = rig.candidate()
    body = {**rig.value(AUTHENTICATIONS, policy), "relayed": [{"selection": "same_password"}]}
    rig.put(candidate, AUTHENTICATIONS, body, policy)
    at = "/server_side_hostkeys/plain_hostkey/check"
    assert refused(lambda: rig.commit(candidate)) == [("contradiction", f"{CONNECTIONS}/{key}", at)]


def test_another_authority_for_stored_secrets_takes_every_right(rig: Rig) -> None:
    candidate = rig.candidate()
    line = {"host": "10.0.0.0/8", "username": "root", "password": password(rig, candidate)}
    store = rig.post(candidate, "policies/credentialstores", {"name": "servers", "credentials": [line]})
    policy = gate(rig, candidate, {"selection": "credential_store"})
    chosen = {**SHORT["policies"], "authentication_policy": policy, "credential_store": store}
    trusted = {"authorities": [AUTHORITY]}
    key = add(rig, candidate, at={"policies": chosen, "server_side_hostkeys": trusted})
    rig.commit(candidate)
    candidate = rig.candidate()
    rig.put(candidate, CONNECTIONS, connection(at={"policies": chosen}), key)
    other = add(
        rig, candidate, "other", {"policies": chosen, "server_side_hostkeys": {"authorities": [AUTHORITY, OTHER_AUTHORITY]}}
    )
    somebody = rig.pipeline.plan(candidate, by=Committer("somebody"))
    at = "/server_side_hostkeys/authorities/1"
    assert [(one.code, one.path, one.pointer) for one in somebody.problems] == [
        ("privilege_required", f"{ROOT}{CONNECTIONS}/{other}", at)
    ]
    assert rig.pipeline.plan(candidate, by=Committer("admin", everything=True)).problems == ()


# What policies need of each other


def test_what_the_authentication_policy_builds_on_is_needed(rig: Rig) -> None:
    candidate = rig.candidate()
    policy = gate(rig, candidate, {"selection": "credential_store"}, backend="ldap")
    key = add(rig, candidate, at={"policies/authentication_policy": policy})
    place = f"{CONNECTIONS}/{key}"
    assert found(rig, candidate)[0] == {
        ("required_with", place, "/policies/ldap_server"),
        ("required_with", place, "/policies/credential_store"),
    }


def test_host_keys_of_one_type_are_refused(rig: Rig) -> None:
    candidate = rig.candidate()
    keys = [rig.post(candidate, "private_keys", {"generate": {"selection": "ed25519"}}) for _ in range(2)]
    key = add(rig, candidate, at={"client_side_hostkeys": {"selection": "own", "keys": keys}})
    assert found(rig, candidate)[0] == {("duplicate", f"{CONNECTIONS}/{key}", "/client_side_hostkeys/keys/1")}


def test_host_keys_that_clients_are_not_offered_are_refused(rig: Rig) -> None:
    candidate = rig.candidate()
    own = {"selection": "own", "keys": [rig.post(candidate, "private_keys", {"generate": {"selection": "ed25519"}})]}
    settings = rig.post(candidate, SETTINGS, {"name": "rsa", "client_side_algorithms": {"host_key": ["rsa-sha2-512"]}})
    key = add(rig, candidate, at={"client_side_hostkeys": own, "policies/settings": settings})
    add(rig, candidate, "appliance", {"policies/settings": settings})
    assert found(rig, candidate)[0] == {("contradiction", f"{CONNECTIONS}/{key}", "/policies/settings")}


def test_a_host_key_has_one_owner(rig: Rig) -> None:
    candidate = rig.candidate()
    own = {"selection": "own", "keys": [private_key(rig, candidate)]}
    keys = {add(rig, candidate, name, {"client_side_hostkeys": own}) for name in ("one", "two")}
    expected = {("referenced_twice", f"{CONNECTIONS}/{key}", "/client_side_hostkeys/keys/0") for key in keys}
    assert expected <= found(rig, candidate)[0]


def test_authorizers_are_local_groups(rig: Rig) -> None:
    candidate = rig.candidate()
    group = rig.post(candidate, GROUPS, {"name": "auditors"})
    lines = [{"authorizer": name, "permission": "audit"} for name in ("auditors", "nobody")]
    key = add(rig, candidate, at={"access_control": lines})
    expected = ("unknown_reference", f"{CONNECTIONS}/{key}", "/access_control/1/authorizer")
    assert found(rig, candidate)[0] == {expected}
    rig.put(candidate, CONNECTIONS, connection(at={"access_control": lines[:1]}), key)
    rig.commit(candidate)
    candidate = rig.candidate()
    rig.delete(candidate, GROUPS, group)
    assert found(rig, candidate)[0] == {("unknown_reference", f"{CONNECTIONS}/{key}", "/access_control/0/authorizer")}


def test_no_session_is_kept_for_longer_than_all_are(rig: Rig) -> None:
    candidate = rig.candidate()
    key = add(rig, candidate, at={"channel_database_cleanup": {"enabled": True, "days": 31}})
    rig.commit(candidate)
    expected = [("contradiction", f"{CONNECTIONS}/{key}", "/channel_database_cleanup/days")]
    candidate = rig.candidate()
    rig.put(candidate, OPTIONS, {"channel_database_cleanup": {"enabled": True, "days": 30}})
    assert refused(lambda: rig.commit(candidate)) == expected
    rig.put(candidate, OPTIONS, {"channel_database_cleanup": {"enabled": True, "days": 31}})
    rig.commit(candidate)


def test_rules_about_groups_that_nobody_can_be_in_are_told(rig: Rig) -> None:
    candidate = rig.candidate()
    rules = [rule("session-shell", gateway_groups=["dba"]), rule("session-exec", remote_groups=["wheel"])]
    channels = rig.post(candidate, "ssh/channel_policies", {"name": "x", "rules": rules})
    mapping = {"name": "x", "rules": [{"gateway_users": ["jane"], "server_username": "root"}]}
    chosen = {"channel_policy": channels, "usermapping_policy": rig.post(candidate, "policies/usermapping_policies", mapping)}
    key = add(rig, candidate, at={"policies": {**SHORT["policies"], **chosen}})
    place = f"{CONNECTIONS}/{key}"
    assert found(rig, candidate)[1] == {
        ("never_matches", place, "/policies/channel_policy"),
        ("never_matches", place, "/policies/usermapping_policy"),
    }


def test_recordings_in_clear_are_told(rig: Rig) -> None:
    candidate = rig.candidate()
    key = add(rig, candidate)
    told = [(one.code, one.path, one.pointer) for one in rig.pipeline.plan(candidate).warnings]
    assert told == [("trail_in_clear", f"{ROOT}{CONNECTIONS}/{key}", "/policies/audit_policy")]


def test_policies_in_use_stay(rig: Rig) -> None:
    candidate = rig.candidate()
    channels = rig.post(candidate, "ssh/channel_policies", CHANNELS)
    add(rig, candidate, at={"policies/channel_policy": channels})
    assert refused(lambda: rig.delete(candidate, "ssh/channel_policies", channels)) == [
        ("referenced", f"ssh/channel_policies/{channels}", "")
    ]


# The host keys of the appliance


def test_the_first_commit_that_switches_ssh_on_makes_host_keys(rig: Rig) -> None:
    assert rig.value(HOST_KEYS) == {"keys": []}
    candidate = switched_on(rig)
    rig.commit(candidate)
    keys = [one["key"] for one in rig.value(HOST_KEYS)["keys"]]
    assert [rig.value("private_keys", key)["type"] for key in keys] == ["ed25519", "ecdsa-p256", "rsa-3072"]
    assert all((rig.secrets.text(key) or "").startswith("-----BEGIN OPENSSH PRIVATE KEY-----") for key in keys)
    assert candidate.snapshot.read(TREE[ROOT + HOST_KEYS].node).keys == []  # type: ignore[arg-type]  # the transaction of the caller
    rig.committed((OPTIONS, {}))
    rig.committed((OPTIONS, ON))
    again = rig.restarted()
    assert [one["key"] for one in again.value(HOST_KEYS)["keys"]] == keys


def test_somebody_else_has_switched_ssh_on_meanwhile(rig: Rig) -> None:
    slow = switched_on(rig)
    add(rig, slow)
    rig.commit(switched_on(rig))
    keys = rig.value(HOST_KEYS)
    rig.commit(slow)
    assert rig.value(HOST_KEYS) == keys


# The order


def names(rig: Rig) -> list[str]:
    return [one.name for _, one in rig.pipeline.running.snapshot.each(connections.NODE)]


def ordered(rig: Rig, *order: str) -> Any:
    candidate = rig.candidate()
    rig.put(candidate, CONNECTIONS, {"@order": [*order]})
    return candidate


@pytest.fixture
def three(rig: Rig) -> list[str]:
    candidate = rig.candidate()
    keys = [add(rig, candidate, name, {"network/ports": [port]}) for name, port in (("a", 2201), ("b", 2202), ("c", 2203))]
    rig.commit(candidate)
    return keys


def test_the_order_is_written_and_kept(rig: Rig, three: list[str]) -> None:
    a, b, c = three
    rig.commit(ordered(rig, c, a, b))
    assert names(rig) == ["c", "a", "b"]
    candidate = rig.candidate()
    add(rig, candidate, "d", {"network/ports": [2204]})
    rig.delete(candidate, CONNECTIONS, a)
    rig.commit(candidate)
    assert names(rig.restarted()) == ["c", "b", "d"]


def test_an_order_that_is_there_is_no_change(rig: Rig, three: list[str]) -> None:
    assert not ordered(rig, *three).changed


@pytest.mark.parametrize(
    ("body", "code", "at"),
    [
        ({}, "missing", "/@order"),
        ([], "type", ""),
        ({"@order": "x"}, "type", "/@order"),
        ({"@order": [1]}, "type", "/@order/0"),
        ({"@order": ["x"]}, "order", "/@order"),
        ({"@order": []}, "order", "/@order"),
    ],
)
def test_an_order_names_every_policy_once(rig: Rig, three: list[str], body: Any, code: str, at: str) -> None:
    candidate = rig.candidate()
    with pytest.raises(InvalidBody) as caught:
        rig.put(candidate, CONNECTIONS, body)
    assert [(one.code, one.pointer) for one in caught.value.problems] == [(code, at)]
    with pytest.raises(InvalidBody):
        rig.put(candidate, CONNECTIONS, {"@order": [*three, three[0]]})


def test_the_order_decides_who_is_shadowed(rig: Rig) -> None:
    candidate = rig.candidate()
    few = add(rig, candidate, "few", {"network/clients": ["10.0.0.0/8"]})
    many = add(rig, candidate, "many")
    assert found(rig, candidate)[1] == set()
    rig.commit(candidate)
    assert found(rig, ordered(rig, many, few))[1] == {("shadowed", f"{CONNECTIONS}/{few}", "/network")}


def test_others_policies_go_last_and_what_they_removed_drops(rig: Rig, three: list[str]) -> None:
    a, b, c = three
    mine = ordered(rig, c, b, a)
    theirs = rig.candidate()
    add(rig, theirs, "d", {"network/ports": [2204]})
    rig.delete(theirs, CONNECTIONS, b)
    rig.commit(theirs)
    rig.commit(mine)
    assert names(rig) == ["c", "a", "d"]


def test_two_orders_collide(rig: Rig, three: list[str]) -> None:
    a, b, c = three
    mine, theirs = ordered(rig, c, b, a), ordered(rig, b, a, c)
    rig.commit(theirs)
    with pytest.raises(MergeConflict) as caught:
        rig.commit(mine)
    assert [collision.path for collision in caught.value.collisions] == [ROOT + CONNECTIONS]


def test_going_back_brings_the_order_back(rig: Rig, three: list[str]) -> None:
    number = rig.number
    rig.commit(ordered(rig, *reversed(three)))
    candidate = rig.candidate()
    restore(TREE, rig.store, candidate, number)
    rig.commit(candidate)
    assert names(rig) == ["a", "b", "c"]


def test_accounts_may_have_keys(rig: Rig) -> None:
    candidate = rig.candidate()
    key = rig.post(candidate, USERS, {"name": "jane", "public_keys": [f"{AUTHORITY} jane@example.com"]})
    rig.commit(candidate)
    assert rig.value(USERS, key) == {"name": "jane", "password": None, "public_keys": [AUTHORITY]}
    assert "public_keys" not in rig.value(USERS, "-1")
