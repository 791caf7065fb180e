"""The network of a node in a sandbox: files are written, nothing of the machine is touched, sockets prove the addresses."""

from __future__ import annotations

import copy
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.server import Client, Server, until

NETWORK = "/api/configuration/network"
NIC1 = f"{NETWORK}/nics/nic1"
WEB = "/api/configuration/local_services/admin_web"
FILE = "etc/systemd/network/10-doorward-sandbox0.network"


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    made = server.login()
    yield made
    made.delete("/api/transaction")


def written(server: Server, path: str) -> list[str]:
    return (server.state / "root" / path).read_text().splitlines()


def with_address(body: Any, text: str, key: str = "second") -> Any:
    """The body of the NIC with one more address on its first interface."""
    body = copy.deepcopy(body)
    addresses = body["interfaces"][body["interfaces"]["@order"][0]]["addresses"]
    addresses["@order"] = [*dict.fromkeys([*addresses["@order"], key])]
    addresses[key] = text
    return body


def actions(client: Client) -> list[tuple[str, str]]:
    plan = client.get("/api/transaction/plan").json()["body"]
    assert plan["problems"] == []
    return [(action["action"], action["path"].removeprefix(NETWORK)) for action in plan["actions"]]


def drift(client: Client) -> list[tuple[str, str]]:
    found = client.get("/api/health_status").json()["health_status"]["issues"]
    return [(path, one["message"]) for one in found["warnings"] for path in one["paths"] if path.startswith(NETWORK)]


def refused(answer: Any, kind: str) -> list[tuple[str, str]]:
    error = answer.json()["error"]
    assert (answer.status_code, error["type"]) == (400, kind), error
    return [(problem["code"], problem["pointer"]) for problem in error["details"]["errors"]]


def test_an_address_is_added_and_kept(server: Server) -> None:
    client = server.login()
    assert not (server.state / "root" / FILE).exists(), "nothing is touched before a commit"
    assert not (server.state / "managed.json").exists()
    body = client.body(NIC1)
    assert (body["name"], body["speed"]) == ("sandbox0", "auto")
    wanted = with_address(body, "127.0.0.2/8")
    assert client.put(NIC1, wanted).status_code == 200
    assert actions(client) == [
        ("set address 127.0.0.2/8 on sandbox0", "/nics/nic1"),
        (f"write /{FILE}", "/nics/nic1"),
    ]
    assert client.commit().status_code == 200
    assert written(server, FILE)[-4:] == ["[Network]", "DHCP=no", "Address=127.0.0.1/8", "Address=127.0.0.2/8"]
    server.kill()
    server.start()
    again = server.login()
    assert again.body(NIC1) == wanted
    (server.state / "root" / FILE).write_text("somebody else's\n")
    assert drift(again) == [(NIC1, f"/{FILE} was changed by someone else")]
    server.stop()
    server.start()
    assert written(server, FILE)[-1] == "Address=127.0.0.2/8", "what is ours is put right at the start"


def test_an_address_that_the_machine_does_not_have_is_refused_and_nothing_stays(server: Server, client: Client) -> None:
    before, file = client.body(NIC1), written(server, FILE)
    client.put(NIC1, with_address(before, "203.0.113.77/24", "far"))
    answer = client.commit()
    error = answer.json()["error"]
    assert (answer.status_code, error["type"]) == (500, "ApplyFailed")
    assert (error["details"]["path"], error["details"]["restored"]) == (NIC1, True)
    assert "this machine does not have 203.0.113.77/24" in error["details"]["reason"]
    assert written(server, FILE) == file
    client.delete("/api/transaction")
    assert client.body(NIC1) == before


def test_the_name_of_the_node_is_not_that_of_the_machine(server: Server, client: Client) -> None:
    machine = socket.gethostname()
    client.put(f"{NETWORK}/naming", {"hostname": "Node7", "domainname": "example.com"})
    assert [action for action, _ in actions(client)] == [
        "write /etc/hostname", "set name servers", "set line 127.0.1.1 of /etc/hosts", "set host name node7",
    ]  # fmt: skip
    assert client.commit().status_code == 200
    assert client.body("/api/info")["hostname"] == "node7"
    assert written(server, "etc/hostname") == ["node7"]
    assert written(server, "etc/hosts") == ["127.0.1.1\tnode7.example.com node7"]
    assert socket.gethostname() == machine
    assert Path("/etc/hostname").read_text().strip() != "node7"


def test_name_servers_and_routes_are_written_down(server: Server, client: Client) -> None:
    client.put(f"{NETWORK}/dns", {"primary": "192.0.2.53", "secondary": "192.0.2.54"})
    added = client.post(f"{NETWORK}/routing", {"gateway": "127.9.9.9", "target_network": "10.0.0.0/8"})
    assert added.status_code == 201
    assert client.commit().status_code == 200
    lines = written(server, "etc/resolv.conf")
    assert lines[1:] == ["search example.com", "nameserver 192.0.2.53", "nameserver 192.0.2.54"]
    assert written(server, FILE)[-3:] == ["[Route]", "Destination=10.0.0.0/8", "Gateway=127.9.9.9"]
    client.put(f"{NETWORK}/dns", {"primary": None, "secondary": None})
    done = client.commit()
    assert [warning["code"] for warning in done.json()["meta"]["warnings"]] == ["no_resolver"]
    client.put(f"{NETWORK}/routing", [{"gateway": "192.0.2.1", "target_network": "0.0.0.0/0"}])
    assert refused(client.commit(), "SemanticError") == [("gateway_unreachable", "/0/gateway")]


def test_the_web_service_moves_to_a_new_address_before_the_old_one_goes(server: Server, client: Client) -> None:
    old = client.body(NIC1)
    interface = old["interfaces"]["@order"][0]
    first = old["interfaces"][interface]["addresses"]["@order"][0]
    lines = client.body(WEB)
    gone = with_address(old, "127.0.0.3/8", "third")
    addresses = gone["interfaces"][interface]["addresses"]
    addresses["@order"].remove(first)
    del addresses[first]
    assert refused(client.put(NIC1, gone), "SemanticError") == [("referenced", "/interfaces")]
    assert client.put(NIC1, with_address(old, "127.0.0.3/8", "third")).status_code == 200
    key = f"nic1.interfaces.{interface}.addresses.third"
    moved = {**lines, "listen": [{**lines["listen"][0], "address": key}]}
    assert client.put(WEB, moved).status_code == 200
    assert client.put(NIC1, gone).status_code == 200
    port = server.port
    done = [action for action, _ in actions(client)]
    assert done.index("set address 127.0.0.3/8 on sandbox0") < done.index(f"open admin_web at 127.0.0.3:{port}")
    assert done.index(f"close admin_web at 127.0.0.1:{port}") < done.index("remove address 127.0.0.1/8 on sandbox0")
    assert client.commit().status_code == 200
    until(lambda: not accepts("127.0.0.1", port), what="the old listener closes")
    assert accepts("127.0.0.3", port)
    # The connection of the client lives on. Now the address gets another text, and what refers to it follows.
    assert client.put(NIC1, with_address(client.body(NIC1), "127.0.0.4/8", "third")).status_code == 200
    assert client.commit().status_code == 200
    assert accepts("127.0.0.4", port)
    until(lambda: not accepts("127.0.0.3", port), what="the old listener closes")


def accepts(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), 5).close()
    except ConnectionRefusedError:
        return False
    return True
