"""Real nodes that form a cluster: started, with an open cluster interface, and asked over their API."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from tests.support.server import Client, Server

JOIN, NODES, STATUS = "/api/cluster/join_request", "/api/cluster/nodes", "/api/cluster/status"
INTERFACE = "/api/configuration/local_services/cluster"
NIC = "/api/configuration/network/nics/nic1"
ZONE = "/api/configuration/datetime/timezone"


@dataclass
class Member:
    """A Doorward that has a place in a cluster, or wants one."""

    address: str
    server: Server
    api: Client
    id: str = ""

    def write(self, path: str, value: Any, method: str = "PUT") -> Any:
        """Write and commit; return the answer of the write."""
        answer = self.api.send(method, path, value)
        assert answer.status_code in {200, 201}, answer.text
        done = self.api.commit()
        assert done.status_code == 200, done.text
        return answer.json()

    def shown(self, path: str) -> Any:
        answer = self.api.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def join(self) -> tuple[str, str | None]:
        """Status of the join request, and why it is not better."""
        found = self.shown(JOIN)
        return found["status"], found["details"].get("reason")

    def asked(self, centre: str) -> Any:
        """Ask to join; return what the centre is to accept."""
        body = self.write(JOIN, {"central_management_address": centre}, "POST")["body"]
        self.id = body["node_id"]
        return body

    def promoted(self) -> None:
        self.id = self.write("/api/cluster/promote", {}, "POST")["meta"]["href"].rpartition("/")[2]

    def status(self, node_id: str) -> Any:
        """How a node does, as it is seen from here."""
        return self.shown(f"{STATUS}/{node_id}")

    def central(self) -> Any:
        """How the centre does, as it is seen from here."""
        return self.shown(STATUS)["central_management"]

    def zone(self) -> str:
        return str(self.api.body(ZONE))

    def revision(self) -> int:
        return int(self.shown("/api/revisions")["items"][0]["key"])

    def pinned(self) -> list[str]:
        """The node ids of whom it trusts, as they are on the disk."""
        with closing(sqlite3.connect(f"file:{self.server.state}/doorward.db?mode=ro", uri=True)) as store:
            return [row[0] for row in store.execute("SELECT id FROM records WHERE kind = 'cluster_peer'")]

    def holds(self, text: str) -> bool:
        """Whether a text is in its state or log in clear."""
        files = (path for path in self.server.state.rglob("*") if path.is_file())
        return text in "".join(self.server.errors) or any(text.encode() in path.read_bytes() for path in files)


def started(address: str, server: Server) -> Member:
    """Start a server that listens on an address and open its cluster interface there."""
    server.start()
    member = Member(address, server, server.login())
    interfaces = member.api.body(NIC)["interfaces"]
    name = interfaces["@order"][0]
    key = f"nic1.interfaces.{name}.addresses.{interfaces[name]['addresses']['@order'][0]}"
    member.write(INTERFACE, {"enabled": True, "listen_address": key})
    return member
