"""The kinds of the network over a network in memory: order, proof, putting back, what others manage, what is left alone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from doorward.host.engine import ApplyError
from doorward.host.errors import HostError
from doorward.host.files import FileEntry
from doorward.host.kinds.name_servers import DROP_IN, RESOLV_CONF, NameServersKind
from doorward.host.kinds.networkd import NetworkdKind
from doorward.host.managed import Managed
from doorward.host.network_resources import Hostname, NameServers, NetworkAddress, Networkd, NetworkLine, Route, Vlan
from doorward.host.plan import Plan
from doorward.host.resources import File, HostResource
from doorward.host.sandbox import sandbox
from tests.support.fake_host import FakeHost
from tests.support.memory_files import MemoryFiles

FILE = "/etc/systemd/network/10-doorward-eth0.network"


def address(text: str, tag: int = 0, device: str = "eth0") -> NetworkAddress:
    return NetworkAddress(device, tag, text, origin=device)


def route(gateway: str, target: str = "0.0.0.0/0") -> Route:
    return Route("eth0", target, gateway, origin="routing")


def texts(plan: Plan) -> list[str]:
    return [action.action for action in plan.actions]


def change(host: FakeHost, old: Sequence[HostResource], new: Sequence[HostResource], soon: float) -> list[str]:
    plan = host.plan(old, new)
    host.network.done.clear()
    host.apply(plan, deadline=soon)
    return texts(plan)


OLD: list[HostResource] = [address("192.0.2.5/24"), route("192.0.2.1")]
NEW: list[HostResource] = [
    File(FILE, b"new", origin="eth0", unmanaged=True),
    Vlan("eth0", 20, "eth0.20", origin="eth0"),
    address("198.51.100.5/24", 20),
    address("192.0.3.5/24"),
    route("192.0.3.1"),
    NameServers(("192.0.3.53",), "example.com", origin="dns"),
    File("/etc/hostname", b"node1\n", origin="naming", unmanaged=True),
    NetworkLine("/etc/hosts", "127.0.1.1", "127.0.1.1\tnode1.example.com node1", origin="naming"),
    Hostname("node1", origin="naming"),
]


@pytest.fixture
def host(soon: float) -> FakeHost:
    """A host that has `OLD`."""
    made = FakeHost()
    made.files.write("/etc/hosts", FileEntry(b"127.0.0.1 localhost\n127.0.1.1 machine\n::1 localhost\n", 0o644))
    change(made, [], OLD, soon)
    return made


def test_addresses_come_before_others_go_and_then_routes_names_and_the_name(host: FakeHost, soon: float) -> None:
    assert change(host, OLD, NEW, soon) == [
        "set VLAN 20 on eth0",
        "set address 198.51.100.5/24 on eth0 in VLAN 20",
        "set address 192.0.3.5/24 on eth0",
        "remove address 192.0.2.5/24 on eth0",
        f"write {FILE}",
        "write /etc/hostname",
        "set route to 0.0.0.0/0 by 192.0.3.1",
        "set name servers",
        "set line 127.0.1.1 of /etc/hosts",
        "set host name node1",
    ]
    assert host.network.done == [
        "vlan eth0.20",
        "add 198.51.100.5/24",
        "add 192.0.3.5/24",
        "remove 192.0.2.5/24",
        "route 0.0.0.0/0 192.0.3.1",
        "name node1",
    ]
    hosts = host.files.read("/etc/hosts")
    assert hosts is not None
    assert hosts.content == b"127.0.0.1 localhost\n127.0.1.1\tnode1.example.com node1\n::1 localhost\n"
    assert host.plan(NEW, NEW, full=True).actions == ()
    assert host.drift(NEW) == []


def test_vlans_go_after_their_addresses(host: FakeHost, soon: float) -> None:
    change(host, OLD, NEW, soon)
    done = change(host, NEW, [one for one in NEW if not isinstance(one, Vlan) and getattr(one, "tag", 0) != 20], soon)
    assert done == ["remove address 198.51.100.5/24 on eth0 in VLAN 20", "remove VLAN 20 on eth0"]


@pytest.mark.parametrize("step", range(10))
def test_a_step_that_fails_puts_everything_back(host: FakeHost, soon: float, step: int) -> None:
    before = (set(host.network.addresses), set(host.network.vlans), dict(host.network.routes), host.network.name)
    hosts = host.files.read("/etc/hosts")
    host.fail_at = step
    with pytest.raises(ApplyError) as caught:
        change(host, OLD, NEW, soon)
    host.fail_at = None
    assert caught.value.restored
    assert (host.network.addresses, host.network.vlans, host.network.routes, host.network.name) == before
    assert (host.files.read("/etc/hosts"), host.files.read(FILE), host.files.read(RESOLV_CONF)) == (hosts, None, None)
    assert host.drift(OLD) == []
    assert host.plan(NEW, NEW, full=True).actions != (), "what was ours before is looked after"


def test_the_proof_that_fails_puts_everything_back(host: FakeHost, soon: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("doorward.host.kinds.READ_BACK_SECONDS", 0.1)
    host.network.forgets = "192.0.3.5/24"
    new: list[HostResource] = [address("192.0.2.5/24"), address("192.0.3.5/24"), route("192.0.2.1")]
    with pytest.raises(ApplyError, match=r"does not show the address 192\.0\.3\.5/24") as caught:
        change(host, OLD, new, soon)
    assert (caught.value.action, caught.value.origin, caught.value.restored) == ("set address 192.0.3.5/24 on eth0", "eth0", True)


def test_an_address_that_is_refused_names_it(host: FakeHost, soon: float) -> None:
    host.network.fail_on = "192.0.3.5/24"
    with pytest.raises(ApplyError, match=r"192\.0\.3\.5/24 was refused"):
        change(host, OLD, NEW, soon)


def test_a_device_of_another_manager_is_left_alone(host: FakeHost) -> None:
    host.network.owners["eth0"] = "NetworkManager"
    host.network.done.clear()
    for new in (NEW, [OLD[0], route("192.0.2.9")]):
        with pytest.raises(HostError, match="NetworkManager manages the device eth0"):
            host.plan(OLD, new)
    assert host.network.done == []
    assert host.plan(OLD, OLD, full=True).actions == (), "what is as it should be is no reason to complain"


def test_a_gateway_that_does_not_answer_is_worth_a_warning(host: FakeHost) -> None:
    host.network.silent.add("192.0.2.9")
    [warning] = host.plan(OLD, [OLD[0], route("192.0.2.9")]).warnings
    assert (warning.code, warning.origin) == ("no_answer", "routing")
    assert host.plan(OLD, [OLD[0], route("192.0.2.8")]).warnings == ()
    assert host.plan(OLD, [OLD[0], route("203.0.113.9")]).warnings == (), "in no network yet: not known"


def test_drift_names_what_is_missing(host: FakeHost, soon: float) -> None:
    change(host, OLD, NEW, soon)
    host.network.addresses.clear()
    host.network.vlans.clear()
    host.network.routes.clear()
    host.network.name = "other"
    host.files.write("/etc/hosts", FileEntry(b"127.0.1.1 other\n"))
    host.files.write(RESOLV_CONF, FileEntry(b"nameserver 203.0.113.1\n"))
    assert [(warning.code, warning.message) for warning in host.drift(NEW)] == [
        ("configuration_drift", f"the host does not have the {text}")
        for text in (
            "VLAN 20 on eth0",
            "address 198.51.100.5/24 on eth0 in VLAN 20",
            "address 192.0.3.5/24 on eth0",
            "route to 0.0.0.0/0 by 192.0.3.1",
            "name servers",
            "line 127.0.1.1 of /etc/hosts",
            "host name node1",
        )
    ]
    assert len(host.plan(NEW, NEW, full=True).actions) == 7


def test_a_node_starts_without_a_device_and_can_be_changed(host: FakeHost, soon: float) -> None:
    change(host, OLD, NEW, soon)
    host.network.devices.remove("eth0")
    host.network.addresses.clear()
    host.network.vlans.clear()
    host.network.routes.clear()
    plan = host.plan(NEW, NEW, full=True)
    assert plan.actions == ()
    host.apply(plan, deadline=soon)
    assert len(host.drift(NEW)) == 4
    assert change(host, NEW, NEW[5:], soon) == [f"remove {FILE}"]
    with pytest.raises(ApplyError, match="was refused"):
        change(host, NEW[5:], [*NEW[5:], address("192.0.2.77/24")], soon)


def test_what_can_t_be_put_right_at_a_start_is_drift_and_the_rest_is_put_right(host: FakeHost, soon: float) -> None:
    change(host, OLD, NEW, soon)
    host.network.addresses.clear()
    host.network.routes.clear()
    host.network.fail_on = "192.0.3.5/24"
    host.apply(host.plan(NEW, NEW, full=True), deadline=soon)
    assert [warning.message for warning in host.drift(NEW)] == [
        "the host does not have the address 192.0.3.5/24 on eth0",
        "the host does not have the route to 0.0.0.0/0 by 192.0.3.1",
    ]
    host.network.addresses.clear()
    host.network.owners["eth0"] = "NetworkManager"
    assert host.plan(NEW, NEW, full=True).actions == ()
    assert len(host.drift(NEW)) == 3


def test_what_no_commit_has_changed_is_left_as_it_was_found(soon: float) -> None:
    host = FakeHost()
    assert host.plan(NEW, NEW, full=True).actions == ()
    assert host.drift(NEW) == []
    other: list[HostResource] = [*NEW[:-1], Hostname("node2", origin="naming")]
    assert change(host, NEW, other, soon) == ["set host name node2"]
    # From then on all of `naming` is looked after, and nothing else.
    assert {warning.origin for warning in host.drift(other)} == {"naming"}
    assert {action.origin for action in host.plan(other, other, full=True).actions} == {"naming"}


def test_a_change_that_failed_takes_nothing_over(soon: float) -> None:
    host = FakeHost()
    host.fail_verify = True
    with pytest.raises(ApplyError):
        change(host, NEW, [*NEW[:-1], Hostname("node2", origin="naming")], soon)
    assert host.drift(NEW) == []


def test_what_was_taken_over_is_remembered(tmp_path: Path) -> None:
    managed = Managed(tmp_path)
    assert "naming" not in managed
    managed.keep({"naming", "dns"})
    again = Managed(tmp_path)
    assert again.origins == {"naming", "dns"}
    assert (tmp_path / "managed.json").stat().st_mode & 0o777 == 0o600
    again.keep({"dns"})
    assert json.loads((tmp_path / "managed.json").read_text()) == ["dns"]


class Service:
    def __init__(self, *, active: bool = True) -> None:
        self.running, self.calls = active, 0

    def active(self) -> bool:
        return self.running

    def reload(self) -> None:
        self.calls += 1

    restart = reload


NETWORKD = Networkd("eth0", (FILE,), origin="eth0")


def test_networkd_reads_its_files_again_also_after_they_were_put_back(host: FakeHost, soon: float) -> None:
    service = Service()
    host.handle(Networkd, NetworkdKind(service))
    new: list[HostResource] = [*OLD, File(FILE, b"1", origin="eth0", unmanaged=True), NETWORKD]
    assert change(host, OLD, new, soon) == [f"write {FILE}", "reload systemd-networkd"]
    assert service.calls == 1
    newer: list[HostResource] = [*OLD, File(FILE, b"2", origin="eth0", unmanaged=True), NETWORKD]
    host.fail_verify = True
    with pytest.raises(ApplyError):
        change(host, new, newer, soon)
    assert service.calls == 3
    assert host.plan(new, new, full=True).actions == ()


def test_without_networkd_nothing_lasts_beyond_doorward(host: FakeHost) -> None:
    host.handle(Networkd, NetworkdKind(Service(active=False)))
    plan = host.plan(OLD, [*OLD, File(FILE, b"1", origin="eth0", unmanaged=True), NETWORKD])
    assert texts(plan) == [f"write {FILE}"]
    assert [(warning.code, warning.origin) for warning in plan.warnings] == [("not_lasting", "eth0")]


SERVERS = NameServers(("192.0.2.53", "2001:db8::53"), "example.com", origin="dns")


def test_name_servers_are_written_for_whoever_answers(soon: float) -> None:
    files, service = MemoryFiles(), Service()
    host = FakeHost()
    host.files = files
    host.handle(NameServers, NameServersKind(files, service))
    change(host, [], [SERVERS], soon)
    plain = files.read(RESOLV_CONF)
    assert plain is not None
    assert plain.content.splitlines()[1:] == [b"search example.com", b"nameserver 192.0.2.53", b"nameserver 2001:db8::53"]
    assert service.calls == 0
    files.write(RESOLV_CONF, FileEntry(target="../run/systemd/resolve/stub-resolv.conf"))
    change(host, [], [SERVERS], soon)
    drop_in = files.read(DROP_IN)
    assert drop_in is not None
    assert drop_in.content.splitlines()[1:] == [b"[Resolve]", b"DNS=192.0.2.53 2001:db8::53", b"Domains=example.com"]
    assert service.calls == 1


@pytest.mark.parametrize(
    ("entry", "owner"),
    [
        (FileEntry(b"# Generated by NetworkManager\nnameserver 192.0.2.1\n"), "NetworkManager"),
        (FileEntry(target="/run/NetworkManager/resolv.conf"), "/run/NetworkManager/resolv.conf"),
        (FileEntry(target="/run/resolvconf/resolv.conf"), "/run/resolvconf/resolv.conf"),
    ],
)
def test_name_servers_that_another_program_writes_are_left_alone(entry: FileEntry, owner: str) -> None:
    host = FakeHost()
    host.files.write(RESOLV_CONF, entry)
    with pytest.raises(HostError, match=owner):
        host.plan([], [SERVERS])
    assert host.files.read(RESOLV_CONF) == entry


def test_a_sandbox_writes_files_and_sets_nothing(tmp_path: Path, soon: float) -> None:
    host = sandbox(tmp_path / "state")
    host.start()
    try:
        loopback = NetworkAddress("sandbox0", 0, "127.0.0.2/8", origin="nic1")
        new = [loopback, *NEW[:2], *NEW[5:]]
        assert texts(host.plan([], new)) == [
            "set VLAN 20 on eth0", "set address 127.0.0.2/8 on sandbox0", f"write {FILE}", "write /etc/hostname",
            "set name servers",
            "set line 127.0.1.1 of /etc/hosts",
            "set host name node1",
        ]  # fmt: skip
        host.apply(host.plan([], new), deadline=soon)
        assert (tmp_path / "state/root/etc/hostname").read_text() == "node1\n"
        assert host.plan(new, new, full=True).actions == ()
        assert host.drift(new) == []
        assert texts(host.plan(new, new[1:])) == ["remove address 127.0.0.2/8 on sandbox0"]
        host.apply(host.plan(new, new[1:]), deadline=soon)
        nowhere = NetworkAddress("sandbox0", 0, "203.0.113.77/24", origin="nic1")
        with pytest.raises(ApplyError, match=r"this machine does not have 203\.0\.113\.77/24") as caught:
            host.apply(host.plan(new, [*new, nowhere]), deadline=soon)
        assert caught.value.restored
        [warning] = host.drift([nowhere])
        assert warning.message == "the host does not have the address 203.0.113.77/24 on sandbox0"
    finally:
        host.stop()
