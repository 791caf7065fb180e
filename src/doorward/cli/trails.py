"""Trails as files, for commands that need no server."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

from doorward.cli.failures import CommandError, Usage
from doorward.recording.channels import RecordedChannel, channels
from doorward.recording.format import Stream, TrailDamagedError
from doorward.recording.reader import TrailReader
from doorward.recording.trail_file import TrailFile


@contextmanager
def opened(path: Path, key: Path | None) -> Iterator[TrailReader]:
    """Give a reader of a trail for the time of a block. ``key``: file with the private key (PEM) of who it is encrypted to.

    Raises CommandError, also for what is wrong with the trail where it is read in the block.
    """
    pem = private_key(key) if key is not None else None
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise CommandError(f"{path} can't be read: {error.strerror}.") from None
    try:
        yield TrailReader(TrailFile(descriptor), pem)
    except TrailDamagedError as error:
        raise CommandError(f"{path} is not what was written: {error}.") from None
    finally:
        os.close(descriptor)


def readable(reader: TrailReader, path: Path) -> TrailReader:
    """Return a reader that can read what was shown. Raises CommandError, which names who can."""
    if reader.keys.screen is None:
        names = reader.header["keys"]["screen"].get("recipients", [])
        lines = [f"{path} is encrypted; give --key with the private key of a certificate with one of these fingerprints:"]
        raise CommandError(*lines, *(f"  {name}" for name in names))
    return reader


def private_key(path: Path) -> bytes:
    """Return a private key in PEM, not encrypted; a passphrase is asked for. Raises CommandError."""
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

    from doorward.cli import terminal

    try:
        pem = path.read_bytes()
    except OSError as error:
        raise CommandError(f"{path} can't be read: {error.strerror}.") from None
    try:
        return load_pem_private_key(pem, None).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    except TypeError:  # it has a passphrase
        if not terminal.present():
            raise CommandError(f"{path} has a passphrase, and there is no terminal to ask for it.") from None
    except ValueError:
        raise CommandError(f"{path} is no private key in PEM.") from None
    try:
        typed = terminal.secret(f"Passphrase of {path}").encode()
        return load_pem_private_key(pem, typed).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    except ValueError:
        raise CommandError(f"The passphrase of {path} is another one.") from None


def shown_channel(reader: TrailReader, wanted: int | None) -> RecordedChannel:
    """Return the channel that is meant: the one with the number, else the first with a terminal, else with output."""
    found = channels(reader.records(Stream.SCREEN))
    if wanted is not None:
        if wanted not in found:
            raise CommandError(f"There is no channel {wanted}; there are {', '.join(map(str, found)) or 'none'}.")
        return found[wanted]
    ranked = [one for one in found.values() if one.terminal] + [one for one in found.values() if one.output]
    if not ranked:
        raise CommandError("No channel of the session showed anything.")
    return ranked[0]


def milliseconds(text: str) -> int:
    """Return the moment of ``90``, ``1:30`` or ``1:02:03.5``. Raises Usage."""
    parts = text.split(":")
    try:
        numbers = [float(part) for part in parts]
        if len(parts) > 3 or any(not part or part.strip("0123456789.") for part in parts):  # noqa: PLR2004 - h:m:s
            raise ValueError
    except ValueError:
        raise Usage(f"A moment is given as seconds, minutes:seconds or hours:minutes:seconds, not {text}.") from None
    seconds = 0.0
    for number in numbers:
        seconds = seconds * 60 + number
    return round(min(seconds, 1e9) * 1000)


def clock(at: int) -> str:
    """Return a moment as it is shown: ``1:02:03.500``."""
    seconds, rest = divmod(at, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}.{rest:03}"


def moment(reader: TrailReader, at: int) -> str:
    """Return a moment of a trail as a time of day, where it says when it began."""
    try:
        began = datetime.fromisoformat(str(reader.header.get("started", "")))
        return (began + timedelta(milliseconds=at)).astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")
    except (ValueError, OverflowError):
        return ""
