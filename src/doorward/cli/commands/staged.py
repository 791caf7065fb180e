"""``doorward plan``, ``commit`` and ``discard``: what was staged, looked at, made real or forgotten."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from doorward.cli.commands.apply import NodeSettings, Prune, apply_files
from doorward.cli.failures import CommandError, Usage
from doorward.cli.options import Committing, ConnectionOptions, Output, command

Described = Annotated[
    list[Path] | None,
    typer.Argument(metavar="FILE...", help="Descriptions as for `doorward apply`; without: what is staged.", show_default=False),
]
ExitCode = Annotated[bool, typer.Option("--exit-code", help="End with 2 where something would change.")]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Also what somebody else changed in the same places since it was staged.")
]


@command
def plan(
    connection: ConnectionOptions,
    output: Output,
    files: Described = None,
    prune: Prune = False,  # noqa: FBT002 - Typer's options
    node_settings: NodeSettings = False,  # noqa: FBT002 - Typer's option
    exit_code: ExitCode = False,  # noqa: FBT002 - Typer's option
) -> None:
    """Show what a commit of what is staged, or applying a description, would change, and what it would do to the host."""
    how = Committing(output=output.output, json=output.json, dry_run=True, exit_code=exit_code)
    if files:
        apply_files(connection, how, files, prune=prune, node_settings=node_settings)
        return
    _with_stage(connection, how, checked=False)


@command
def commit(connection: ConnectionOptions, how: Committing, overwrite: Overwrite = False) -> None:  # noqa: FBT002 - Typer's option
    """Commit what is staged, as one revision."""
    if how.stage:
        raise Usage("What is staged is committed, or discarded.")
    _with_stage(connection, how, checked=not overwrite)


def _with_stage(connection: ConnectionOptions, how: Committing, *, checked: bool) -> None:
    """Carry out what is staged. ``checked``: whether places that somebody else changed meanwhile are refused."""
    from doorward.cli.session import connected
    from doorward.cli.stage import staged
    from doorward.cli.transact import transact

    with connected(connection) as session:
        whole = staged(session.target)
        if not whole.edits:
            raise CommandError("Nothing is staged; `doorward stage set PATH VALUE` or --stage with any change begins.")

        def refuse(changes: Any) -> None:
            if checked:
                whole.refuse_others(changes, session.remote.label)

        transact(session, replace(how, stage=False), lambda: whole.write(session), refuse)
        if not how.dry_run:
            whole.discard()  # in effect, or it changes nothing


@command
def discard(connection: ConnectionOptions) -> None:
    """Forget what is staged. Nothing that was committed changes."""
    from doorward.cli.render import OutputLine, show
    from doorward.cli.stage import location
    from doorward.cli.target import resolved

    path = location(resolved(connection))
    there = path.exists()
    path.unlink(missing_ok=True)
    show([OutputLine("What was staged is forgotten." if there else "Nothing was staged.")])
