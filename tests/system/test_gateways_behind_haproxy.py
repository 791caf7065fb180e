"""Two gateways behind one address, by a real HAProxy: one dies, new sessions go to the other, nothing recorded is lost.

In no cluster, and in one, whose gateways are one server to their clients by themselves.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.support.ports import free_port
from tests.support.server import running, until
from tests.support.waiting import PATIENCE
from tests.system.command_line import CommandLine
from tests.system.served import Served, die, revive, served

CONNECTIONS = "/api/configuration/ssh/connections"
PAGE = (Path(__file__).parents[2] / "docs/scaling.md").read_text()


class Balanced(Served):
    """Gateways behind one address. Their clients trust the first host key that they see, and no other one."""

    def command(self, program: str = "ssh") -> list[str]:
        return [program, "-o", "StrictHostKeyChecking=accept-new", *super().command(program)[1:]]


def openssh_key() -> str:
    """Make a host key, in the form of OpenSSH."""
    made = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    return made.decode()


def shows(gateway: Served, host_key: str) -> None:
    """Give a gateway a host key by hand, as those of no cluster need it."""
    admin = gateway.server.login()
    made = admin.post("/api/configuration/private_keys", {"private_key": host_key})
    assert made.status_code == 201, made.text
    [connection] = admin.get(CONNECTIONS).json()["items"]
    body = admin.body(f"{CONNECTIONS}/{connection['key']}")
    body["client_side_hostkeys"] = {"selection": "own", "keys": [made.json()["key"]]}
    put = admin.put(f"{CONNECTIONS}/{connection['key']}", body)
    assert put.status_code == 200, put.text
    assert admin.commit().status_code == 200


@contextmanager
def balanced(directory: Path, gateways: list[Served]) -> Iterator[Balanced]:
    """The first gateway as it is reached through HAProxy, with the configuration of ``docs/scaling.md``."""
    program = shutil.which("haproxy", path="/usr/sbin:/usr/bin")
    assert program, "HAProxy is not installed (Debian package haproxy)"
    found = re.search(r"```\n# haproxy.cfg\n(.*?)```", PAGE, re.DOTALL)
    assert found
    port, text = free_port(), found[1]
    ours = [f"{one.address}:{one.port}" for one in gateways]
    for old, new in (("127.0.0.1:2222", f"127.0.0.1:{port}"), *((f"192.0.2.{n}:2222", one) for n, one in enumerate(ours, 1))):
        assert old in text
        text = text.replace(old, new)
    (directory / "haproxy.cfg").write_text(text)
    process = subprocess.Popen([program, "-db", "-f", str(directory / "haproxy.cfg")])
    try:
        until(lambda: listens(port) or process.poll() is not None, what="HAProxy")
        assert process.poll() is None
        first = gateways[0]
        yield Balanced(first.server, first.sshd, first.cli, port)
    finally:
        process.terminate()
        process.wait(PATIENCE)


def listens(port: int) -> bool:
    """Whether somebody takes connections there."""
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


def test_when_a_gateway_dies_the_next_session_goes_to_the_other(tmp_path: Path) -> None:
    homes = [tmp_path / "one", tmp_path / "two"]
    for home in homes:
        home.mkdir()
    host_key = openssh_key()
    with served(tmp_path / "state1", homes[0]) as first, served(tmp_path / "state2", homes[1]) as second:
        second.cli.ok("quickstart", "ssh", "--yes", first.login)  # both lead to the first target
        gateways = [first, second]
        for gateway in gateways:
            shows(gateway, host_key)
        with balanced(tmp_path, gateways) as site:
            until(lambda: site.ssh("true").returncode == 0, what="a gateway behind the address")
            with site.terminal() as user:
                dead = until(lambda: next((one for one in gateways if one.live()), None), what="the session")
                other = next(one for one in gateways if one is not dead)
                [key] = dead.live()
                user.types("echo recorded-$((50+5))")
                user.awaits("recorded-55")
                trail = dead.server.state / "trails" / f"{key}.dwr"
                text = dead.cli  # which finds no channel before the first of it is there
                until(lambda: "recorded-55" in text("trail", "text", str(trail)).out, what="that it is on the disk")
                die(dead)
                assert user.process.wait(PATIENCE) != 0
            until(lambda: site.ssh("echo again-$((60+6))").stdout == b"again-66\n", what="a session on the other one")
            assert until(lambda: json.loads(other.cli.ok("sessions", "search", "again-66", "--json")), what="its row")
            assert len(json.loads(other.cli.ok("sessions", "list", "--json"))) <= 3, "looks of HAProxy are no sessions"
            revive(dead)
            until(lambda: dead.live() == [], what="that it is known to have ended")
            [row] = until(lambda: json.loads(dead.cli.ok("sessions", "search", "recorded-55", "--json")), what="its text")
            assert row["key"] == key
            dead.cli.ok("trail", "verify", str(trail))


def joined(central: CommandLine, node: CommandLine, address: str) -> None:
    """Have a node ask Central Management to be a managed host, and accept it, without a look at how it goes."""
    asked = node.ok("cluster", "join", "127.0.0.1", "--listen", address)
    central.ok("cluster", "accept", "--role", "managed-host", "--role", "search-local", stdin=asked)


def test_gateways_of_a_cluster_are_one_server(tmp_path: Path) -> None:
    homes = [tmp_path / f"home{number}" for number in (1, 2, 3)]
    for home in homes:
        home.mkdir()
    cluster = ("--cluster-port", str(free_port()))
    with contextlib.ExitStack() as stack:
        centre = stack.enter_context(served(tmp_path / "state1", homes[0], options=cluster))
        addresses = ["127.0.0.2", "127.0.0.3"]
        nodes = [
            stack.enter_context(running(tmp_path / f"state{n}", options=("--listen", f"{address}:0", *cluster)))
            for n, address in enumerate(addresses, 2)
        ]
        gateways = [
            Served(node, centre.sshd, CommandLine(node, home), centre.port, address=address)
            for node, home, address in zip(nodes, homes[1:], addresses, strict=True)
        ]
        centre.cli.ok("cluster", "promote", "--listen", "127.0.0.1")
        for one in gateways:
            joined(centre.cli, one.cli, one.address)
        targets = ["127.0.0.1/32", *(f"{address}/32" for address in addresses)]
        described = {"configuration": {"ssh": {"connections": {"quickstart": {"network": {"targets": targets}}}}}}
        centre.cli.ok("apply", "-", stdin=json.dumps(described))
        until(lambda: centre.cli.ok("cluster", "status").count("up-to-date") == len(gateways), what="the configuration")
        with balanced(tmp_path, gateways) as site:

            def carried() -> bool:
                """Let one more session through; return whether both had some by now."""
                assert site.ssh("true").returncode in {0, 255}
                return all(json.loads(one.cli.ok("sessions", "list", "--json")) for one in gateways)

            until(carried, what="sessions through both")
            assert len((site.cli.home / "known_hosts").read_text().splitlines()) == 1, "they have one host key"
