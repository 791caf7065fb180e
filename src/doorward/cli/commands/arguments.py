"""Arguments that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from doorward.cli.completing import paths
from doorward.cli.options import ConnectionOptions
from doorward.cli.state import HostMode, given_state


def _state(context: typer.Context, given: Path | None) -> Path | None:
    """Return the state directory: of the option behind the command, else of the one before it, else of the environment."""
    before = context.find_object(ConnectionOptions)
    return given or (before.state if before else None) or given_state()


PATH_HELP = "Path below /api/configuration, objects by name or key; a member follows after . or #"
PathArgument = Annotated[str, typer.Argument(help=PATH_HELP, metavar="PATH", autocompletion=paths, show_default=False)]
OptionalPath = Annotated[str, typer.Argument(help=PATH_HELP, metavar="PATH", autocompletion=paths, show_default=False)]
ValueArgument = Annotated[
    str,
    typer.Argument(
        help="Text where text goes, else JSON or YAML; @FILE, or - for standard input. In place of a reference to a secret:"
        " {plain: …}, {from_env: …}, {from_file: …} or {generate: …}.",
        metavar="VALUE",
        show_default=False,
    ),
]
RevisionArgument = Annotated[int, typer.Argument(help="Number of a revision.", metavar="N", min=1, show_default=False)]
StateOption = Annotated[
    Path | None,
    typer.Option(
        "--state",
        help="Directory of everything that is kept (DOORWARD_STATE).",
        callback=_state,
        show_default=False,
        readable=False,
    ),
]
CatalogueOption = Annotated[
    str | None,
    typer.Option(
        "--catalogue",
        help="postgresql://USER@HOST/DATABASE: sessions are catalogued there, with those of other nodes; TLS unless it is this"
        " host. Default: a file of the state directory.",
        envvar="DOORWARD_CATALOGUE",
        show_default=False,
    ),
]
CataloguePasswordOption = Annotated[
    Path | None,
    typer.Option(
        "--catalogue-password-file",
        help="File with the password for --catalogue. Default: the systemd credential catalogue-password.",
        envvar="DOORWARD_CATALOGUE_PASSWORD_FILE",
        show_default=False,
    ),
]
HostOption = Annotated[
    HostMode, typer.Option("--host", help="sandbox: a directory and real daemons as children; system: this machine.")
]
