"""``doorward sessions replay``, ``download`` and ``follow``: what a session showed, then or now."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final

import typer

from doorward.cli.commands.trail import MaxPause, Since, Speed
from doorward.cli.failures import Usage
from doorward.cli.options import ConnectionOptions, Format, Output, command

AUDIT, LIVE = "/api/audit/sessions", "/api/sessions/live"
_KEY: Final = re.compile(r"(?:svc[/-])?([A-Za-z][A-Za-z0-9]{21})(?:[/-].*)?\Z", re.DOTALL)

SessionArgument = Annotated[str, typer.Argument(metavar="SESSION", help="Key or id of a session.", show_default=False)]
ChannelNumber = Annotated[int | None, typer.Option("--channel", metavar="N", min=1, help="Which channel.", show_default=False)]


def key_of(text: str) -> str:
    """Return the key of a session that was given by key or id. Raises Usage."""
    found = _KEY.match(text)
    if found is None:
        raise Usage("A session is given by its key, 22 letters and digits, or its id, svc/KEY/POLICY:NUMBER.")
    return found[1]


@command
def replay(
    connection: ConnectionOptions,
    session: SessionArgument,
    channel: ChannelNumber = None,
    since: Since = "0",
    speed: Speed = 1.0,
    max_pause: MaxPause = 2.0,
) -> None:
    """Show in this terminal what the terminal of a session showed, at its pace. That you did is written down."""
    from doorward.cli.player import drawn_replay
    from doorward.cli.session import connected
    from doorward.cli.trails import milliseconds

    key, begin = key_of(session), milliseconds(since)
    if not sys.stdout.isatty():
        raise Usage("A replay needs a terminal; `doorward sessions download` makes a file for `doorward trail`.")
    asked = {"from": str(begin / 1000)} | ({"channel": str(channel)} if channel else {})
    with connected(connection) as opened:
        drawn_replay(opened.client.lines(f"{AUDIT}/{key}/replay", asked), speed, max_pause)


@command
def download(
    connection: ConnectionOptions,
    session: SessionArgument,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="File to write; it must not exist.", show_default=False)
    ] = None,
) -> None:
    """Fetch the trail of a session that has ended, for `doorward trail`. That you did is written down."""
    from doorward.cli.new_files import new_file
    from doorward.cli.session import connected

    key = key_of(session)
    path = output or Path(f"{key}.dwr")
    with connected(connection) as opened, new_file(path) as file:
        opened.client.download(f"{AUDIT}/{key}/audit_trail", file)
    typer.echo(f"{path}: written.")


@command
def follow(
    connection: ConnectionOptions,
    output: Output,
    session: SessionArgument,
    channel: ChannelNumber = None,
    since: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="TIME",
            help="Show first what there was since: seconds, or h:m:s, since the session began. That you did is written down.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Watch a session that runs, until it ends. On a terminal it is drawn; with -o json its events come as lines."""
    from doorward.cli.session import connected
    from doorward.cli.trails import milliseconds

    key = key_of(session)
    asked = ({} if since is None else {"from": str(milliseconds(since) / 1000)}) | ({"channel": str(channel)} if channel else {})
    is_drawn = output.structured is None
    if is_drawn and not sys.stdout.isatty():
        raise Usage("To follow a session needs a terminal; -o json gives its events as lines.")
    if output.structured is Format.yaml:
        raise Usage("Events are drawn, or lines of JSON.")
    with connected(connection) as opened:
        events = opened.client.events(f"{LIVE}/{key}/follow", asked)
        try:
            reason = _drawn(events) if is_drawn else _printed(events)
        except KeyboardInterrupt:
            return
    typer.echo(reason, err=True)


def _printed(events: Iterator[tuple[str, str]]) -> str:
    for name, data in events:
        if name == "end":
            return str(json.loads(data)["reason"])
        typer.echo(json.dumps(json.loads(data)))  # ASCII: what a session sent can't steer a terminal
    return "The server sends no more."


def _drawn(events: Iterator[tuple[str, str]]) -> str:
    from doorward.cli.player import Player

    player = None
    try:
        for name, data in events:
            told = json.loads(data)
            if name == "start":
                player = Player(int(told["width"]), int(told["height"]))
            elif name == "end":
                return str(told["reason"])
            elif player is not None:
                player.take(str(told[1]), str(told[2]))
                player.draw(now=True)
    finally:
        if player is not None:
            player.leave()
    return "The server sends no more."
