"""``doorward quickstart``: from a fresh node to the first recorded session."""

from __future__ import annotations

import getpass
import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from doorward.cli.commands.host_keys import offered
from doorward.cli.failures import CommandError, failure_of
from doorward.cli.help import group, register
from doorward.cli.options import Asking, ConnectionOptions, command
from doorward.client.errors import ClientError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from doorward.cli.render import OutputLine
    from doorward.cli.servers import ServerHostKey, ServerName
    from doorward.cli.session import CommandSession
    from doorward.cli.starting import QuickstartPlan

_HOST_KEYS = "/api/configuration/ssh/host_keys"
_PRIVATE_KEYS = "/api/configuration/private_keys"

app = group("quickstart", "The first session in a minute: a policy with safe defaults, and what to type then.")


@command
def ssh(
    connection: ConnectionOptions,
    how: Asking,
    server: Annotated[
        str, typer.Argument(metavar="[USER@]SERVER[:PORT]", help="Where sessions shall go, and as whom.", show_default=False)
    ],
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the node that users connect to.")] = 2222,
    address: Annotated[
        str,
        typer.Option(metavar="ADDRESS", help="Address of the node for users. Without: its first.", show_default=False),
    ] = "",
) -> None:
    """Let SSH sessions to a server through, recorded, and say what to type.

    Makes the connection policy `quickstart`, for clients of the network of the address; a second server is added to it. Users log
    in at the server as ever: nothing of theirs is stored. The keys of the server are shown, and trusted if you agree.
    """
    from doorward.cli.applying import write
    from doorward.cli.render import OutputLine, show
    from doorward.cli.servers import login_of, scanned, unknown
    from doorward.cli.session import connected
    from doorward.cli.starting import start
    from doorward.cli.transact import agreed, prepare

    user, wanted = login_of(server)
    with connected(connection) as session:
        keys = unknown(session.client, wanted, scanned(session.client, wanted))
        begun = start(session.remote, wanted, port, address)
        show(_promises(begun, wanted))
        if begun.described:
            prepare(session, lambda: write(session, begun.described, prune=False), None, brief=not how.dry_run)
        show(offered(wanted, keys) if keys else [OutputLine(f"The host keys of {wanted.label} are trusted already.")])
        if how.dry_run:
            show([OutputLine("Nothing was committed, and nothing is trusted: this was a dry run.", "dim")])
            return
        message = how.message
        if begun.described or keys:
            question = "Are these the keys of the server, and shall it be so?" if keys else "Shall it be so?"
            message = agreed(session, how, question, "Nothing was committed, and nothing is trusted.")
        _commit(session, begun, wanted, keys, message)
        show(_what_to_type(user or getpass.getuser(), wanted, begun, _own_keys(session)))


def _commit(
    session: CommandSession, begun: QuickstartPlan, server: ServerName, keys: Sequence[ServerHostKey], message: str | None
) -> None:
    """Trust the keys and commit; neither without the other."""
    from doorward.cli.render import OutputLine, show
    from doorward.cli.servers import forget, trust
    from doorward.cli.transact import waiting

    made = trust(session.client, server, keys)
    if not begun.described:
        return
    try:
        done = session.client.commit(message or f"Recorded SSH sessions to {server.label}")
    except (CommandError, ClientError) as error:
        for name in made:
            forget(session.client, name)
        hint = "Where another program has the port: --port takes another one."
        raise CommandError(*failure_of(error).lines, hint) from None
    show([waiting(done) if done.proposal else OutputLine(f"Revision {done.revision} is in effect.", "bold green")])


def _promises(begun: QuickstartPlan, server: ServerName) -> Iterator[OutputLine]:
    from doorward.cli.render import OutputLine
    from doorward.cli.starting import POLICY

    yield OutputLine(f"Connection policy {POLICY}:", "bold")
    yield OutputLine(f"  in:        {begun.host} port {begun.port}, for clients from {', '.join(begun.clients)}")
    yield OutputLine(f"  out:       {server.label}, with its trusted host keys only")
    if not begun.is_new:
        return
    yield OutputLine("  logins:    at the server, as ever; the gateway stores no password and no key")
    yield OutputLine("  passes:    shells, commands, scp, sftp; no forwards, no agent, no X11")
    yield OutputLine("  recorded:  what screens show, commands, files by name, size and SHA-256; not encrypted on the disk")


def _own_keys(session: CommandSession) -> list[str]:
    """Return the fingerprints of the gateway that SSH clients may get to see; none where the account may not read them."""
    found: list[str] = []
    try:
        for one in session.client.body(_HOST_KEYS)["keys"]:
            body: dict[str, Any] = session.client.body(f"{_PRIVATE_KEYS}/{one['key']}")
            found.append(f"{body['fingerprint']} ({body['type']})")
    except ClientError:
        pass
    return found


def _what_to_type(user: str, server: ServerName, begun: QuickstartPlan, own: Sequence[str]) -> Iterator[OutputLine]:
    from doorward.cli.render import OutputLine

    login = shlex.quote(f"{user}@{server.label}@{begun.host}")
    yield OutputLine("")
    yield OutputLine("Log in to the server through the gateway, with its password:", "bold")
    yield OutputLine(f"  ssh -p {begun.port} {login}")
    yield OutputLine(
        "with a key that your agent holds (ssh-add), which the gateway asks and the server never gets to see:", "bold"
    )
    yield OutputLine(f"  ssh -A -p {begun.port} {login}")
    if own:
        yield OutputLine("The first time ssh shows the key of the gateway, one of:", "bold")
        yield from (OutputLine(f"  {one}") for one in own)
    yield OutputLine("Then:", "bold")
    yield OutputLine("  doorward sessions list               which sessions there were and are")
    yield OutputLine("  doorward sessions search WORD        where a word was shown or typed")
    yield OutputLine("  doorward sessions replay SESSION     what the screen showed")
    yield OutputLine("  doorward sessions follow SESSION     one that runs; lock, unlock, terminate it")


register(app, "ssh", ssh)
