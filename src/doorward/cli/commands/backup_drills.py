"""``doorward backup drill``: whether an archive would come back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from doorward.cli.commands.archive import PasswordFile, archive_password
from doorward.cli.commands.backup_waiting import ended
from doorward.cli.commands.uploading import sent
from doorward.cli.failures import CommandError, Usage
from doorward.cli.options import ConnectionOptions, Output, command
from doorward.client.errors import ApiRefusedError

if TYPE_CHECKING:
    from doorward.cli.render import OutputLine

_DRILLS, _UPLOADS = "/api/backup/drills", "/api/backup/uploads"

NameArgument = Annotated[
    str,
    typer.Argument(
        help="Name of an archive on the target; without it the newest one of this node.", metavar="NAME", show_default=False
    ),
]
ArchiveOption = Annotated[
    Path | None,
    typer.Option(
        "--file", help="An archive that is here, decrypted, or under a password; - is the standard input.", show_default=False
    ),
]


@command
def drill(
    connection: ConnectionOptions, output: Output, name: NameArgument = "", file: ArchiveOption = None,
    archive_password_file: PasswordFile = None,
) -> None:  # fmt: skip
    """Prove that an archive would come back, and change nothing. Exit code 1: it would not.

    A file on the target is read back and compared with what was signed. One that is encrypted only its key holder can open:
    decrypt it, and give it with --file; then it is loaded as a restore would load it.
    """
    from doorward.cli import render
    from doorward.cli.session import connected

    if name and file is not None:
        raise Usage("NAME and --file do not go together.")
    with connected(connection) as session:
        source: dict[str, Any] = {"selection": "target", "value": name or None}
        if file is not None:
            source = {"selection": "upload", "value": sent(session.client, file)}
        password = archive_password(archive_password_file) if archive_password_file else None
        try:
            made = session.client.write("POST", _DRILLS, {"source": source, "password": password})
            found = ended(session.client, str(made.meta["href"]))
        finally:
            if file is not None:
                with suppress(ApiRefusedError):
                    session.client.write("DELETE", f"{_UPLOADS}/{source['value']}")
        render.emit(found, output.structured, _shown(found))
    if found["result"] in {"failed", "cancelled"}:
        raise CommandError(f"The drill {found['result']} ({found['code']}): {found['message']}")


def _shown(found: dict[str, Any]) -> Iterator[OutputLine]:
    from doorward.cli.render import OutputLine

    if found["file"]:
        yield OutputLine(str(found["file"]))
    for level, proof in found["levels"].items():
        words = {True: "proven", False: "failed", None: "not tried"}[proof["passed"]]
        yield OutputLine(f"{level}: {words}" + (f" ({str(proof['basis']).replace('_', ' ')})" if proof["basis"] else ""))
    if found["result"] == "passed":
        yield OutputLine("It would come back.", "bold green")
