"""``doorward restore``: the configuration, or the whole node, from an archive."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from doorward.cli.commands.archive import PasswordFile, archive_password
from doorward.cli.commands.uploading import sent
from doorward.cli.failures import CommandError, problem_line
from doorward.cli.options import ConnectionOptions, Trying, command
from doorward.client.errors import ApiRefusedError, UnreachableError

if TYPE_CHECKING:
    from doorward.cli.session import CommandSession
    from doorward.client.blocking import Client

_RESTORES, _UPLOADS = "/api/backup/restores", "/api/backup/uploads"
_UNAUTHENTICATED = 401


class Scope(StrEnum):
    """What a restore replaces."""

    configuration = "configuration"
    system = "system"


class RestoredNetwork(StrEnum):
    """What becomes of the network."""

    keep = "keep"
    restore = "restore"


@dataclass(frozen=True, slots=True, kw_only=True)
class Restoring:
    """What a restore is to replace, and what it may take."""

    scope: Annotated[Scope, typer.Option(help="The configuration, or the whole system with its identity.")] = Scope.configuration
    network: Annotated[RestoredNetwork, typer.Option(help="Whether the network stays as it is.")] = RestoredNetwork.keep
    archive_password_file: PasswordFile = None
    accept_signer: Annotated[
        str | None, typer.Option(help="Fingerprint of the key of an unknown node that is the right one.", show_default=False)
    ] = None
    take_over: Annotated[bool, typer.Option("--take-over", help="This machine takes the place of the archive's.")] = False
    new_certificate: Annotated[
        bool, typer.Option("--new-certificate", help="Make the node a certificate for the names and addresses that it has now.")
    ] = False


ArchiveFile = Annotated[
    Path, typer.Argument(help="The archive, in clear or under a password; - is the standard input.", show_default=False)
]


@command
def restore(file: ArchiveFile, connection: ConnectionOptions, how: Trying, what: Restoring) -> None:
    """Restore an archive, as one commit."""
    from doorward.cli.session import connected

    order: dict[str, Any] = {
        "accept_signer": what.accept_signer,
        "commit_message": how.message,
        "confirm_seconds": how.confirm,
        "network": what.network.value,
        "new_certificate": what.new_certificate,
        "password": archive_password(what.archive_password_file) if what.archive_password_file else None,
        "scope": what.scope.value,
        "take_over": what.take_over,
    }
    with connected(connection) as session:
        key = sent(session.client, file)
        order["source"] = {"selection": "upload", "value": key}
        try:
            _restore(session, how, order)
        finally:
            with suppress(
                ApiRefusedError, UnreachableError
            ):  # other accounts may be there now; then the server forgets the upload by itself
                _forget(session.client, f"{_UPLOADS}/{key}")


def _forget(client: Client, upload: str) -> None:
    """Remove what was uploaded. The restore may have ended the login."""
    try:
        client.write("DELETE", upload)
    except ApiRefusedError as refused:
        if refused.status != _UNAUTHENTICATED:
            raise
        client.login_again()
        client.write("DELETE", upload)


def _restore(session: CommandSession, how: Trying, order: dict[str, Any]) -> None:
    from doorward.cli import render, terminal
    from doorward.cli.render import OutputLine
    from doorward.cli.times import words
    from doorward.cli.transact import agreed

    found = _ended(session, {**order, "dry_run": True})
    if found["code"] == "password_required" and terminal.present():
        order["password"] = archive_password(None)
        found = _ended(session, {**order, "dry_run": True})
    _refuse(found)
    if not found["changes"] and order["scope"] == Scope.configuration:
        render.show([OutputLine("Nothing to change.")])
        return
    render.show(render.changes(found["changes"], session.remote))
    render.show(render.plan({"actions": found["plan"], "warnings": found["warnings"]}))
    strange = any(warning["code"] == "name_mismatch" for warning in found["warnings"])
    if how.dry_run:
        hint = [OutputLine("--new-certificate makes one for the names and addresses of this machine.")] if strange else []
        render.show([*hint, OutputLine("Nothing was restored: this was a dry run.", "dim")])
        return
    if strange and not order["new_certificate"] and not how.yes and terminal.present():
        order["new_certificate"] = terminal.agrees(
            "Make a new certificate for the names and addresses of this machine?", default=True
        )
    order["commit_message"] = agreed(session, how, f"Restore {found['file']}?", "Nothing was restored.")
    done = _ended(session, order)
    _refuse(done)
    until = f", and goes back in {words(how.confirm)} unless you run `doorward confirm`" if how.confirm else ""
    render.show([OutputLine(f"Revision {done['revision']} is in effect{until}; all login sessions ended.", "bold green")])
    if strange and not order["new_certificate"]:
        name = "its certificate is not for this address: --server-name NAME or --pin, or --ca with the authority of the archive"
        render.show([OutputLine(f"To talk to the node from now on, {name}.", "yellow")])


def _refuse(found: dict[str, Any]) -> None:
    """Raise Failure with everything that speaks against a restore."""
    if found["result"] != "succeeded":
        problems = [problem_line(p["path"], p["pointer"], p["message"]) for p in found["problems"]]
        hint = " Give --archive-password-file." if found["code"] == "password_required" else ""
        raise CommandError(*(problems or [f"{found['code']}: {found['message']}{hint}"]))


def _ended(session: CommandSession, order: dict[str, Any]) -> dict[str, Any]:
    """Ask for a restore and return how it ended.

    Its success ends the login session, and may bring other accounts and another certificate: so the answer is waited for on the
    request that was let in before.
    """
    client = session.client
    made = client.begin(_RESTORES, order).content
    body: dict[str, Any] = made["body"]
    while body["status"] != "finished":
        try:
            body = client.poll(f"{_RESTORES}/{made['key']}")
        except ApiRefusedError as refused:
            if refused.status != _UNAUTHENTICATED:
                raise
            client.login_again()
    return body
