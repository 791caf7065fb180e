"""``doorward explain``: what the declarations say about a path, without a server."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from doorward.cli.completing import paths
from doorward.cli.failures import Usage
from doorward.cli.options import Output, command

PathArgument = Annotated[
    str,
    typer.Argument(
        metavar="PATH", help="Path below /api/configuration, with a member after . or #", autocompletion=paths, show_default=False
    ),
]


@command
def explain(output: Output, path: PathArgument = "") -> None:
    """Explain a setting: what it is, its members with types, limits and defaults, where it counts, who may change it."""
    import doorward.configuration
    from doorward.cli.explaining import explained, lines
    from doorward.cli.render import emit
    from doorward.tree.registry import discover

    tree = discover(doorward.configuration)
    found: dict[str, Any] | None = explained(tree, path)
    if found is None:
        raise Usage(f"There is no {path}; `doorward explain` lists what there is.")
    emit(found, output.structured, lines(found))
