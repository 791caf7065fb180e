"""The helper: what it lets a front do, and what it does not, whatever the front has become."""

from __future__ import annotations

import os
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from doorward.configuration import x509
from doorward.host import build
from doorward.host.drivers.networkd import netdev_path, network_path
from doorward.host.engine import ApplyError
from doorward.host.errors import HostError
from doorward.host.helper import permitted, wire
from doorward.host.helper.permitted import NotPermittedError
from doorward.host.helper.remote import HelperClient, remote
from doorward.host.helper.serving import MAX_CONNECTIONS, HelperServer, Rules
from doorward.host.managed import Managed
from doorward.host.network_resources import Hostname, NameServers, NetworkAddress, Networkd, NetworkLine, Route, Vlan
from doorward.host.plan import Change
from doorward.host.resources import Daemon, File, HostResource, Job, Listener, Symlink, Zone
from doorward.host.sandbox import sandbox
from doorward.tree.places import Place
from tests.support.helping import helping
from tests.support.pki import Authority
from tests.support.waiting import until
from tests.unit.configuration.network.test_rendering import TREE, interface, nic, snapshot

if TYPE_CHECKING:
    from doorward.host.engine import Host

SOURCES = "/etc/chrony/sources.d/doorward.sources"
AUTHORITY = Authority().pem.encode()
NETWORK = network_path("eth0")
NETDEV = netdev_path("eth0.7")
GOOD_NETWORK = "[Match]\nName=eth0\n\n[Network]\nDHCP=no\n"


def network_file(more: str, path: str = NETWORK) -> File:
    return File(path, f"{GOOD_NETWORK}{more}".encode())


HOSTILE: list[HostResource] = [
    # Other files, by whatever way to them.
    File("/etc/shadow", b"root::0:0:99999:7:::\n"),
    File("/etc/cron.d/doorward", b"* * * * * root id\n"),
    File("/etc/systemd/system/x.service", b"[Service]\n"),
    File("/etc/chrony/chrony.conf", b"include /etc/shadow\n"),
    File("/etc/chrony/sources.d/../../shadow", b""),
    File("/etc/chrony/sources.d/other.sources", b""),
    File("etc/timezone", b"Etc/UTC\n"),
    File("/etc/timezone/", b"Etc/UTC\n"),
    File("/etc//timezone", b"Etc/UTC\n"),
    File(f"{SOURCES}\0", b""),
    File("/etc/systemd/network/10-doorward-../../x.network", GOOD_NETWORK.encode()),
    File("/etc/systemd/network/10-doorward-...network", GOOD_NETWORK.encode()),
    File("/etc/systemd/network/10-doorward-eth0.link", GOOD_NETWORK.encode()),
    File("/etc/systemd/network/10-doorward-eth0.network.d/x.network", GOOD_NETWORK.encode()),
    # The right file, with other content, mode or size.
    File("/etc/timezone", b"Etc/UTC\n", mode=0o4755),
    File("/etc/timezone", b"../../shadow\n"),
    File("/etc/timezone", b"Etc/UTC\nEtc/UTC\n"),
    File("/etc/timezone", b"Etc/UTC"),
    File("/etc/hostname", b"a b\n"),
    File("/etc/hostname", b"a\rb\n"),
    File("/etc/hostname", "naïve\n".encode()),
    File(SOURCES, b"server 192.0.2.1 iburst\nrefclock SHM 0\n"),
    File(SOURCES, b"server 192.0.2.1 iburst key 7\n"),
    File(SOURCES, b"server 192.0.2.1 iburst nts certset 17\n"),
    File(SOURCES, b"pool pool.example.com iburst maxsources 4 nts\n"),
    File("/etc/chrony/doorward-nts-17.pem", AUTHORITY),
    File("/etc/chrony/doorward-nts-1.pem", b""),
    File("/etc/chrony/doorward-nts-1.pem", b"server 192.0.2.1\n"),
    File("/etc/chrony/doorward-nts-1.pem", AUTHORITY + b"refclock SHM 0\n"),
    File("/etc/chrony/doorward-nts-1.pem", AUTHORITY.replace(b"MII", b"M I")),
    Daemon("chronyd", (SOURCES,), restart_on=("/etc/shadow",)),
    File(SOURCES, b"pool pool.example.com iburst maxsources 4 copy\n"),
    File(SOURCES, b"server 192.0.2.1 iburst\n" * 17),
    network_file("IPForward=yes\n"),
    network_file("[DHCPServer]\n"),
    network_file("Address=192.0.2.5/24 \n"),
    network_file("\n[Route]\nDestination=0.0.0.0/0\nGateway=192.0.2.1\nTable=7\n"),
    network_file("# include /etc/shadow\n"),
    network_file("DHCP=yes\n"),
    File(NETDEV, b"[NetDev]\nName=eth0.7\nKind=wireguard\n\n[VLAN]\nId=7\n"),
    File(NETDEV, b"[NetDev]\nName=eth0.7\nKind=vlan\n\n[VLAN]\nId=4095\n"),
    network_file("Address=192.0.2.5/24\n" * (permitted.MAX_FILE // 20)),
    # Links.
    Symlink("/etc/localtime", "/etc/shadow"),
    Symlink("/etc/localtime", "/usr/share/zoneinfo/../../../etc/shadow"),
    Symlink("/etc/passwd", "/usr/share/zoneinfo/Etc/UTC"),
    Zone("Etc/UTC", link="/etc/shadow"),
    Zone("../../../etc/shadow"),
    # Daemons, lines, the network.
    Daemon("sshd"),
    Daemon("chronyd", ("/etc/shadow",)),
    Daemon("chronyd", (SOURCES,), ("a b",)),
    NetworkLine("/etc/passwd", "root", "root::0:0::/root:/bin/sh"),
    NetworkLine("/etc/hosts", "192.0.2.1", "192.0.2.1\tupdates.example.com updates"),
    NetworkLine("/etc/hosts", "127.0.1.1", "127.0.1.1\ta.b a\n192.0.2.1\tupdates.example.com"),
    Vlan("eth0", 7, "lo"),
    Vlan("eth0/../x", 7, "eth0/../x.7"),
    Vlan("eth0", 0, "eth0.0"),
    NetworkAddress("eth0", 0, "192.0.2.5"),
    NetworkAddress("eth0", 5000, "192.0.2.5/24"),
    NetworkAddress("a device", 0, "192.0.2.5/24"),
    Route("eth0", "192.0.2.5/24", "192.0.2.1"),
    Route("eth0", "0.0.0.0/0", "gateway"),
    Networkd("eth0", ("/etc/shadow",)),
    NameServers(("192.0.2.53\noptions debug",), "example.com"),
    NameServers(("192.0.2.53",), "example.com\nnameserver 192.0.2.66"),
    NameServers(("192.0.2.53",) * 3, "example.com"),
    Hostname("a.b"),
    Hostname("a\n"),
    # What is shown in logs and files.
    Hostname("a", origin="/api\n\x1b[2J"),
    File("/etc/hostname", b"a\n", label="x\x1b[2J"),
    # What belongs to the front itself.
    Job("system_backup", (), "Etc/UTC"),
]  # fmt: skip


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    monkeypatch.setattr(build, "find_program", lambda _: None)
    made = sandbox(tmp_path / "state")
    made.start()
    return made


@pytest.fixture
def client(machine: Host, tmp_path: Path) -> Iterator[HelperClient]:
    with helping(machine, tmp_path / "socket") as client:
        yield client


def tree_of(root: Path) -> dict[str, bytes | str]:
    return {
        str(path.relative_to(root)): str(path.readlink()) if path.is_symlink() else path.read_bytes()
        for path in root.rglob("*")
        if path.is_symlink() or path.is_file()
    }


def connected(path: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(str(path))
    connection.settimeout(30)
    return connection


def test_whatever_a_configuration_asks_for_is_permitted() -> None:
    made = snapshot(
        nics__nic1=nic("eth0", i=interface("plain", 0, "198.51.100.5/24"), j=interface("v", 7, "192.0.2.5/24", "2001:db8::5/64")),
        nics__nic2=nic("a-long-name.0", i=interface("other", 0, "203.0.113.5/32")),
        routing=[
            {"gateway": "192.0.2.1", "target_network": "0.0.0.0/0"},
            {"gateway": "2001:db8::1", "target_network": "2001:db8:1::/48"},
        ],
        dns={"primary": "192.0.2.53", "secondary": "2001:db8::53"},
        naming={"hostname": "node-7", "domainname": "example.com", "nickname": "ü"},
    )
    key, secured = "3b1c9a4e-0d7f-4c5b-9a51-6f1e2d3c4b5a", {"nts": True}
    public, _ = x509.make(x509.NewCertificate(certificate=AUTHORITY.decode()))
    made = made.put(Place(x509.PATH, key), TREE.load(Place(x509.PATH, key), public))
    servers = [
        {"selection": "ip", "value": "2001:db8::7b"},
        {"selection": "fqdn", "value": "0.pool-a.ntp.org", **secured},
        {"selection": "ip", "value": "192.0.2.7", **secured, "server_certificate_ca": key},
        {"selection": "fqdn", "value": "ntp.example", **secured, "server_certificate_ca": key},
    ]
    for path, body in {"timezone": "America/Argentina/Buenos_Aires", "ntp_servers": servers}.items():
        place = Place(f"/api/configuration/datetime/{path}")
        made = made.put(place, TREE.load(place, body))
    asked = [one for endpoint in TREE.rendering if endpoint.node.render for one in endpoint.node.render(made)]
    ours = [one for one in asked if not isinstance(one, Job | Listener)]
    assert {type(one) for one in ours} == set(wire.CLASSES.values())
    for resource in ours:
        permitted.check(resource)
        change = wire.TaggedChange.of(Change(resource, resource))
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(change), type=wire.TaggedChange).read() == Change(resource, resource)


@pytest.mark.parametrize("resource", HOSTILE, ids=[f"{number} {one.identity[0]}" for number, one in enumerate(HOSTILE)])
def test_nothing_else_is_permitted(resource: HostResource) -> None:
    with pytest.raises(NotPermittedError):
        permitted.check(resource)


def test_a_front_that_was_taken_over_can_change_nothing_else(machine: Host, client: HelperClient, tmp_path: Path) -> None:
    """Every request that names a resource, with every resource that no configuration has: refused, and nothing is written."""
    machine.apply(machine.plan([], [File("/etc/hostname", b"a\n")]), deadline=time.monotonic() + 30)
    before = tree_of(tmp_path / "state")
    for resource in HOSTILE:
        if isinstance(resource, Job) or len(getattr(resource, "content", b"")) > permitted.MAX_FILE:
            continue  # has no name on the wire, or does not fit
        told = wire.Tagged.of(resource)
        for change in (wire.TaggedChange(told, None), wire.TaggedChange(None, told), wire.TaggedChange(told, told)):
            for request in (
                wire.PlanStep(change, ()),
                wire.Observe(change),
                wire.Carry("apply", change, 1),
                wire.Carry("verify", change, 1),
                wire.RestoreStep("restore", change, 0, 1),
                wire.RestoreStep("confirm", change, 0, 1),
                wire.Compare(told),
                wire.Find(told),
                wire.Locate(told),
            ):
                with pytest.raises(HostError, match="the helper of the host refuses"):
                    client.ask(request, wire.HelperResponse)
    assert tree_of(tmp_path / "state") == before


def test_only_what_was_observed_is_put_back(client: HelperClient) -> None:
    change = wire.TaggedChange.of(Change(File("/etc/hostname", b"a\n"), None))
    assert change.resource is not None
    number = client.ask(wire.Observe(change), wire.Observed).number
    client.ask(wire.Carry("apply", change, 5), wire.Done)
    with pytest.raises(HostError, match="not known any more"):
        client.ask(wire.RestoreStep("restore", change, number + 1, 5), wire.Done)
    other = wire.TaggedChange.of(Change(File("/etc/timezone", b"UTC\n"), None))
    with pytest.raises(HostError, match="not known any more"):  # of another file
        client.ask(wire.RestoreStep("restore", other, number, 5), wire.Done)
    client.ask(wire.RestoreStep("restore", change, number, 5), wire.Done)
    assert not client.ask(wire.Find(change.resource), wire.FoundEntry).is_there
    # The next plan begins another change.
    client.ask(wire.PlanStep(change, ()), wire.Planned)
    with pytest.raises(HostError, match="not known any more"):
        client.ask(wire.RestoreStep("restore", change, number, 5), wire.Done)


@pytest.mark.parametrize(
    "sent",
    [
        struct.pack(">I", wire.MAX_MESSAGE + 1),
        struct.pack(">I", 4) + b"\xc1\xc1\xc1\xc1",
        struct.pack(">I", 0),
        *(
            struct.pack(">I", len(body)) + body
            for body in (
                msgspec.msgpack.encode({"type": "Shell", "command": "id"}),
                msgspec.msgpack.encode({"type": "Prepare", "more": 1}),
                msgspec.msgpack.encode({"type": "Locate", "resource": ["listener", {}]}),
                msgspec.msgpack.encode({"type": "Locate", "resource": ["file", {"path": 7}]}),
                msgspec.msgpack.encode({"type": "Observe", "change": [None, None]}),
                msgspec.msgpack.encode({"type": "Carry", "verb": "plan", "change": [None, None], "seconds": 1}),
            )
        ),
    ],
)
def test_what_is_no_request_ends_the_connection_and_nothing_else(client: HelperClient, tmp_path: Path, sent: bytes) -> None:
    with connected(tmp_path / "socket") as connection:
        connection.sendall(sent)
        assert connection.recv(1) == b""
    assert client.ask_apart(wire.AskTime(), wire.Time).status.daemon.name == "chrony"


def test_another_user_is_not_listened_to(machine: Host, tmp_path: Path) -> None:
    with helping(machine, tmp_path / "other", users=(os.geteuid() + 1,)), connected(tmp_path / "other") as connection:
        assert connection.recv(1) == b""


def test_the_front_believes_only_who_it_expects(client: HelperClient, tmp_path: Path) -> None:
    deceived = HelperClient(tmp_path / "socket", (os.geteuid() + 1,))
    with pytest.raises(HostError, match="in place of the helper"):
        deceived.ask(wire.Prepare(), wire.Done)
    del client


def test_connections_are_few(machine: Host, tmp_path: Path) -> None:
    with helping(machine, tmp_path / "busy") as client:
        many = [connected(tmp_path / "busy") for _ in range(MAX_CONNECTIONS)]
        with pytest.raises(HostError, match="gave no answer"):
            client.ask_apart(wire.AskTime(), wire.Time)
        for connection in many:
            connection.close()
        until(lambda: is_served(client))


def is_served(client: HelperClient) -> bool:
    with suppress(HostError):
        return bool(client.ask_apart(wire.AskTime(), wire.Time))
    return False


def test_a_helper_that_is_started_anew_serves_the_same_front(machine: Host, tmp_path: Path) -> None:
    wanted: list[HostResource] = [File("/etc/hostname", b"a\n", origin="/api/naming")]
    with helping(machine, tmp_path / "socket"):
        client = HelperClient(tmp_path / "socket", (os.geteuid(),))
        front = remote("sandbox", machine.root, client, Managed())
        front.start()
        plan = front.plan([], wanted)
    with pytest.raises(ApplyError, match="does not answer") as caught:
        front.apply(plan, deadline=time.monotonic() + 30)
    assert caught.value.restored  # nothing had been done
    with helping(machine, tmp_path / "socket"):
        front.apply(front.plan([], wanted), deadline=time.monotonic() + 30)
        assert front.drift(wanted) == []
        front.stop()


@contextmanager
def serving(machine: Host, listener: socket.socket) -> Iterator[None]:
    server = HelperServer(machine, listener, Rules((os.geteuid(),)))
    thread = threading.Thread(target=server.serve)
    thread.start()
    try:
        yield
    finally:
        server.stop()
        thread.join()


def test_the_socket_of_systemd_outlives_a_helper(machine: Host, tmp_path: Path) -> None:
    path = str(tmp_path / "host.sock")
    with socket.socket(socket.AF_UNIX) as kept, socket.socket(socket.AF_UNIX) as front:
        kept.bind(path)
        kept.listen()
        with serving(machine, kept):
            pass
        front.connect(path)
        wire.send(front, wire.AskTime())
        with serving(machine, kept):
            assert isinstance(wire.receive_response(front), wire.Time | wire.Failed)


def test_workers_are_started_by_the_one_command_of_the_helper(machine: Host, client: HelperClient, tmp_path: Path) -> None:
    with pytest.raises(HostError, match="no session workers run"):
        client.ask(wire.StartWorkers(), wire.Done)
    with helping(machine, tmp_path / "with", workers=("touch", str(tmp_path / "started"))) as other:
        other.ask(wire.StartWorkers(), wire.Done)
    assert (tmp_path / "started").exists()
    with helping(machine, tmp_path / "failing", workers=("false",)) as other, pytest.raises(HostError, match="do not start"):
        other.ask(wire.StartWorkers(), wire.Done)
