"""Arguments that several commands share."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from doorward.cli.failures import Usage


def complete(incomplete: str) -> list[tuple[str, str]]:
    """Return the paths that begin as given: from the declarations, without asking a server."""
    import doorward.configuration
    from doorward.cli.addresses import completions
    from doorward.tree.registry import discover

    return list(completions(discover(doorward.configuration), incomplete))


PATH_HELP = "Path below /api/configuration, objects by name or key; a member follows after . or #"
PathArgument = Annotated[str, typer.Argument(help=PATH_HELP, metavar="PATH", autocompletion=complete, show_default=False)]
ValueArgument = Annotated[
    str, typer.Argument(help="JSON or YAML, @FILE, or - for standard input.", metavar="VALUE", show_default=False)
]
RevisionArgument = Annotated[int, typer.Argument(help="Number of a revision.", metavar="N", min=1, show_default=False)]


def read_value(given: str) -> Any:
    """Return the value of an argument. Raises Usage."""
    from doorward.cli.yamltext import NotReadable, load

    text, where = given, "VALUE"
    if given == "-":
        text, where = read_input(), "standard input"
    elif given.startswith("@"):
        text, where = read_file(Path(given[1:])), given[1:]
    try:
        return load(text)
    except NotReadable as error:
        raise Usage(f"{where}: {error}") from None


def read_input() -> str:
    """Return what standard input holds. Raises Usage."""
    try:
        return sys.stdin.read()
    except UnicodeDecodeError as error:
        raise Usage(f"Standard input can't be read: {error}.") from None


def read_file(path: Path) -> str:
    """Return the text of a file. Raises Usage."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Usage(f"{path} can't be read: {getattr(error, 'strerror', None) or error}.") from None
