"""``doorward apply``: brings the configuration to a described state."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from doorward.cli.options import Committing, ConnectionOptions, command

Descriptions = Annotated[
    list[Path],
    typer.Argument(
        metavar="FILE...",
        help="What is described, under `configuration:`; a folder stands for the YAML and JSON files in it, - for the input.",
        show_default=False,
    ),
]
Prune = Annotated[bool, typer.Option("--prune", help="Remove objects that a described collection does not name.")]
NodeSettings = Annotated[
    bool, typer.Option("--node-settings", help="Take network, listeners and certificates of another node, too.")
]


@command
def apply(
    files: Descriptions,
    connection: ConnectionOptions,
    how: Committing,
    prune: Prune = False,  # noqa: FBT002 - Typer's options
    node_settings: NodeSettings = False,  # noqa: FBT002 - Typer's option
) -> None:
    """Bring the configuration to the state that files describe, in one transaction.

    What the files do not mention stays as it is. A second run finds nothing to change.

    doorward apply site.yaml --dry-run --exit-code
    """
    apply_files(connection, how, files, prune=prune, node_settings=node_settings)


def apply_files(
    connection: ConnectionOptions, how: Committing, files: Sequence[Path], *, prune: bool, node_settings: bool = False
) -> None:
    """Carry out ``doorward apply``."""
    from doorward.cli.applying import read, without_own
    from doorward.cli.edits import CommandEdit
    from doorward.cli.failures import short
    from doorward.cli.render import OutputLine, show
    from doorward.cli.session import connected
    from doorward.cli.transact import carry_out

    described = read(files)
    with connected(connection) as session:
        configuration = described.configuration
        if not node_settings and described.node not in {None, session.remote.node}:
            configuration, left = without_own(session.tree, configuration)
            said = "Left out, since it belongs to the other node that the description is of"
            show(
                [OutputLine(f"{said}: {', '.join(map(short, left))}. --node-settings takes it, too.", "yellow")] if left else [],
                err=True,
            )
        carry_out(session, how, CommandEdit("apply", value=configuration, prune=prune))
