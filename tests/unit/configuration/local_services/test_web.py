"""The web services: what their bodies take, what the rules say, and which listeners they ask for."""

from __future__ import annotations

from typing import Any

import pytest

import doorward.configuration
from doorward.configuration.local_services import admin_web, cluster, user_web
from doorward.configuration.management import certificates
from doorward.configuration.network._addresses import first_addresses
from doorward.host.claims import listeners
from doorward.host.machine import Machine
from doorward.host.resources import AccessRule
from doorward.transaction.claims import claims, port_conflicts
from doorward.transaction.edits import DocumentEdit
from doorward.transaction.rules import check_rules
from doorward.transaction.startup import identified
from doorward.tree.places import Place
from doorward.tree.problems import InvalidBody
from doorward.tree.registry import discover
from doorward.tree.snapshot import Snapshot
from doorward.tree.validation import check

TREE = discover(doorward.configuration)
[(KEY, _)] = first_addresses(Machine())
OTHER = KEY.rpartition(".")[0] + ".other"
NIC = "/api/configuration/network/nics/nic1"


def line(key: str = KEY, https: int = 8443, http: int | None = None) -> dict[str, Any]:
    return {"address": key, "http_port": http, "https_port": https}


def web(*lines: dict[str, Any], allowed_from: list[str] | None = None) -> dict[str, Any]:
    restriction = {"allowed_from": allowed_from, "enabled": True} if allowed_from else {"enabled": False}
    return {"access_restriction": restriction, "listen": list(lines)}


def snapshot(admin: Any, user: Any = None, own: Any = None) -> Snapshot:
    """The first configuration, with another address 127.0.0.2 and these services."""
    made = TREE.defaults(Machine())
    nic = made.value(NIC)
    [interface] = nic["interfaces"]["@order"]
    found = nic["interfaces"][interface]["addresses"]
    addresses = {**found, "@order": [*found["@order"], "other"], "other": "127.0.0.2/8"}
    nic = {**nic, "interfaces": {**nic["interfaces"], interface: {**nic["interfaces"][interface], "addresses": addresses}}}
    bodies = {NIC: nic, admin_web.PATH: admin, user_web.PATH: user, cluster.PATH: own}
    for path, body in bodies.items():
        if body is not None:
            made = made.put(Place(path), TREE.load(Place(path), body))
    return made


def refused(path: str, value: Any) -> list[tuple[str, str]]:
    with pytest.raises(InvalidBody) as caught:
        check(TREE[path].node.adapter, value)  # type: ignore[attr-defined]
    return [(problem.code, problem.pointer) for problem in caught.value.problems]


def conflicts(made: Snapshot) -> list[tuple[str, str]]:
    """Service and pointer of every conflict."""
    problems = list(port_conflicts(TREE, made))
    assert {problem.code for problem in problems} <= {"port_conflict"}
    return [(problem.path.rpartition("/")[2], problem.pointer) for problem in problems]


def asked(made: Snapshot) -> list[tuple[str, tuple[str, ...], int]]:
    """Listeners by name, services of their rules, HTTPS port of a redirect."""
    return [(one.name, tuple(rule.service for rule in one.rules), one.https_port) for one in listeners(claims(TREE, made))]


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        (admin_web.PATH, {"listen": []}, [("length", "/listen")]),
        (admin_web.PATH, {}, [("missing", "/listen")]),
        (user_web.PATH, web(*(line(https=port) for port in range(1, 18))), [("length", "/listen")]),
        (admin_web.PATH, web(line(), line()), [("duplicate", "/listen/1")]),
        (admin_web.PATH, web(line(https=80, http=80)), [("contradiction", "/listen/0/http_port")]),
        (admin_web.PATH, {"listen": [{"address": KEY, "https_port": 80}]}, [("contradiction", "/listen/0/http_port")]),
        (admin_web.PATH, web(line(https=0)), [("range", "/listen/0/https_port")]),
        (admin_web.PATH, web(line(http=65536)), [("range", "/listen/0/http_port")]),
        (admin_web.PATH, web(line("nic1")), [("format", "/listen/0/address")]),
        (admin_web.PATH, web(line(), allowed_from=["10.0.0.1"]), [("format", "/access_restriction/allowed_from/0")]),
        (
            admin_web.PATH,
            web(line(), allowed_from=["10.0.0.1/8", "10.0.0.0/8"]),
            [("duplicate", "/access_restriction/allowed_from/1")],
        ),
        (
            admin_web.PATH,
            {"access_restriction": {"allowed_from": [], "enabled": True}, "listen": [line()]},
            [("length", "/access_restriction/allowed_from")],
        ),
    ],
)  # fmt: skip
def test_what_a_body_does_not_take(path: str, value: Any, expected: list[tuple[str, str]]) -> None:
    assert refused(path, value) == expected


def test_members_left_out_have_the_ports_of_the_web() -> None:
    model = check(TREE[admin_web.PATH].node.adapter, {"listen": [{"address": KEY}]}).model  # type: ignore[attr-defined]
    dumped = TREE[admin_web.PATH].node.adapter.dump_python(model, mode="json")  # type: ignore[attr-defined]
    assert dumped == web(line(https=443, http=80))


@pytest.mark.parametrize(
    ("machine", "ports"),
    [
        (Machine(), [(None, 8443)]),
        (Machine(port=443), [(None, 443)]),
        (Machine("system", port=443), [(80, 443)]),
        (Machine("system", port=8443), [(None, 8443)]),
    ],
)
def test_the_first_lines_are_those_of_the_start_option(
    machine: Machine, ports: list[tuple[int | None, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admin_web, "listening", lambda _: [KEY])
    assert [(one["http_port"], one["https_port"]) for one in admin_web.first(machine)["listen"]] == ports
    monkeypatch.setattr(admin_web, "listening", lambda _: [KEY] * 40)
    assert len(admin_web.first(machine)["listen"]) == 16


def test_services_share_whole_lines_and_nothing_else() -> None:
    assert conflicts(snapshot(web(line(http=8080)), web(line(http=8080)))) == []
    assert conflicts(snapshot(web(line(http=8080)), web(line(http=8081)))) == [("user_web", "/listen/0/https_port")]
    crossed = snapshot(web(line(https=8443, http=8080)), web(line(https=8080, http=8443)))
    assert conflicts(crossed) == [("user_web", "/listen/0/https_port"), ("user_web", "/listen/0/http_port")]
    assert conflicts(snapshot(web(line()), web(line(OTHER)))) == []


def test_a_service_does_not_take_a_port_twice() -> None:
    made = snapshot(web(line(https=8443, http=8080), line(https=8444, http=8080), line(https=8080)))
    assert set(conflicts(made)) == {("admin_web", "/listen/1/http_port"), ("admin_web", "/listen/2/https_port")}


def unchanged(made: Snapshot, where: Place) -> DocumentEdit:
    """Return an edit that has the rules of a place run as it is."""
    return DocumentEdit.between(where, made.entry(where), made.entry(where))


def test_the_port_of_the_channel_between_nodes_is_taken_while_it_is_enabled() -> None:
    assert conflicts(snapshot(web(line(https=7443)))) == []
    made = snapshot(web(line(https=7443)), own={"enabled": True, "listen_address": KEY})
    assert conflicts(made) == [("cluster", "/listen_address")]
    assert asked(made) == [("127.0.0.1:7443", ("admin_web",), 0)], "who came first has it"
    found = check_rules(TREE, made, [unchanged(made, Place(cluster.PATH))]).problems
    assert [(problem.code, problem.path) for problem in found] == [("port_conflict", cluster.PATH)], "told once"
    for path, concerned in ((NIC, True), (certificates.PATH, True), ("/api/configuration/datetime/timezone", False)):
        found = check_rules(TREE, made, [unchanged(made, Place(path))]).problems
        assert ("port_conflict" in {problem.code for problem in found}) == concerned, path
    made = snapshot(web(line(https=7443)), own={"enabled": True, "listen_address": OTHER})
    assert conflicts(made) == []
    assert asked(made)[-1] == ("127.0.0.2:7443", ("cluster",), 0)


def test_every_address_and_port_becomes_a_listener() -> None:
    made, _ = identified(
        TREE,
        snapshot(web(line(http=8080), line(OTHER, 8443), allowed_from=["127.0.0.1/32"]), web(line(http=8080), line(OTHER, 9443))),
    )
    shown = certificates.shown(made)
    assert asked(made) == [
        ("127.0.0.1:8443", ("admin_web", "user_web"), 0),
        ("127.0.0.1:8080", ("redirect", "redirect"), 8443),
        ("127.0.0.2:8443", ("admin_web",), 0),
        ("127.0.0.2:9443", ("user_web",), 0),
    ]
    found = {one.name: one for one in listeners(claims(TREE, made))}
    assert found["127.0.0.1:8443"].rules == (AccessRule("admin_web", ("127.0.0.1/32",)), AccessRule("user_web"))
    assert found["127.0.0.1:8443"].shows == shown is not None
    assert found["127.0.0.1:8080"].shows is None
    assert found["127.0.0.2:9443"].origin == user_web.PATH


def test_what_is_in_conflict_or_nowhere_is_left_out() -> None:
    """The host is looked at even where the rules refuse: a plan shows both."""
    made = snapshot(web(line(), line(https=8444, http=8443)), web(line("nic1.interfaces.x.addresses.y")))
    assert asked(made) == [("127.0.0.1:8443", ("admin_web",), 0), ("127.0.0.1:8444", ("admin_web",), 0)]


@pytest.mark.parametrize(
    ("networks", "address", "out"),
    [
        (None, "192.0.2.9", False),
        (["192.0.2.1/24"], "192.0.2.9", False),
        (["192.0.2.1/32", "2001:db8::/64"], "192.0.2.9", True),
        (["192.0.2.1/32", "2001:db8::/64"], "2001:db8::9", False),
    ],
)
def test_who_is_shut_out(networks: list[str] | None, address: str, out: bool) -> None:
    found = [problem.code for problem in admin_web.shuts_out(snapshot(web(line(), allowed_from=networks)), address)]
    assert found == ["locks_out_caller"] * out


def test_the_first_certificate_is_for_all_that_the_node_listens_on() -> None:
    made, keys = identified(TREE, snapshot(web(line(), line(OTHER))))
    assert len(keys) == 3
    assert check_rules(TREE, made, ()).problems == ()
    place = Place(admin_web.PATH)
    assert list(certificates.names_missing(made, place)) == []
    fewer, _ = identified(TREE, snapshot(web(line())))
    moved = fewer.put(place, TREE.load(place, web(line(OTHER))))
    [problem] = certificates.names_missing(moved, place)
    assert (problem.code, problem.path, problem.pointer) == ("name_mismatch", certificates.PATH, "/server")
    assert "127.0.0.2" in problem.message
