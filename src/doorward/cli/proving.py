"""Whether a trail is what was written: its seals, checked with what is at hand, and the verdict in words."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from doorward.cli.failures import CommandError
from doorward.cli.render import OutputLine
from doorward.recording.format import TrailDamagedError
from doorward.recording.reader import TrailReader, TrailVerdict
from doorward.recording.seals import is_signed, is_stamped, seals


def texts(paths: list[Path] | None) -> list[str]:
    """Return the contents of files with certificates. Raises CommandError."""
    try:
        return [path.read_text(encoding="ascii") for path in paths or []]
    except (OSError, UnicodeDecodeError):
        raise CommandError("A certificate can't be read.") from None


def checked_seals(reader: TrailReader, found: TrailVerdict, certificates: list[str], authorities: str) -> list[dict[str, Any]]:
    """Return the seals of a trail: are signature and stamp right, does it hold? None: nothing to check it with."""
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
    found: dict[int, str] = {}
    try:
        for frame in reader.frames():
            if frame.number in numbers:
                found[frame.number] = frame.next_chain.hex()
    except TrailDamagedError:
        pass  # said already
    return found


def verdict(found: TrailVerdict, sealed: list[dict[str, Any]], until: str) -> Iterator[OutputLine]:
    """Yield what was found, for people. ``until``: the moment of the last frame that is in order."""
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
