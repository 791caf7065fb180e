"""What rsync says: why it failed, and what is in a directory. Only lines of rsync itself count, and none is believed too long."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import IO

from doorward.backup.targets.port import TargetFile
from doorward.backup.targets.programs import ProgramResult
from doorward.backup.targets.ssh import meaning

LOCKED = "rrsync error: Another instance"
"""What ``rrsync`` says while the connection before is still ending there."""
_LINE = re.compile(r"(?P<kind>[-a-z])\S+ +(?P<size>[\d,.]{1,20}) (?P<time>\d{1,4}/\d\d/\d\d \d\d:\d\d:\d\d) (?P<name>.{1,1024})")
_MAX_LINE = 2048
_VERSIONS = re.compile(r"\(\w+\) Protocol versions: remote=(\d{1,4}),.*")
# By rsync's exit code, after what it said has told nothing better.
EXITS = {
    2: "protocol_unavailable",
    10: "connection_lost",
    12: "connection_lost",
    30: "stalled",
    35: "timeout",
    127: "program_absent",
    255: "connection_lost",
}
_SAID = r"(rsync\b.*: |\S*rrsync\b.* )"
"""How lines of rsync on either side begin. Others, of the account's shell for one, can say what they like."""


def _errors(words: str, *numbers: int) -> str:
    """Return the pattern of a line of rsync that ends with an error of the system; in brackets stands the other side's errno."""
    return rf"{_SAID}({words})( \(\d+\))?|rsync\b.*\(({'|'.join(map(str, numbers))})\)"


# In this order; whole lines.
_MEANINGS: tuple[tuple[str, str], ...] = (
    (_errors("No space left on device", 28), "no_space"),
    (_errors(r".*[Qq]uota exceeded", 122), "quota"),
    (_errors("Read-only file system", 30), "read_only_target"),
    (r"\S*rrsync\b.*(sending to read-only|write-only|read-only mode).*", "read_only_target"),
    (_errors("Permission denied|Operation not permitted", 1, 13), "permission_denied"),
    (r"\S+: ((line )?\d+: )?(exec: )?(\S*/)?rsync: ((command )?not found|No such file or directory)", "program_absent"),
    (r"zsh:\d+: command not found: rsync|rsync: .*failed to exec rsync.*", "program_absent"),
    (_errors("No such file or directory|Not a directory", 2, 20), "no_such_path"),
    (r"protocol version mismatch -- is your shell clean\?.*|rsync: .*protocol incompatibility.*", "protocol_unavailable"),
    (r"\[\w+\] io timeout after \d+ seconds -- exiting", "stalled"),
    (_errors(r"Cannot allocate memory|.*temporarily unavailable|Too many open files.*", 11, 12, 23, 24), "server_busy"),
    (rf"\S*{LOCKED}.*", "server_busy"),
)


def diagnosed(ended: ProgramResult, log: str, host_keys: Sequence[str]) -> tuple[str, str]:
    """Return code and words of a run that failed: what rsync said of files first, then ssh (``log``), then the exit code."""
    lines = [line.rstrip() for line in ended.err.splitlines() if line.strip() and not line.startswith("rsync error:")]
    for pattern, code in _MEANINGS:
        line = next((line for line in lines if re.fullmatch(pattern, line)), None)
        if line is not None:
            return code, line
    return meaning(log, host_keys) or (
        EXITS.get(ended.code, "server_busy"),
        lines[0] if lines else f"rsync ended with {ended.code}",
    )


def _lines(out: IO[bytes]) -> Iterator[str]:
    """Yield the lines of what rsync said, the beginning of long ones; they are never all in memory."""
    out.seek(0)
    while line := out.readline(_MAX_LINE):
        yield line.decode("utf-8", "replace").rstrip("\n")


def protocol(out: IO[bytes]) -> int | None:
    """Return the version of the protocol that the server speaks, None where rsync does not tell."""
    return next((int(found[1]) for line in _lines(out) if (found := _VERSIONS.fullmatch(line))), None)


def listed(out: IO[bytes]) -> Iterator[tuple[str, TargetFile]]:
    """Yield kind and entry of each line of a list."""
    for line in map(_LINE.fullmatch, _lines(out)):
        if line is not None and line["name"] != "." and (entry := _entry(line)) is not None:
            yield line["kind"], entry


def kind_of(found: Iterable[tuple[str, TargetFile]], name: str) -> str | None:
    """Return the kind of a name, as ``ls`` shows it, None where a list does not have it."""
    return next((kind for kind, entry in found if entry.name == name), None)


def _entry(line: re.Match[str]) -> TargetFile | None:
    try:
        when = datetime.strptime(line["time"], "%Y/%m/%d %H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        return None
    return TargetFile(line["name"], int(re.sub(r"\D", "", line["size"]) or 0), when.timestamp())


def itemized(ended: ProgramResult, name: str) -> bool:
    """Whether rsync reports a file as sent or different."""
    return any(line.split(" ", 1)[1:] == [name] for line in ended.out.splitlines())
