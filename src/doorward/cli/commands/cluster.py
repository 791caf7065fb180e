"""``doorward cluster``: promote, join, accept, remove, leave, repair, and the status of the nodes."""

from __future__ import annotations

import base64
import binascii
import json
import re
import sys
import time
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from doorward.cli import terminal
from doorward.cli.cluster_interface import open_cluster_interface
from doorward.cli.failures import CommandError, Usage
from doorward.cli.help import group, register
from doorward.cli.options import Committing, ConnectionOptions, Output, command
from doorward.cli.values import read_file, read_input

if TYPE_CHECKING:
    from doorward.cli.session import CommandSession

_CLUSTER = "/api/cluster"
_TOKEN = re.compile(r"doorward-join-1\.([A-Za-z0-9_-]{20,1000})")
_WATCH_SECONDS = 2.0
_WIDTH = 160
"""Columns where nobody looks at a terminal."""

app = group("cluster", "Nodes with one central configuration.")

Listen = Annotated[
    str | None,
    typer.Option(help="Open the cluster interface on this address of the node first.", metavar="IP", show_default=False),
]
Central = Annotated[str, typer.Argument(metavar="IP", help="Cluster address of Central Management.")]
Token = Annotated[
    Path | None,
    typer.Argument(
        metavar="FILE",
        help="What `doorward cluster join` printed; - or nothing reads it from standard input, so that no secret stands in an"
        " argument list.",
        show_default=False,
    ),
]
Roles = Annotated[
    list[str] | None, typer.Option("--role", help="Role of the node; may be given several times.", show_default=False)
]
Node = Annotated[str, typer.Argument(metavar="NODE", help="UUID, address or full name of the node.")]
Watch = Annotated[bool, typer.Option("--watch", "-w", help="Look again every 2 seconds until Ctrl-C.")]


@command
def status(connection: ConnectionOptions, output: Output, watch: Watch = False) -> None:  # noqa: FBT002 - Typer's option
    """Show the status of the nodes; on a joined node, its own."""
    from rich.console import Console, Group
    from rich.live import Live

    from doorward.cli.nodes_shown import answered, shown
    from doorward.cli.render import emit
    from doorward.cli.session import connected

    console = Console(file=sys.stdout, highlight=False)
    if not console.is_terminal:
        console.width = max(console.width, _WIDTH)
    with connected(connection) as session:
        if output.structured is not None:
            emit(answered(session), output.structured)
            return
        if not watch:
            for part in shown(session):
                console.print(part, soft_wrap=isinstance(part, str))
            return
        try:
            with Live(Group(*shown(session)), console=console, auto_refresh=False, screen=console.is_terminal) as live:
                while True:
                    time.sleep(_WATCH_SECONDS)
                    live.update(Group(*shown(session)), refresh=True)
        except KeyboardInterrupt:
            return


@command
def promote(connection: ConnectionOptions, how: Committing, listen: Listen = None) -> None:
    """Make this node Central Management. There is no way back."""
    from doorward.cli.session import connected
    from doorward.cli.transact import transact

    with connected(connection) as session:

        def write() -> None:
            _open_interface(session, listen)
            session.client.write("POST", f"{_CLUSTER}/promote", {})

        transact(session, how, write)


@command
def join(central: Central, connection: ConnectionOptions, how: Committing, listen: Listen = None) -> None:
    """Ask to join a cluster, and print what `doorward cluster accept` takes on Central Management.

    It is good for one pairing within 24 hours. Nothing else goes to standard output.
    """
    from doorward.cli.render import OutputLine, show
    from doorward.cli.session import connected
    from doorward.cli.transact import transact

    asked: dict[str, Any] = {}
    with redirect_stdout(sys.stderr), connected(connection) as session:

        def write() -> None:
            _open_interface(session, listen)
            asked.update(
                session.client.write("POST", f"{_CLUSTER}/join_request", {"central_management_address": central}).content["body"]
            )

        transact(session, how, write)
        if not how.dry_run:
            show([OutputLine("Give this to `doorward cluster accept` on Central Management:")])
    if not how.dry_run:
        show([OutputLine(_token(asked), "bold")])


@command
def accept(connection: ConnectionOptions, how: Committing, file: Token = None, role: Roles = None) -> None:
    """Let a node into the cluster of this Central Management, with what its join printed."""
    from doorward.cli.session import connected
    from doorward.cli.transact import transact

    asked = _asked(_text(file))
    with connected(connection) as session:

        def write() -> None:
            session.client.write("POST", f"{_CLUSTER}/nodes", asked)
            if role:
                body = {"address": asked["address"], "roles": role}
                session.client.write("PUT", f"{_CLUSTER}/nodes/{asked['node_id']}", body)

        transact(session, how, write)


@command
def remove(node: Node, connection: ConnectionOptions, how: Committing) -> None:
    """Remove a node. It turns standalone at its next contact and keeps its configuration."""
    from doorward.cli.session import connected
    from doorward.cli.transact import transact

    with connected(connection) as session:
        key = _found(session, node)
        transact(session, how, lambda: _delete(session, f"{_CLUSTER}/nodes/{key}"))


@command
def leave(connection: ConnectionOptions, how: Committing) -> None:
    """Withdraw the join request of this node, or leave its cluster. What is configured stays."""
    from doorward.cli.session import connected
    from doorward.cli.transact import transact

    with connected(connection) as session:
        transact(session, how, lambda: _delete(session, f"{_CLUSTER}/join_request"))


@command
def repair(connection: ConnectionOptions, how: Committing) -> None:
    """Have nodes follow this Central Management again that hold another history, as after it came back from an old copy.

    They give up what they took since that copy was made; the plan names them, and their own history keeps it.
    """
    from doorward.cli.session import connected
    from doorward.cli.transact import transact

    with connected(connection) as session:
        transact(session, how, lambda: _begun(session))


def _begun(session: CommandSession) -> None:
    session.client.write("POST", f"{_CLUSTER}/repair", {})


def _delete(session: CommandSession, path: str) -> None:
    session.client.write("DELETE", path)


def _found(session: CommandSession, node: str) -> str:
    """Return the UUID of a node. Raises Usage."""
    from doorward.client.errors import ApiRefusedError

    try:
        names = {item["key"]: item["fqdn"] for item in session.client.get(f"{_CLUSTER}/status").content["items"]}
    except ApiRefusedError as refused:
        if refused.type != "NotFound":
            raise
        raise CommandError("This node is in no cluster.") from None
    rows = session.client.get(f"{_CLUSTER}/nodes").content["items"]
    keys = [row["key"] for row in rows if node in {row["key"], row["body"]["address"], names.get(row["key"])}]
    if len(keys) != 1:
        raise Usage(f"{len(keys) or 'No'} nodes are called {node}.")
    return str(keys[0])


def _open_interface(session: CommandSession, address: str | None) -> None:
    """Open the cluster interface on an address of this node, if one is given. Raises Usage."""
    if address is not None:
        open_cluster_interface(session.client, address)


def _token(asked: dict[str, Any]) -> str:
    packed = json.dumps(asked, separators=(",", ":"), sort_keys=True).encode()
    return "doorward-join-1." + base64.urlsafe_b64encode(packed).decode().rstrip("=")


def _text(file: Path | None) -> str:
    """Return what the user gives, from a file or standard input."""
    if file is None and sys.stdin.isatty():
        return terminal.secret("What the join printed")
    if file is None or str(file) == "-":
        return read_input()
    return read_file(file)


def _asked(text: str) -> dict[str, Any]:
    """Return the body that the join request answered. Raises Failure."""
    found = _TOKEN.search(text)
    try:
        packed = found[1] if found else ""
        asked: dict[str, Any] = json.loads(base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4)))
        asked["address"], asked["node_id"]
    except (ValueError, binascii.Error, KeyError, TypeError):
        raise CommandError("This is not what `doorward cluster join` prints.") from None
    return asked


for _name, _function in {
    "status": status,
    "promote": promote,
    "join": join,
    "accept": accept,
    "remove": remove,
    "leave": leave,
    "repair": repair,
}.items():
    register(app, _name, _function)
