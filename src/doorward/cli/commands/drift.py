"""``doorward drift``: where the host is not as configured, and taking over what is there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from doorward.cli.options import Committing, ConnectionOptions, Output, command

if TYPE_CHECKING:
    from doorward.cli.render import OutputLine

_DRIFT = "/api/drift"
_EXIT_CODE = Annotated[bool, typer.Option("--exit-code", help="End with 2 where something differs, and was not put back.")]
_REPAIR = Annotated[bool, typer.Option("--repair", help="Put the host back to what is configured, once; needs every right.")]
_YES = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask. Without a terminal nothing changes unless this is given.")]


@command
def drift(
    connection: ConnectionOptions,
    output: Output,
    exit_code: _EXIT_CODE = False,  # noqa: FBT002 - Typer's option
    repair: _REPAIR = False,  # noqa: FBT002 - Typer's option
    yes: _YES = False,  # noqa: FBT002 - Typer's option
) -> None:
    """Show what on the host is not as configured, since when, and how; or put it back."""
    from doorward.cli.render import OutputLine, emit, show
    from doorward.cli.session import connected

    with connected(connection) as session:
        found = session.client.get(_DRIFT).content["drift"]
        emit(found, output.structured, _lines(found))
        if found and repair:
            _agreed(yes=yes)
            session.client.write("POST", f"{_DRIFT}/repair")
            show([OutputLine("The host is as configured again.", "bold green")], err=output.structured is not None)
    if found and exit_code and not repair:
        raise typer.Exit(2)


def _agreed(*, yes: bool) -> None:
    """Ask whether to go on. Raises Exit where the answer is no, Usage where nobody can be asked."""
    from doorward.cli import terminal
    from doorward.cli.failures import Usage

    if yes:
        return
    if not terminal.present():
        raise Usage("Nothing was put back. There is no terminal to ask on: give --yes.")
    if not terminal.agrees("Put the host back to what is configured?"):
        raise typer.Exit(1)


def _lines(found: list[dict[str, Any]]) -> Iterator[OutputLine]:
    from doorward.cli.failures import short
    from doorward.cli.render import OutputLine, local_time

    if not found:
        yield OutputLine("The host is as configured.")
    for one in found:
        yield OutputLine(f"{short(one['path'])}: {one['message']} (since {local_time(one['since'])})", "bold")
        for line in one["found"].splitlines():
            yield OutputLine(f"  {line}")


@command
def adopt(connection: ConnectionOptions, how: Committing) -> None:
    """Take what is on the host into the configuration, where it can be read back, and commit that."""
    from doorward.cli.session import connected
    from doorward.cli.transact import transact

    with connected(connection) as session:
        transact(session, how, lambda: _adopt(session.client))


def _adopt(client: Any) -> None:
    client.write("POST", f"{_DRIFT}/adopt")
