"""The commands that need no server: they work on a state directory, on the machine itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from doorward.cli.commands.arguments import CatalogueOption, CataloguePasswordOption, HostOption, StateOption
from doorward.cli.commands.passwd import NewPassword, new_password
from doorward.cli.failures import CommandError
from doorward.cli.options import command
from doorward.cli.state import HostMode, origin, state_directory

if TYPE_CHECKING:
    from doorward.appliance.local_requests import SessionsAdopted
    from doorward.sessions.catalogue.address import CatalogueAddress


@command
def verify(
    state: StateOption = None,
    host: HostOption = HostMode.sandbox,
    anchor: Annotated[
        Path | None,
        typer.Option(help="File with signed heads kept elsewhere: the history must go on from them.", show_default=False),
    ] = None,
    catalogue: CatalogueOption = None,
    catalogue_password_file: CataloguePasswordOption = None,
) -> None:
    """Check the hash chain of the history, and the host against the running revision.

    With --anchor also that nothing was cut off or put back: the file is an answer of /api/revisions/head, a manifest of a
    backup, or lines that a syslog receiver kept. With --catalogue also the sessions of this node there.
    """
    from doorward.cli.verify import findings

    if host is HostMode.system and (state_directory(state, host) / "doorward.db").exists():
        from doorward.cli.splitting import give_up_root

        give_up_root(state_directory(state, host), serves=False)
    found = findings(state_directory(state, host), host.value, anchor, _address(catalogue, catalogue_password_file))
    for finding in found:
        typer.echo(f"{origin(state)}{finding}")
    if found:
        raise typer.Exit(1)
    typer.echo("The history is whole and the host is as the running revision says.")


def _address(text: str | None, password_file: Path | None) -> CatalogueAddress | None:
    """Return where sessions are catalogued, if that is given. Raises CommandError."""
    if text is None:
        return None
    from doorward.sessions.catalogue.address import AddressError, parsed

    try:
        return parsed(text, password_file)
    except AddressError as why:
        raise CommandError(f"{why}.") from None


@command
def move_sessions(
    state: StateOption = None,
    host: HostOption = HostMode.sandbox,
    catalogue: CatalogueOption = None,
    catalogue_password_file: CataloguePasswordOption = None,
) -> None:
    """Move the sessions of a state directory into PostgreSQL. Its server must not run; sessions may go on.

    Rows, events and text are moved, some sessions at a time; recordings stay where they are. After a kill, or where the database
    went away, the same command goes on. At the end the file is kept under another name.
    """
    from doorward.cli.moving import NotMovedError, moved

    address = _address(catalogue, catalogue_password_file)
    if address is None:
        raise CommandError("Say where to: --catalogue postgresql://USER@HOST/DATABASE.")
    directory = state_directory(state, host)
    if host is HostMode.system and (directory / "doorward.db").exists():
        from doorward.cli.splitting import give_up_root

        give_up_root(directory, serves=False)
    try:
        done = moved(directory, address, lambda number: typer.echo(f"{number} sessions", err=True) if not number % 1000 else None)
    except NotMovedError as why:
        raise CommandError(f"The sessions were not moved: {origin(state)}{why}") from None
    if done.aside is None:
        typer.echo("There is nothing to move.")
        return
    there = f" {done.moved.present} were there already." if done.moved.present else ""
    typer.echo(f"{done.moved.sessions} sessions were moved.{there} The file is now {done.aside}.")


@command
def adopt_sessions(
    archive: Annotated[str, typer.Option(metavar="POLICY", help="Archive policy that names the bucket.", show_default=False)],
    node: Annotated[str, typer.Option(metavar="ID", help="Id of the node whose sessions they are.", show_default=False)],
    state: StateOption = None,
    host: HostOption = HostMode.sandbox,
) -> None:
    """Take over the sessions of a node that is gone for good, by what it left beside its recordings in a bucket.

    On the machine itself, as its owner or root, while its server runs: on Central Management after the node was removed there, or
    on the node itself, where its sessions were lost. What is not signed by the node is left out. The same command goes on.
    """
    from doorward.cli.adopting import adopted

    counts = {"adopted": 0, "present": 0, "left_out": 0}

    def told(done: SessionsAdopted) -> None:
        for name in counts:
            counts[name] += getattr(done, name)
        for line in done.named:
            typer.echo(f"Left out: {line}.", err=True)

    adopted(state_directory(state, host), archive, node, told)
    more = f" {counts['present']} were there already." if counts["present"] else ""
    typer.echo(f"{counts['adopted']} sessions were taken over.{more}")
    if counts["left_out"]:
        raise CommandError(f"{counts['left_out']} objects beside the recordings are none of this node's; the log names them.")


def rotate_key(state: StateOption = None, host: HostOption = HostMode.sandbox) -> None:
    """Change the key under which secrets lie on the disk. The server of the state directory must not run.

    Everything is sealed anew under a new key, and the old one is destroyed. A kill at any moment leaves one whole key.
    """
    from doorward.cli.rotate import RotationError, rotated

    try:
        done = rotated(state_directory(state, host))
    except RotationError as why:
        typer.echo(f"The data key was not changed: {origin(state)}{why}", err=True)
        raise typer.Exit(1) from None
    typer.echo(f"The data key is a new one. {done.secrets} secrets and {done.revisions} revisions are under it.")


@command
def reset_password(
    state: StateOption = None,
    host: HostOption = HostMode.sandbox,
    new_password_file: NewPassword = None,
) -> None:
    """Give admin a new password, on the machine itself, whether its server runs or not.

    For whoever lost the password: as the owner of the state directory, or as root. It is asked for, or read from a file. All
    login sessions of admin end.
    """
    from doorward.appliance.local_requests import ResetPassword
    from doorward.cli.reset import reset
    from doorward.transaction.reset import NotResetError

    directory = state_directory(state, host)
    text = new_password("admin", new_password_file)
    try:
        number = reset(directory, host.value, ResetPassword(text))
    except NotResetError as why:
        raise CommandError(f"The password was not changed: {origin(state)}{why}") from None
    (directory / "initial-admin-password").unlink(missing_ok=True)
    typer.echo(f"The password of admin is a new one, with revision {number}.")


@command
def reset_approval(state: StateOption = None, host: HostOption = HostMode.sandbox) -> None:
    """Switch the approval of changes off, on the machine itself, whether its server runs or not.

    For where nobody is left who could accept: as the owner of the state directory, or as root. It is a revision of its own, and
    everybody who gets alerts is told.
    """
    from doorward.appliance.local_requests import ResetApproval
    from doorward.cli.reset import reset
    from doorward.transaction.reset import NotResetError

    directory = state_directory(state, host)
    try:
        number = reset(directory, host.value, ResetApproval())
    except NotResetError as why:
        raise CommandError(f"Nothing was changed: {origin(state)}{why}") from None
    typer.echo(f"Changes take effect without approval, since revision {number}.")


@command
def reference() -> None:
    """Print the manual of every configuration node, in Markdown."""
    from doorward.cli.reference import manual

    typer.echo(manual(), nl=False)
