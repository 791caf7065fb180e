"""``doorward host-keys``: the host keys of SSH servers that sessions are let through to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from doorward.cli.failures import CommandError, Usage
from doorward.cli.help import group, register
from doorward.cli.options import ConnectionOptions, Output, command

if TYPE_CHECKING:
    from collections.abc import Sequence

    from doorward.cli.render import OutputLine
    from doorward.cli.servers import ServerHostKey, ServerName

app = group("host-keys", "Host keys of SSH servers: which ones are trusted, and which ones servers offer.")

_SERVER = typer.Argument(metavar="SERVER[:PORT]", help="Name or address of the server, as users name it.", show_default=False)
ServerArgument = Annotated[str, _SERVER]
AnyServer = Annotated[str, _SERVER]
PublicKey = Annotated[
    str,
    typer.Argument(
        metavar="PUBLIC_KEY", help="'TYPE BASE64', as ssh-keyscan and *.pub have it. Without: what it offers.", show_default=False
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask. Without a terminal nothing is trusted unless this is given.")]


@command
def list_(connection: ConnectionOptions, output: Output, server: AnyServer = "") -> None:
    """List the keys that are trusted, of one server or of all."""
    from doorward.cli import render
    from doorward.cli.servers import server_of, trusted
    from doorward.cli.session import connected

    wanted = server_of(server) if server else None
    with connected(connection) as session:
        found = trusted(session.client, wanted)
    rows = [[one["key"], one["fingerprint"], render.local_time(one["learned"]), one["by"]] for one in found]
    head = ["KEY", "FINGERPRINT", "SINCE", "BY"]
    render.emit(
        found, output.structured, render.table(head, rows) if rows else [render.OutputLine("No host key is trusted.", "dim")]
    )


@command
def scan(connection: ConnectionOptions, output: Output, server: ServerArgument) -> None:
    """Show the keys that a server offers, each behind its fingerprint. Nothing is trusted by that: compare them first."""
    from doorward.cli import render
    from doorward.cli.servers import scanned, server_of
    from doorward.cli.session import connected

    with connected(connection) as session:
        found = scanned(session.client, server_of(server))
    told = [{"fingerprint": key.fingerprint, "public_key": key.public_key} for key in found]
    render.emit(told, output.structured, (render.OutputLine(f"{key.fingerprint} {key.public_key}") for key in found))


@command
def add(connection: ConnectionOptions, server: ServerArgument, public_key: PublicKey = "", yes: Yes = False) -> None:  # noqa: FBT002 - Typer's option
    """Trust a key of a server: the one that is given, or those that it offers, once you have compared them.

    doorward host-keys add db1.example.com 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI...'
    """
    from doorward.cli.servers import ServerHostKey, scanned, server_of, trust, unknown
    from doorward.cli.session import connected

    wanted = server_of(server)
    with connected(connection) as session:
        if public_key:
            keys = [ServerHostKey(public_key, "")]
        else:
            keys = unknown(session.client, wanted, scanned(session.client, wanted))
            if not keys:
                typer.echo(f"All keys that {wanted.label} offers are trusted already.")
                return
            _ask(wanted, keys, yes=yes)
        for name in trust(session.client, wanted, keys):
            typer.echo(f"{name} is trusted.")


def _ask(server: ServerName, keys: Sequence[ServerHostKey], *, yes: bool) -> None:
    """Show keys and ask whether they are the server's. Raises Usage where nobody can be asked, Exit where they are not."""
    from doorward.cli import terminal
    from doorward.cli.render import show

    show(offered(server, keys))
    if yes:
        return
    if not terminal.present():
        raise Usage("Nothing was trusted. There is no terminal to ask on: give --yes.")
    if not terminal.agrees("Are these the keys of the server?"):
        typer.echo("Nothing was trusted.", err=True)
        raise typer.Exit(1)


def offered(server: ServerName, keys: Sequence[ServerHostKey]) -> Iterator[OutputLine]:
    """Yield what a server offers, for a person to compare."""
    from doorward.cli.render import OutputLine

    yield OutputLine(f"{server.label} offers the host keys:", "bold")
    yield from (OutputLine(f"  {key.fingerprint} ({key.type})") for key in keys)
    yield OutputLine("Compare them on its console: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub", "dim")


@command
def remove(
    connection: ConnectionOptions,
    which: Annotated[
        str, typer.Argument(metavar="KEY|SERVER[:PORT]", help="A key as `list` shows it, or a server with all of its keys.")
    ],
) -> None:
    """Trust a key no longer, or all keys of a server. Sessions that run go on; new ones are refused."""
    from doorward.cli.servers import forget, server_of, trusted
    from doorward.cli.session import connected

    with connected(connection) as session:
        everything = trusted(session.client)
        names = [one["key"] for one in everything if one["key"] == which]
        if not names:
            server = server_of(which)
            names = [one["key"] for one in everything if (one["host"], one["port"]) == (server.host, server.port)]
        if not names:
            raise CommandError(f"No key of {which} is trusted.")
        for name in names:
            forget(session.client, name)
            typer.echo(f"{name} is not trusted any more.")


_COMMANDS: dict[str, Callable[..., None]] = {"list": list_, "scan": scan, "add": add, "remove": remove}
for _name, _function in _COMMANDS.items():
    register(app, _name, _function)
