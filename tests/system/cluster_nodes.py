"""Real nodes on addresses of 127.0.0.0/8, and what makes a cluster of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.server import PASSWORD, QUICK, Client, Server, until

INTERFACE = "/api/configuration/local_services/cluster"
NIC = "/api/configuration/network/nics/nic1"
NTP, ZONE = "/api/configuration/datetime/ntp_servers", "/api/configuration/datetime/timezone"
PROMOTE, JOIN = "/api/cluster/promote", "/api/cluster/join_request"
NODES, STATUS = "/api/cluster/nodes", "/api/cluster/status"

PORT = str(7500 + int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")))
"""Of the node channel: tests that run at the same time have the same addresses."""

HASTY = (
    "doorward.cluster.statuses.OFFLINE_SECONDS=6 doorward.cluster.follower.LOST_SECONDS=1"
    " doorward.cluster.follower.REPORT_SECONDS=0.5"
)
"""Who is away is missed sooner than in earnest."""


class Member:
    """A node: its server and a client that is logged in."""

    def __init__(self, state: Path, address: str) -> None:
        self.address, self.state = address, state
        self.server = Server(state, QUICK, {"HASTY": HASTY}, ("--listen", f"{address}:0", "--cluster-port", PORT))
        self.client: Client
        self.id = ""

    def start(self) -> None:
        self.server.start()
        self.login()

    def login(self, user: str = "admin", password: str = PASSWORD) -> None:
        self.client = self.server.login(user, password)

    def restart(self) -> None:
        """After a kill."""
        self.server.kill()
        self.start()

    def body(self, path: str) -> Any:
        return self.client.body(path)

    def ok(self, method: str, path: str, value: Any = None) -> Any:
        """Make a request that is granted; what it answers."""
        answer = self.client.send(method, path, value)
        assert answer.status_code in {200, 201}, answer.text
        return answer.json()

    def commit(self, message: str | None = None) -> Any:
        answer = self.client.commit(message)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def write(self, path: str, value: Any, method: str = "PUT") -> Any:
        """Write and commit."""
        made = self.ok(method, path, value)
        self.commit()
        return made

    def enable(self) -> None:
        """Open the cluster interface."""
        interfaces = self.body(NIC)["interfaces"]
        interface = interfaces["@order"][0]
        key = f"nic1.interfaces.{interface}.addresses.{interfaces[interface]['addresses']['@order'][0]}"
        self.write(INTERFACE, {"enabled": True, "listen_address": key})

    def join(self, centre: Member, *roles: str) -> None:
        """Ask to join, be accepted, be paired, and get roles."""
        asked = self.write(JOIN, {"central_management_address": centre.address}, "POST")["body"]
        self.id = asked["node_id"]
        centre.write(NODES, asked, "POST")
        until(self.is_in, 20, "a member")
        if roles:
            centre.write(f"{NODES}/{self.id}", {"address": self.address, "roles": list(roles)})
            until(lambda: centre.says(self)["sync_status"] == "up-to-date", 20, "its first configuration")
            self.login()  # its accounts are those of the centre now

    def is_in(self) -> bool:
        return bool(self.client.get(JOIN).json()["status"] == "in cluster")

    def says(self, node: Member) -> Any:
        """The status of a node."""
        answer = self.client.get(f"{STATUS}/{node.id}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def settled(self, *members: Member) -> None:
        """Wait until nodes have what this centre has."""
        until(lambda: all(self.says(node)["sync_status"] == "up-to-date" for node in members), 30, "up-to-date")


@contextmanager
def members(directory: Path, count: int, kind: type[Member] = Member) -> Iterator[list[Member]]:
    """Nodes with their interfaces open; the first one is the centre."""
    found = [kind(directory / f"node{number}", f"127.0.0.{number}") for number in range(1, count + 1)]
    try:
        for member in found:
            member.start()
            member.enable()
        found[0].id = found[0].ok("POST", PROMOTE)["meta"]["href"].rpartition("/")[2]
        found[0].commit()
        yield found
    finally:
        for member in found:
            if member.server.process is not None:
                member.server.stop()
