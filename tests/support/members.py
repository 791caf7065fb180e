"""Real nodes that form a cluster: started, with an open cluster interface, and asked over their API."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Self

import httpx2

from tests.support.network import Machine
from tests.support.server import PASSWORD, QUICK, Client, Server, until, worker

INTERFACE = "/api/configuration/local_services/cluster"
NIC = "/api/configuration/network/nics/nic1"
NTP, ZONE = "/api/configuration/datetime/ntp_servers", "/api/configuration/datetime/timezone"
PROMOTE, JOIN = "/api/cluster/promote", "/api/cluster/join_request"
NODES, STATUS = "/api/cluster/nodes", "/api/cluster/status"

LEFT_OPEN = "ignore:unclosed <ssl.SSLSocket:ResourceWarning"
"""Python 3.11 leaves a socket to the garbage collection whose other side was killed right before the TLS handshake."""

HASTY = (
    "doorward.cluster.statuses.OFFLINE_SECONDS=6 doorward.cluster.follower.LOST_SECONDS=1"
    " doorward.cluster.follower.REPORT_SECONDS=0.5"
)
"""Who is away is missed sooner than in earnest."""


def channel_port() -> str:
    """Return the port of the node channel: tests that run at the same time have the same addresses."""
    return str(7500 + worker())


class Member:
    """A node: its server and a client that is logged in. Without ``server`` it is a hasty one that listens at the address."""

    def __init__(self, state: Path, address: str, server: Server | None = None) -> None:
        self.address, self.state = address, state
        self.server = server or Server(
            state, QUICK, {"HASTY": HASTY}, ("--listen", f"{address}:0", "--cluster-port", channel_port())
        )
        self.client: Client
        self.id = ""

    @classmethod
    def on(cls, machine: Machine, state: Path, hasty: Mapping[str, float]) -> Self:
        """A node on a machine of a network, with limits of ``doorward.cluster`` of its own."""
        limits = " ".join(f"doorward.cluster.{name}={seconds}" for name, seconds in hasty.items())
        options = ("--listen", f"{machine.address}:8443")
        return cls(state, machine.address, Server(state, (*machine.launcher, *QUICK), {"HASTY": limits}, options))

    def start(self) -> None:
        self.server.start()
        self.login()

    def login(self, user: str = "admin", password: str = PASSWORD) -> None:
        self.client = self.server.login(user, password)

    def restart(self) -> None:
        """After a kill."""
        self.server.kill()
        self.start()

    # Reading and writing

    def body(self, path: str) -> Any:
        return self.shown(path)["body"]

    def send(self, method: str, path: str, value: Any = None) -> httpx2.Response:
        return self.client.send(method, path, value)

    def ok(self, method: str, path: str, value: Any = None) -> Any:
        """Make a request that is granted; what it answers."""
        answer = self.send(method, path, value)
        assert answer.status_code in {200, 201}, answer.text
        return answer.json()

    def shown(self, path: str) -> Any:
        """What a GET answers, whole."""
        return self.ok("GET", path)

    def commit(self, message: str | None = None) -> Any:
        answer = self.client.commit(message)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def write(self, path: str, value: Any, method: str = "PUT") -> Any:
        """Write and commit; what the write answers."""
        made = self.ok(method, path, value)
        self.commit()
        return made

    # Becoming a member

    def enable(self) -> None:
        """Open the cluster interface."""
        interfaces = self.body(NIC)["interfaces"]
        interface = interfaces["@order"][0]
        key = f"nic1.interfaces.{interface}.addresses.{interfaces[interface]['addresses']['@order'][0]}"
        self.write(INTERFACE, {"enabled": True, "listen_address": key})

    def promote(self) -> None:
        """Make a Central Management of it."""
        self.id = self.write(PROMOTE, {}, "POST")["meta"]["href"].rpartition("/")[2]

    def ask(self, central: str) -> Any:
        """Ask Central Management at an address to join; what it is to accept."""
        body = self.write(JOIN, {"central_management_address": central}, "POST")["body"]
        self.id = body["node_id"]
        return body

    def join(self, central: Member, *roles: str) -> None:
        """Ask to join, be accepted, be paired, and get roles."""
        central.write(NODES, self.ask(central.address), "POST")
        until(self.is_in, 30, "a member")
        if roles:
            central.write(f"{NODES}/{self.id}", {"address": self.address, "roles": list(roles)})
            central.settled(self)
            self.login()  # its accounts are those of Central Management now

    # How it does

    def request(self) -> tuple[str, str | None]:
        """Status of the join request, and why it is not better."""
        found = self.shown(JOIN)
        return found["status"], found["details"].get("reason")

    def is_in(self) -> bool:
        return self.request()[0] == "in cluster"

    def says(self, node: Member) -> Any:
        """How a node does, as it is seen from here."""
        return self.shown(f"{STATUS}/{node.id}")

    def settled(self, *members: Member) -> None:
        """Wait until nodes have what this Central Management has, and it knows."""
        until(lambda: all(self.says(node)["sync_status"] == "up-to-date" for node in members), 60, "up-to-date")

    def central(self) -> Any:
        """How Central Management does, as it is seen from here."""
        return self.shown(STATUS)["central_management"]

    def zone(self) -> str:
        return str(self.body(ZONE))

    def revision(self) -> int:
        return int(self.shown("/api/revisions?limit=1")["items"][0]["key"])

    def pinned(self) -> list[str]:
        """The node ids of whom it trusts, as they are on the disk."""
        with closing(sqlite3.connect(f"file:{self.state}/doorward.db?mode=ro", uri=True)) as store:
            return [row[0] for row in store.execute("SELECT id FROM records WHERE kind = 'cluster_peer'")]

    def holds(self, text: str) -> bool:
        """Whether a text is in its state or log in clear."""
        files = (path for path in self.state.rglob("*") if path.is_file())
        return text in "".join(self.server.errors) or any(text.encode() in path.read_bytes() for path in files)


@contextmanager
def members(directory: Path, count: int, kind: type[Member] = Member) -> Iterator[list[Member]]:
    """Nodes with their interfaces open, on addresses of 127.0.0.0/8; the first one is Central Management."""
    with started([kind(directory / f"node{number}", f"127.0.0.{number}") for number in range(1, count + 1)]) as found:
        yield found


@contextmanager
def started(found: list[Member]) -> Iterator[list[Member]]:
    """Start members and open their interfaces; the first one is Central Management."""
    try:
        for member in found:
            member.start()
            member.enable()
        found[0].promote()
        yield found
    finally:
        for member in found:
            if member.server.process is not None:
                member.server.stop()
