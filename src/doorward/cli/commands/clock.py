"""``doorward time``: how the clock and its sources do."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from doorward.cli.options import ConnectionOptions, Output, command

if TYPE_CHECKING:
    from doorward.cli.render import OutputLine

WAIT_SECONDS = 60.0
"""How long a source is waited for."""
_LOOK_SECONDS = 0.5
_REASON_SECONDS = 2.0
"""How long the answer to why a source does not authenticate itself may take."""

Wait = Annotated[bool, typer.Option("--wait", help="Wait until the clock has a source to follow, at most a minute.")]


@command
def time_(connection: ConnectionOptions, output: Output, wait: Wait = False) -> None:  # noqa: FBT002 - Typer's option
    """Show the clock, and whether the time servers answer. Exit code 1: none does."""
    from doorward.cli.render import OutputLine, emit, show
    from doorward.cli.session import connected

    with connected(connection) as session:
        began, is_told = time.monotonic(), False
        while True:
            found = session.client.body("/api/time_status")
            waited = time.monotonic() - began
            is_done = waited > WAIT_SECONDS or _selected(found) if wait else waited > _REASON_SECONDS or not _wants_reason(found)
            if is_done:
                break
            if wait and not is_told:
                show([OutputLine("Waiting until the clock has a source to follow, at most a minute.", "dim")], err=True)
                is_told = True
            time.sleep(_LOOK_SECONDS)
        emit(found, output.structured, _lines(found))
    if not _answering(found):
        raise typer.Exit(1)


def _answering(found: dict[str, Any]) -> bool:
    return any(source["reachability"] for source in found["sources"])


def _wants_reason(found: dict[str, Any]) -> bool:
    """Whether it is still looked for why a source does not authenticate itself."""
    tried = [nts for source in found["sources"] if (nts := source.get("nts")) and nts["attempts"]]
    return any(not nts["is_authenticated"] and nts["reason"] is None for nts in tried)


def _selected(found: dict[str, Any]) -> bool:
    return any(source["state"] == "selected" for source in found["sources"])


def _lines(found: dict[str, Any]) -> Iterator[OutputLine]:
    from doorward.cli.render import OutputLine, local_time, table

    clock, daemon, zone = found["clock"], found["daemon"], found["timezone"]
    state = "synchronised" if clock["synchronised"] else "not synchronised"
    running = "" if daemon["running"] else f"; {daemon['name']} does not run"
    yield OutputLine(f"Clock:  {local_time(clock['time'])}, {state}{running}", "" if daemon["running"] else "yellow")
    yield OutputLine(f"Zone:   {zone['name']}")
    if found["sources"]:
        yield from table(["SOURCE", "ADDRESS", "STRATUM", "OFFSET", "STATE"], [_row(source) for source in found["sources"]])
    else:
        yield OutputLine("There is no time server.", "dim")


def _row(source: dict[str, Any]) -> list[str]:
    offset = source["offset_seconds"]
    stratum = source["stratum"]
    return [
        source["value"],
        source["address"] or "-",
        "-" if stratum is None else str(stratum),
        "-" if offset is None else f"{1000 * offset:+.3f} ms",
        str(source["state"]).replace("_", " ") + _authenticated(source.get("nts")),
    ]


def _authenticated(nts: dict[str, Any] | None) -> str:
    if nts is None:
        return ""
    return (
        ", authenticated" if nts["is_authenticated"] else f", not authenticated: {nts['message'] or 'the reason is looked for'}"
    )
