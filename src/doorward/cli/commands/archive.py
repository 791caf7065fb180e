"""``doorward export``: the configuration as a file."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from doorward.cli.failures import CommandError, Usage
from doorward.cli.options import ConnectionOptions, command

_EXPORTS = "/api/backup/exports"


class ArchiveProtection(StrEnum):
    """How an export is protected."""

    gpg = "gpg"
    password = "password"  # noqa: S105 - the word of the API
    none = "none"


PasswordFile = Annotated[
    Path | None,
    typer.Option("--archive-password-file", help="File with the password of the archive; else a prompt.", show_default=False),
]


@command
def export(
    connection: ConnectionOptions,
    protect: Annotated[
        ArchiveProtection, typer.Option(help="To the configured key, under a password, or in clear.")
    ] = ArchiveProtection.gpg,
    archive_password_file: PasswordFile = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File to write.", show_default=False)] = None,
) -> None:
    """Write the configuration, with its secrets and its history, into a file."""
    from doorward.cli import render
    from doorward.cli.new_files import new_file
    from doorward.cli.session import connected

    encryption = {"selection": protect.value}
    if protect is ArchiveProtection.password:
        encryption["password"] = archive_password(archive_password_file, confirm=True)
    with connected(connection) as session:
        client = session.client
        made = client.write("POST", _EXPORTS, {"encryption": encryption}).content
        href = f"{_EXPORTS}/{made['key']}"
        path = output or Path(Path(made["body"]["file_name"]).name)
        try:
            with new_file(path) as file:
                client.download(f"{href}/download", file)
        except OSError as error:
            raise CommandError(f"{path} can't be written: {error.strerror}.") from None
        finally:
            client.write("DELETE", href)
        shown = [*render.warnings(client.warnings), render.OutputLine(f"{path}: {made['body']['size']} bytes.", "bold green")]
        render.show(shown)


def archive_password(path: Path | None, *, confirm: bool = False) -> str:
    """Return the password of an archive: that of a file, or what is typed. Raises Usage."""
    from doorward.cli import terminal
    from doorward.cli.target import password_of

    if path is not None:
        return password_of(path)
    if not terminal.present():
        raise Usage("No password for the archive: give --archive-password-file.")
    return terminal.secret("Password of the archive", twice=confirm)
