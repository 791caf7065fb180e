"""``doorward trail``: recordings of sessions as files, looked at without a server."""

from __future__ import annotations

import os
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
    from doorward.recording.reader import TrailReader, TrailVerdict

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
    from doorward.cli.trails import clock, opened

    with opened(file, key) as reader:
        found = reader.verify()
        sealed = _sealed(reader, found, _texts(certificate), "\n".join(_texts(authority)))
        told = {
            "cut_bytes": found.cut,
            "damage": str(found.damage) if found.damage else None,
            "ended": found.ended,
            "frames": found.frames,
            "opened": sorted(stream.name.lower() for stream in found.opened),
            "seals": sealed,
            "until_ms": found.until,
        }
        render.emit(told, output.structured, _verdict(found, sealed, clock(found.until)))
    if found.damage is not None or any(seal["holds"] is False for seal in sealed):
        raise CommandError(f"{file} is not what was written.")


def _texts(paths: list[Path] | None) -> list[str]:
    """Return the contents of files with certificates. Raises CommandError."""
    try:
        return [path.read_text(encoding="ascii") for path in paths or []]
    except (OSError, UnicodeDecodeError):
        raise CommandError("A certificate can't be read.") from None


def _sealed(reader: TrailReader, found: TrailVerdict, certificates: list[str], authorities: str) -> list[dict[str, Any]]:
    """Return the seals of a trail: are signature and stamp right, does it hold? None: nothing to check it with."""
    from doorward.recording.seals import is_signed, is_stamped, seals

    made = list(seals(found.notes))
    chains = _chains(reader, {seal.frame for seal in made})
    told: list[dict[str, Any]] = []
    for seal in made:
        fits = chains.get(seal.frame) == seal.chain
        signed = any(is_signed(seal, pem) for pem in certificates) if seal.signature and certificates else None
        stamped = is_stamped(seal, authorities) if seal.stamp and authorities else None
        checked = [one for one in (signed, stamped) if one is not None]
        holds = False if not fits or not all(checked) else True if checked else None
        told.append({"at": seal.at, "frame": seal.frame, "holds": holds, "signed": signed, "stamped": stamped})
    return told


def _chains(reader: TrailReader, numbers: set[int]) -> dict[int, str]:
    """Return the chain values after some frames."""
    from doorward.recording.format import TrailDamagedError

    found: dict[int, str] = {}
    try:
        for frame in reader.frames():
            if frame.number in numbers:
                found[frame.number] = frame.next_chain.hex()
    except TrailDamagedError:
        pass  # said already
    return found


def _verdict(found: TrailVerdict, sealed: list[dict[str, Any]], until: str) -> Iterator[OutputLine]:
    from doorward.cli.render import OutputLine

    if found.damage is not None:
        yield OutputLine(f"Damaged: {found.damage}. Everything before is in order, up to {until}.", "bold red")
    else:
        yield OutputLine(f"{found.frames} frames are in order, up to {until}.", "bold green")
    opened = ", ".join(sorted(stream.name.lower() for stream in found.opened))
    yield OutputLine(f"Contents checked: {opened or 'none; it is encrypted, and no key was given'}.")
    if found.damage is None and not found.ended and found.opened:
        yield OutputLine(
            f"The session was cut off: the trail has no end; {found.cut} bytes at its end are no whole frame.", "yellow"
        )
    good = [seal for seal in sealed if seal["holds"]]
    bad = [seal for seal in sealed if seal["holds"] is False]
    if bad:
        yield OutputLine(f"{len(bad)} of {len(sealed)} seals do not hold, the first at frame {bad[0]['frame']}.", "bold red")
    elif good:
        yield OutputLine(f"{len(good)} seals hold, the last over frame {good[-1]['frame']}, of {good[-1]['at']}.")
        stamped = [seal for seal in good if seal["stamped"]]
        if stamped:
            yield OutputLine(f"{len(stamped)} of them have a time stamp that is right.")
    unchecked = sum(seal["holds"] is None for seal in sealed)
    if unchecked:
        yield OutputLine(
            f"{unchecked} seals were not checked; give --certificate for signatures, --authority for stamps.", "yellow"
        )
    if not sealed:
        yield OutputLine("No seals: who cut off the end would not be noticed.", "yellow")


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
    times: Annotated[bool, typer.Option("--times", help="With the moment at which each line was complete.")] = False,  # noqa: FBT002
) -> None:
    """Print what a recorded terminal showed, line by line. Nothing in it steers this terminal."""
    from doorward.cli.trails import opened, readable, shown_channel

    with opened(file, key) as reader:
        one = shown_channel(readable(reader, file), channel)
        for line in _lines(reader, one.number, times=times):
            typer.echo(line)


def _lines(reader: TrailReader, channel: int, *, times: bool) -> Iterator[str]:
    from doorward.cli.trails import clock
    from doorward.recording.export import transcript
    from doorward.tree.plaintext import plain

    for at, line in transcript(reader, channel):
        yield f"{clock(at)}  {plain(line)}" if times else plain(line)


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
    from doorward.cli.trails import opened, readable, shown_channel
    from doorward.recording.capture import Capture
    from doorward.recording.export import asciicast, extract
    from doorward.tree.plaintext import plain

    suffix = ".cast" if form is TrailFormat.asciicast else f".{form}"
    target = output or Path(file.name).with_suffix(suffix)
    with opened(file, key) as reader:
        readable(reader, file)
        if form is TrailFormat.files:
            count = _extracted(target, lambda: extract(reader, target))
            typer.echo(f"{target}: {count} files.")
            return
        if form is TrailFormat.pcap:
            capture = Capture(reader)
            _written(target, capture.pieces())
            typer.echo(f"{target}: {capture.count} connections.")
            for name, address in capture.names.items():
                typer.echo(f"  {address} stands for {plain(name)}")
            return
        number = shown_channel(reader, channel).number
        lines = asciicast(reader, number, version) if form is TrailFormat.asciicast else _text(reader, number)
        _written(target, (line.encode("utf-8", "replace") for line in lines))
    typer.echo(f"{target}: written.")


def _text(reader: TrailReader, channel: int) -> Iterator[str]:
    return (f"{line}\n" for line in _lines(reader, channel, times=True))


def _written(path: Path, pieces: Iterator[bytes]) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise CommandError(f"{path} can't be written: {error.strerror}.") from None
    try:
        with os.fdopen(descriptor, "wb") as written:
            written.writelines(pieces)
    except BaseException:
        path.unlink(missing_ok=True)  # half an export is none
        raise


def _extracted(path: Path, paths: Callable[[], Iterator[Path]]) -> int:
    try:
        path.mkdir(mode=0o700)
    except OSError as error:
        raise CommandError(f"{path} can't be written: {error.strerror}.") from None
    return sum(1 for _ in paths())


_COMMANDS: dict[str, Callable[..., None]] = {
    "verify": verify, "info": info, "replay": replay, "text": text, "export": export,
}  # fmt: skip
for _name, _function in _COMMANDS.items():
    register(app, _name, _function)
