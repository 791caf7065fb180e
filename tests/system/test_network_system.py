"""A real node that manages its machine (``--host system``), in namespaces of its own with a copy of /etc."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.namespaces import apart, private_system, run
from tests.support.server import Client, Server
from tests.system.chrony_support import need_chrony

NETWORK = "/api/configuration/network"
NIC1 = f"{NETWORK}/nics/nic1"
FILE = Path("/etc/systemd/network/10-doorward-door0.network")
READ = ("/etc/hostname", "/etc/hosts", "/etc/resolv.conf")


ACCOUNTS = {"doorward": 64701, "_doorward-workers": 64702}
STATE = Path("/run/node")
"""Of a server in namespaces: on a file system of its own, where other accounts than root get to."""


@pytest.fixture
def server() -> Iterator[Server]:
    need_chrony()
    made = Server(STATE, options=("--host", "system", "--listen", "192.0.2.5:0"), plain=True)
    yield made
    if made.process is not None:
        made.stop()


def machine(directory: Path) -> None:
    """A machine with one network device, in use, and with the accounts that the package makes."""
    private_system(directory)
    with Path("/etc/passwd").open("a") as accounts:
        accounts.writelines(f"{name}:x:{number}:{number}::/nonexistent:/usr/sbin/nologin\n" for name, number in ACCOUNTS.items())
    for command in (
        "link add door0 type veth peer name far0",
        "link set far0 up",
        "link set door0 up",
        "address add 192.0.2.5/24 dev door0",
        "route add default via 192.0.2.1",
    ):
        run(f"ip {command}")


def kernel() -> tuple[set[str], set[tuple[str, str]]]:
    [link] = json.loads(run("ip -json address show dev door0"))
    routes = {(route["dst"], route["gateway"]) for route in json.loads(run("ip -json route")) if "gateway" in route}
    return {f"{one['local']}/{one['prefixlen']}" for one in link["addr_info"] if one["family"] == "inet"}, routes


def files() -> dict[str, bytes | None]:
    return {path: Path(path).read_bytes() if Path(path).exists() else None for path in READ}


def warnings(client: Client) -> list[str]:
    found = client.get("/api/health_status").json()["health_status"]
    assert found["issues"]["errors"] == []
    return [one["message"] for one in found["issues"]["warnings"] if "the host does not have" in one["message"]]


def with_addresses(body: Any, *texts: str) -> Any:
    [interface] = body["interfaces"]["@order"]
    addresses = body["interfaces"][interface]["addresses"]
    for index, text in enumerate(texts):
        addresses["@order"].append(f"more{index}")
        addresses[f"more{index}"] = text
    return body


@apart
def test_a_system_is_left_as_it_was_found_and_then_managed(server: Server, tmp_path: Path) -> None:
    machine(tmp_path)
    before = files()
    server.start()
    client = server.login()
    assert client.body(f"{NETWORK}/routing") == [{"gateway": "192.0.2.1", "target_network": "0.0.0.0/0"}]
    assert client.body(NIC1)["name"] == "door0"
    assert (files(), FILE.exists(), kernel()) == (before, False, ({"192.0.2.5/24"}, {("default", "192.0.2.1")}))

    client.put(NIC1, with_addresses(client.body(NIC1), "192.0.2.6/24", "198.51.100.5/24"))
    client.put(f"{NETWORK}/routing", [{"gateway": "198.51.100.1", "target_network": "0.0.0.0/0"}])
    client.put(f"{NETWORK}/naming", {"hostname": "node7", "domainname": "example.com"})
    client.put(f"{NETWORK}/dns", {"primary": "192.0.2.53"})
    done = client.commit()
    assert done.status_code == 200, done.text
    assert "not_lasting" in [warning["code"] for warning in done.json()["meta"]["warnings"]]
    wanted = ({"192.0.2.5/24", "192.0.2.6/24", "198.51.100.5/24"}, {("default", "198.51.100.1")})
    assert kernel() == wanted
    assert run("uname -n") == "node7\n"
    assert Path("/etc/hostname").read_text() == "node7\n"
    assert "127.0.1.1\tnode7.example.com node7\n" in Path("/etc/hosts").read_text()
    assert Path("/etc/resolv.conf").read_text().splitlines()[1:] == ["search example.com", "nameserver 192.0.2.53"]
    assert "Address=192.0.2.6/24\n" in FILE.read_text()
    assert "Gateway=198.51.100.1\n" in FILE.read_text()

    # Doorward is killed, and the machine comes up without what was set.
    server.kill()
    run("ip address flush dev door0")
    run("ip link set door0 down")
    run("hostname other")
    assert kernel() == (set(), set())
    server.start()
    assert kernel() == wanted
    assert run("uname -n") == "node7\n"
    client = server.login()
    assert warnings(client) == []
    server.stop()
    # The node leaves what it has set.
    assert kernel() == wanted


@apart
def test_a_device_that_another_program_manages_is_left_alone(server: Server, tmp_path: Path) -> None:
    machine(tmp_path)
    devices = Path("/run/NetworkManager/devices")
    devices.mkdir(parents=True)
    (devices / str(socket.if_nametoindex("door0"))).write_text("[device]\nmanaged=true\n")
    server.start()
    client = server.login()
    before = (kernel(), files())
    client.put(NIC1, with_addresses(client.body(NIC1), "192.0.2.6/24"))
    client.put(f"{NETWORK}/naming", {"hostname": "node7", "domainname": "example.com"})
    answer = client.commit()
    error = answer.json()["error"]
    assert (answer.status_code, error["type"], error["details"]["restored"]) == (500, "ApplyFailed", True)
    assert error["details"]["reason"] == "NetworkManager manages the device door0; take the device from it first"
    assert (kernel(), files(), FILE.exists()) == (*before, False)
