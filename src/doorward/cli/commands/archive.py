"""``doorward export`` and ``doorward restore``: the configuration as a file, and the way back from one."""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from doorward.cli.failures import Failure, Refused, Unreachable, Usage, problem_line
from doorward.cli.options import Committing, Connection, command

if TYPE_CHECKING:
    from doorward.cli.session import Session

_EXPORTS, _RESTORES, _UPLOADS = (f"/api/backup/{name}" for name in ("exports", "restores", "uploads"))
_UNAUTHENTICATED = 401
_LOOK_SECONDS = 0.2


class Protection(StrEnum):
    """How an export is protected."""

    gpg = "gpg"
    password = "password"  # noqa: S105 - the word of the API
    none = "none"


class Scope(StrEnum):
    """What a restore replaces."""

    configuration = "configuration"
    system = "system"


class Network(StrEnum):
    """What becomes of the network."""

    keep = "keep"
    restore = "restore"


PasswordFile = Annotated[
    Path | None,
    typer.Option("--archive-password-file", help="File with the password of the archive; else a prompt.", show_default=False),
]


@command
def export(
    connection: Connection,
    protect: Annotated[Protection, typer.Option(help="To the configured key, under a password, or in clear.")] = Protection.gpg,
    archive_password_file: PasswordFile = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File to write.", show_default=False)] = None,
) -> None:
    """Write the configuration, with its secrets and its history, into a file."""
    from doorward.cli import render
    from doorward.cli.session import connected

    encryption = {"selection": protect.value}
    if protect is Protection.password:
        encryption["password"] = _password(archive_password_file, confirm=True)
    with connected(connection) as session:
        client = session.client
        made = client.write("POST", _EXPORTS, {"encryption": encryption}).content
        href = f"{_EXPORTS}/{made['key']}"
        path = output or Path(Path(made["body"]["file_name"]).name)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    client.download(f"{href}/download", file)
            except BaseException:
                path.unlink()  # half an archive is none
                raise
        except OSError as error:
            raise Failure(f"{path} can't be written: {error.strerror}.") from None
        finally:
            client.write("DELETE", href)
        shown = [*render.warnings(client.warnings), render.Line(f"{path}: {made['body']['size']} bytes.", "bold green")]
        render.show(shown)


@dataclass(frozen=True, slots=True, kw_only=True)
class Restoring:
    """What a restore is to replace, and what it may take."""

    scope: Annotated[Scope, typer.Option(help="The configuration, or the whole system with its identity.")] = Scope.configuration
    network: Annotated[Network, typer.Option(help="Whether the network stays as it is.")] = Network.keep
    archive_password_file: PasswordFile = None
    accept_signer: Annotated[
        str | None, typer.Option(help="Fingerprint of the key of an unknown node that is the right one.", show_default=False)
    ] = None
    take_over: Annotated[bool, typer.Option("--take-over", help="This machine takes the place of the archive's.")] = False


ArchiveFile = Annotated[Path, typer.Argument(help="The archive, in clear or under a password.", show_default=False)]


@command
def restore(file: ArchiveFile, connection: Connection, how: Committing, what: Restoring) -> None:
    """Make an archive the running configuration, as one commit."""
    from doorward.cli.session import connected

    order: dict[str, Any] = {
        "accept_signer": what.accept_signer,
        "commit_message": how.message,
        "network": what.network.value,
        "password": _password(what.archive_password_file) if what.archive_password_file else None,
        "scope": what.scope.value,
        "take_over": what.take_over,
    }
    with connected(connection) as session:
        try:
            with file.open("rb") as content:
                key = session.client.upload("/api/upload/backup", content).content["key"]
        except OSError as error:
            raise Usage(f"{file} can't be read: {error.strerror}.") from None
        order["source"] = {"selection": "upload", "value": key}
        try:
            _restore(session, connection, how, order)
        finally:
            with suppress(Refused):  # a restore may have ended this login for good; then the server forgets the upload by itself
                session.client.write("DELETE", f"{_UPLOADS}/{key}")


def _restore(session: Session, connection: Connection, how: Committing, order: dict[str, Any]) -> None:
    from doorward.cli import render
    from doorward.cli.render import Line
    from doorward.cli.session import terminal

    found = _ended(session, connection, {**order, "dry_run": True})
    if found["code"] == "password_required" and terminal():
        order["password"] = _password(None)
        found = _ended(session, connection, {**order, "dry_run": True})
    _refuse(found)
    if not found["changes"] and order["scope"] == Scope.configuration:
        render.show([Line("Nothing to change.")])
        return
    render.show(render.changes(found["changes"], session.remote))
    render.show(render.plan({"actions": found["plan"], "warnings": found["warnings"]}))
    if how.dry_run:
        render.show([Line("Nothing was restored: this was a dry run.", "dim")])
        return
    if terminal() and not how.yes and not typer.confirm(f"Restore {found['file']}?"):
        render.show([Line("Nothing was restored.")])
        raise typer.Exit(1)
    done = _ended(session, connection, order)
    _refuse(done)
    render.show([Line(f"Revision {done['revision']} is in effect; all login sessions ended.", "bold green")])


def _refuse(found: dict[str, Any]) -> None:
    """Raise Failure with everything that speaks against a restore."""
    if found["result"] != "succeeded":
        problems = [problem_line(p["path"], p["pointer"], p["message"]) for p in found["problems"]]
        hint = " Give --archive-password-file." if found["code"] == "password_required" else ""
        raise Failure(*(problems or [f"{found['code']}: {found['message']}{hint}"]))


def _ended(session: Session, connection: Connection, order: dict[str, Any]) -> dict[str, Any]:
    """Ask for a restore and return how it ended. Its success ends the login session."""
    from doorward.cli.session import password

    client = session.client
    href = f"{_RESTORES}/{client.write('POST', _RESTORES, order).content['key']}"
    while True:
        try:
            body: dict[str, Any] = client.body(href)
        except Refused as refused:
            if refused.status != _UNAUTHENTICATED:
                raise
            try:
                client.login(connection.user, password(connection))
            except Unreachable:
                message = "The restore is over, and the login with it; log in with an account of the archive to see how it ended."
                raise Unreachable(message) from None
            continue
        if body["status"] == "finished":
            return body
        time.sleep(_LOOK_SECONDS)


def _password(path: Path | None, *, confirm: bool = False) -> str:
    from doorward.cli.session import password_of

    if path is not None:
        return password_of(path)
    if not sys.stdin.isatty():
        raise Usage("No password for the archive: give --archive-password-file.")
    typed: str = typer.prompt("Password of the archive", hide_input=True, confirmation_prompt=confirm, err=True)
    return typed
