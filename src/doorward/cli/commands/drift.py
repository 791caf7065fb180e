"""``doorward drift``: where the host is not as configured, and taking over what is there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from doorward.cli.options import Committing, ConnectionOptions, Output, command

if TYPE_CHECKING:
    from doorward.cli.render import OutputLine

_DRIFT = "/api/drift"
_EXIT_CODE = Annotated[bool, typer.Option("--exit-code", help="End with 2 where something differs.")]


@command
def drift(connection: ConnectionOptions, output: Output, exit_code: _EXIT_CODE = False) -> None:  # noqa: FBT002 - Typer's option
    """Show what on the host is not as configured, since when, and how."""
    from doorward.cli.render import emit
    from doorward.cli.session import connected

    with connected(connection) as session:
        found = session.client.get(_DRIFT).content["drift"]
    emit(found, output.structured, _lines(found))
    if found and exit_code:
        raise typer.Exit(2)


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
