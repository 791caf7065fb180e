"""What the configuration asks of the host, word for word, and the rules that look across it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

import doorward.configuration
from doorward.configuration import troubleshooting, x509
from doorward.configuration.aaa.local_database import users
from doorward.configuration.datetime import ntp_servers, timezone
from doorward.configuration.local_services import admin_web, cluster, user_web
from doorward.configuration.management import system_backup
from doorward.configuration.policies import backup_policies
from doorward.configuration.ssh import connections
from doorward.host.files import FileEntry
from doorward.host.machine import Machine
from doorward.host.resources import Daemon, File, Job, Symlink, Zone
from doorward.tree.places import Place
from doorward.tree.registry import discover
from doorward.tree.snapshot import Snapshot
from tests.support.pki import Authority

if TYPE_CHECKING:
    from collections.abc import Sequence

TREE = discover(doorward.configuration)


def with_body(path: str, value: Any) -> Snapshot:
    place = Place(path)
    return TREE.defaults(Machine()).put(place, TREE.load(place, value))


def ip(address: str) -> dict[str, str]:
    return {"selection": "ip", "value": address}


def fqdn(name: str) -> dict[str, str]:
    return {"selection": "fqdn", "value": name}


def secured(entry: dict[str, Any], authority: str | None = None) -> dict[str, Any]:
    return {**entry, "nts": True} | ({} if authority is None else {"server_certificate_ca": authority})


def with_authorities(servers: list[dict[str, Any]]) -> Snapshot:
    body, _ = x509.make(x509.NewCertificate(certificate=Authority().pem))
    place = Place(x509.PATH, "ca")
    snapshot = TREE.defaults(Machine()).put(place, TREE.load(place, body))
    return snapshot.put(Place(ntp_servers.PATH), TREE.load(Place(ntp_servers.PATH), servers))


def test_servers_with_nts_name_the_authority_in_their_place() -> None:
    servers = [ip("192.0.2.1"), secured(fqdn("ntp.example")), secured(ip("192.0.2.2"), "ca"), secured(fqdn("x"), "ca")]
    made = with_authorities(servers)
    sources, third, fourth, daemon = ntp_servers.render(made)
    assert isinstance(sources, File)
    assert sources.content.decode().splitlines() == [
        "server 192.0.2.1 iburst",
        "pool ntp.example iburst nts maxsources 4",
        "server 192.0.2.2 iburst nts certset 3",
        "pool x iburst nts certset 4 maxsources 4",
    ]
    pem = x509.chain_of(made, "ca")[0].public_bytes(Encoding.PEM)
    assert [(one.path, one.content) for one in (third, fourth) if isinstance(one, File)] == [
        ("/etc/chrony/doorward-nts-3.pem", pem), ("/etc/chrony/doorward-nts-4.pem", pem)
    ]  # fmt: skip
    assert daemon.identity == ("daemon", "chronyd")
    written = FileEntry(sources.content)
    assert ntp_servers.adopt(made, lambda _: written) == servers
    foreign = ("server 192.0.2.1 iburst certset 3", "server 192.0.2.1 iburst nts certset 1", "server 192.0.2.1 nts iburst")
    entries = iter([FileEntry(f"{line}\n".encode()) for line in foreign])
    assert [ntp_servers.adopt(made, lambda _: next(entries)) for _ in foreign] == [None] * len(foreign)


def test_few_time_sources_are_worth_a_warning() -> None:
    for few in ([ip("192.0.2.1")], [ip("192.0.2.1"), ip("192.0.2.2")]):
        assert [one.code for one in ntp_servers.few_time_sources(with_body(ntp_servers.PATH, few), Place(ntp_servers.PATH))] == [
            "few_time_sources"
        ]
    enough: list[list[dict[str, str]]] = [[], [fqdn("pool.ntp.org")], [ip(f"192.0.2.{number}") for number in (1, 2, 3)]]
    for servers in enough:
        assert list(ntp_servers.few_time_sources(with_body(ntp_servers.PATH, servers), Place(ntp_servers.PATH))) == []


@pytest.mark.parametrize(
    ("servers", "content"),
    [
        ([], b""),
        ([fqdn("pool.ntp.org")], b"pool pool.ntp.org iburst maxsources 4\n"),
        (
            [ip("192.0.2.1"), fqdn("ntp.example"), ip("2001:db8::1")],
            b"server 192.0.2.1 iburst\npool ntp.example iburst maxsources 4\nserver 2001:db8::1 iburst\n",
        ),
        ([fqdn("b.example"), fqdn("a.example")], b"pool b.example iburst maxsources 4\npool a.example iburst maxsources 4\n"),
    ],
)
def test_time_servers_become_the_sources_of_chronyd(servers: Sequence[dict[str, str]], content: bytes) -> None:
    path = "/api/configuration/datetime/ntp_servers"
    sources = "/etc/chrony/sources.d/doorward.sources"
    assert list(ntp_servers.render(with_body(path, servers))) == [
        File(sources, content, 0o644, origin=path, label="sources"),
        Daemon(
            "chronyd",
            reload_on=(sources,),
            restart_on=ntp_servers.AUTHORITIES,
            lists=tuple(server["value"] for server in servers),
            origin=path,
        ),
    ]


@pytest.mark.parametrize("name", ["Europe/Budapest", "US/Eastern", "Etc/UTC"])
def test_the_time_zone_becomes_a_link_a_file_and_a_proof(name: str) -> None:
    path = "/api/configuration/datetime/timezone"
    assert list(timezone.render(with_body(path, name))) == [
        Symlink("/etc/localtime", f"/usr/share/zoneinfo/{name}", origin=path),
        File("/etc/timezone", f"{name}\n".encode(), 0o644, origin=path),
        Zone(name, "/etc/localtime", origin=path),
    ]


def test_the_start_times_of_the_backup_become_a_job_in_the_time_zone_of_the_node() -> None:
    policy = Place(backup_policies.PATH, "p1")
    nfs = {"type": "nfs", "server": ip("192.0.2.1"), "path": "/srv"}
    document = TREE.load(policy, {"name": "nightly", "start_times": ["13:30", "01:30"], "target": nfs})
    snapshot = with_body(timezone.PATH, "Europe/Budapest").put(policy, document)
    assert list(system_backup.render(snapshot)) == []
    selected = TREE.load(Place(system_backup.PATH), {"backup_policy": "p1"})
    assert list(system_backup.render(snapshot.put(Place(system_backup.PATH), selected))) == [
        Job("system_backup", ("01:30", "13:30"), "Europe/Budapest", subject="p1", origin=system_backup.PATH)
    ]


def test_core_files_are_a_job_in_the_time_zone_of_the_node_whose_subject_is_their_age() -> None:
    snapshot = with_body(timezone.PATH, "Europe/Budapest")
    body = {"core_files": {"retention_days": 5}, "debug_logging": {"enabled": False}}
    snapshot = snapshot.put(Place(troubleshooting.PATH), TREE.load(Place(troubleshooting.PATH), body))
    job = Job("core_files", ("03:00",), "Europe/Budapest", subject="5", origin=troubleshooting.PATH)
    assert list(troubleshooting.render(snapshot)) == [job]


def test_nothing_else_touches_the_host() -> None:
    names = ("dns", "naming", "nics/nic1", "nics/nic2", "nics/nic3", "routing")
    network = {f"/api/configuration/network/{name}" for name in names}
    asking = {ntp_servers.PATH, system_backup.PATH, timezone.PATH, troubleshooting.PATH, *network}
    assert {endpoint.path for endpoint in TREE.rendering} == asking
    assert {endpoint.path for endpoint in TREE.claiming} == {admin_web.PATH, cluster.PATH, user_web.PATH, connections.PATH}


def test_rendering_is_pure() -> None:
    snapshot = TREE.defaults(Machine())
    for endpoint in TREE.rendering:
        assert endpoint.node.render is not None
        assert list(endpoint.node.render(snapshot)) == list(endpoint.node.render(snapshot))
    for endpoint in TREE.claiming:
        assert endpoint.node.claims is not None
        assert list(endpoint.node.claims(snapshot)) == list(endpoint.node.claims(snapshot))


def test_an_empty_list_of_time_servers_is_worth_a_warning() -> None:
    place = Place(ntp_servers.PATH)
    [problem] = ntp_servers.no_time_source(with_body(ntp_servers.PATH, []), place)
    assert problem.code == "no_time_source"
    assert list(ntp_servers.no_time_source(TREE.defaults(Machine()), place)) == []


def test_an_address_of_this_node_is_worth_a_warning() -> None:
    snapshot = with_body(ntp_servers.PATH, [ip("192.0.2.1"), ip("127.0.0.2"), ip("127.0.0.1")])
    [problem] = ntp_servers.own_address(snapshot, Place(ntp_servers.PATH))
    assert (problem.code, problem.pointer) == ("own_address", "/2/value")


def test_only_servers_that_were_added_are_asked_for_the_time() -> None:
    old, new = [ip("192.0.2.1"), fqdn("a.example")], [fqdn("b.example"), fqdn("a.example"), ip("192.0.2.2")]
    before, after = ntp_servers.NODE.parse(old), ntp_servers.NODE.parse(new)
    assert list(ntp_servers.added(before, after)) == [("/0/value", "b.example"), ("/2/value", "192.0.2.2")]
    assert list(ntp_servers.added(after, after)) == []


def test_admin_needs_a_password_and_nobody_else_does() -> None:
    admin, jane = Place(users.PATH, users.ADMIN), Place(users.PATH, "jane")
    snapshot = TREE.defaults(Machine()).put(jane, TREE.load(jane, {"name": "jane", "password": None}))
    [problem] = users.admin_can_log_in(snapshot, admin)
    assert (problem.code, problem.pointer) == ("required_with", "/password")
    assert list(users.admin_can_log_in(snapshot, jane)) == []
    with_password = snapshot.put(admin, TREE.load(admin, {"name": "admin", "password": "some-key"}))
    assert list(users.admin_can_log_in(with_password, admin)) == []
    assert list(users.admin_can_log_in(snapshot, Place(users.PATH, "gone"))) == []
