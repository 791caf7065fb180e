"""``doorward trail``: recordings of sessions as files, looked at without a server."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from doorward.cli.failures import CommandError, Usage
from doorward.cli.help import group, register
from doorward.cli.options import Output, command

if TYPE_CHECKING:
    from doorward.cli.render import OutputLine
    from doorward.recording.channels import RecordedChannel
    from doorward.recording.reader import TrailReader

app = group("trail", "Recordings of sessions as files: proven, shown, exported. No server is needed.")

File = Annotated[Path, typer.Argument(metavar="FILE", help="A trail, such as of .../audit_trail.", show_default=False)]
Key = Annotated[
    Path | None,
    typer.Option("--key", metavar="FILE", help="Private key in PEM that opens an encrypted trail.", show_default=False),
]
ChannelNumber = Annotated[
    int | None, typer.Option("--channel", metavar="N", min=1, help="Without: the first with a terminal.", show_default=False)
]
Since = Annotated[str, typer.Option("--from", metavar="TIME", help="Where to begin: seconds, or h:m:s since the session began.")]
Speed = Annotated[float, typer.Option(min=0.1, max=1000, help="How many times as fast.")]
MaxPause = Annotated[float, typer.Option(min=0, max=86_400, help="Pauses are cut to so many seconds.")]
Certificates = Annotated[
    list[Path] | None,
    typer.Option("--certificate", metavar="FILE", help="Certificate in PEM to check signatures with.", show_default=False),
]
Authorities = Annotated[
    list[Path] | None,
    typer.Option("--authority", metavar="FILE", help="Certificates in PEM that time stamps must lead to.", show_default=False),
]


class TrailFormat(StrEnum):
    """What a trail is made into."""

    asciicast = "asciicast"
    txt = "txt"
    files = "files"
    pcap = "pcap"


@command
def verify(file: File, output: Output, key: Key = None, certificate: Certificates = None, authority: Authorities = None) -> None:
    """Prove that a trail is what was written, and say up to when. Exit code 1: it is not.

    Without the key of an encrypted trail the order of its frames is checked, not what is in them. Signatures and time stamps of
    seals are checked with the certificates that are given; whether to trust those is yours to know.
    """
    from doorward.cli import render
    from doorward.cli.proving import checked_seals, texts, verdict
    from doorward.cli.trails import clock, opened

    with opened(file, key) as reader:
        found = reader.verify()
        sealed = checked_seals(reader, found, texts(certificate), "\n".join(texts(authority)))
        told = {
            "cut_bytes": found.cut,
            "damage": str(found.damage) if found.damage else None,
            "ended": found.ended,
            "frames": found.frames,
            "opened": sorted(stream.name.lower() for stream in found.opened),
            "seals": sealed,
            "until_ms": found.until,
        }
        render.emit(told, output.structured, verdict(found, sealed, clock(found.until)))
    if found.damage is not None or any(seal["holds"] is False for seal in sealed):
        raise CommandError(f"{file} is not what was written.")


@command
def info(file: File, output: Output, key: Key = None) -> None:
    """Show what a trail is of: the session, its channels, who can open it."""
    from doorward.cli import render
    from doorward.cli.trails import opened
    from doorward.recording.channels import channels
    from doorward.recording.format import Stream

    with opened(file, key) as reader:
        keys = reader.header["keys"]
        found = channels(reader.records()) if reader.keys.of(Stream.SCREEN) is not None else {}
        told = {
            "channels": [_channel(one) for one in found.values()],
            "header": {name: value for name, value in reader.header.items() if name != "keys"},
            "recipients": {name: block.get("recipients", []) for name, block in keys.items()},
            "until_ms": reader.until,
        }
        render.emit(told, output.structured, _info(reader, told, found))


def _channel(one: RecordedChannel) -> dict[str, Any]:
    told = {
        "begin_ms": one.begin, "command": one.command, "end_ms": one.end, "exit": one.exit, "input_bytes": one.input,
        "number": one.number, "output_bytes": one.output, "subsystem": one.subsystem, "terminal": one.terminal, "type": one.type,
    }  # fmt: skip
    return {name: value for name, value in told.items() if value is not None}


def _info(reader: TrailReader, told: dict[str, Any], found: dict[int, RecordedChannel]) -> Iterator[OutputLine]:
    from doorward.cli.render import OutputLine, table
    from doorward.cli.trails import clock, moment

    for name, value in told["header"].items():
        yield OutputLine(f"{name}: {value}")
    yield OutputLine(f"until: {clock(told['until_ms'])} {moment(reader, told['until_ms'])}".rstrip())
    for name, recipients in told["recipients"].items():
        yield OutputLine(f"{name}: {'in clear' if not recipients else 'for ' + ', '.join(recipients)}")
    rows = [
        [
            str(one.number), one.type, clock(one.begin), clock(one.end) if one.end is not None else "-", str(one.output),
            one.command or one.subsystem or "",
        ]
        for one in found.values()
    ]  # fmt: skip
    if rows:
        yield from table(["CHANNEL", "TYPE", "FROM", "TO", "OUTPUT", "COMMAND"], rows)


@command
def replay(
    file: File,
    key: Key = None,
    channel: ChannelNumber = None,
    since: Since = "0",
    speed: Speed = 1.0,
    max_pause: MaxPause = 2.0,
) -> None:
    """Show a recorded terminal in this one, at its pace."""
    from doorward.cli.player import drawn_replay
    from doorward.cli.trails import milliseconds, opened, readable, shown_channel
    from doorward.recording.replay import replay as replayed

    begin = milliseconds(since)
    if not sys.stdout.isatty():
        raise Usage("A replay needs a terminal; `doorward trail export --format asciicast` makes a file.")
    with opened(file, key) as reader:
        one = shown_channel(readable(reader, file), channel)
        drawn_replay(replayed(reader, one.number, begin), speed, max_pause)


@command
def text(
    file: File,
    key: Key = None,
    channel: ChannelNumber = None,
    times: Annotated[bool, typer.Option("--times", help="With the moment at which each line was complete.")] = False,  # noqa: FBT002 - Typer's option
) -> None:
    """Print what a recorded terminal showed, line by line. Nothing in it steers this terminal."""
    from doorward.cli.exporting import lines
    from doorward.cli.trails import opened, readable, shown_channel

    with opened(file, key) as reader:
        one = shown_channel(readable(reader, file), channel)
        for line in lines(reader, one.number, times=times):
            typer.echo(line)


@command
def export(
    file: File,
    form: Annotated[
        TrailFormat,
        typer.Option(
            "--format",
            help="asciicast: for players; txt: lines with times; files: what was copied; pcap: forwarded TCP connections.",
        ),
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File or directory to write; it must not exist.", show_default=False)
    ] = None,
    key: Key = None,
    channel: ChannelNumber = None,
    version: Annotated[int, typer.Option(min=2, max=3, help="Of asciicast.")] = 3,
) -> None:
    """Write a trail in a form that other programs read. Names of files are made harmless; nothing is overwritten."""
    from doorward.cli import exporting
    from doorward.cli.trails import opened, readable, shown_channel

    suffix = ".cast" if form is TrailFormat.asciicast else f".{form}"
    target = output or Path(file.name).with_suffix(suffix)
    with opened(file, key) as reader:
        readable(reader, file)
        match form:
            case TrailFormat.files:
                said = exporting.files(reader, target)
            case TrailFormat.pcap:
                said = exporting.connections(reader, target)
            case TrailFormat.asciicast:
                said = exporting.cast(reader, shown_channel(reader, channel).number, version, target)
            case _:
                said = exporting.text(reader, shown_channel(reader, channel).number, target)
        for line in said:
            typer.echo(line)


_COMMANDS: dict[str, Callable[..., None]] = {
    "verify": verify, "info": info, "replay": replay, "text": text, "export": export,
}  # fmt: skip
for _name, _function in _COMMANDS.items():
    register(app, _name, _function)
