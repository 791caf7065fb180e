"""chronyd's own client, one process per question (2 ms): the only documented way to ask a running chronyd."""

from __future__ import annotations

import os
import subprocess
from typing import Final, Protocol

from doorward.host.errors import HostError

_TIMEOUT_SECONDS: Final = 2.0
_ADDRESS_FIELDS: Final = 10
_TRACKING_FIELDS: Final = 14


class AskChronyd(Protocol):
    """Puts a question to chronyd and gives its standard output; `HostError` when it doesn't answer or declines."""

    def __call__(self, *arguments: str) -> str:
        """`arguments` of chronyc after the socket."""


class Chronyc:
    """`AskChronyd` by way of the program chronyc."""

    def __init__(self, program: str, socket: str) -> None:
        """`program` is its path, `socket` the command socket of the daemon."""
        self._command = [program, "-h", socket]

    def __call__(self, *arguments: str) -> str:
        """Run it; at most 2 s."""
        try:
            result = subprocess.run(
                [*self._command, *arguments],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_TIMEOUT_SECONDS,
                check=False,
                env={"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C"},
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise HostError("chronyd does not answer") from error
        if result.returncode != 0:
            raise HostError("chronyd does not answer or declined")
        return result.stdout.decode(errors="replace")


def listed(ask: AskChronyd) -> frozenset[str]:
    """Names or addresses of all sources as they were configured, unresolved ones included."""
    return frozenset(fields[2] for fields in _rows(ask("-N", "-c", "sources", "-a"), _ADDRESS_FIELDS))


def tracking(ask: AskChronyd) -> list[str]:
    """The fields of `chronyc -c tracking`."""
    return _one(ask("-n", "-c", "tracking"))


def figures(ask: AskChronyd) -> tuple[list[str], list[tuple[list[str], str, list[str]]]]:
    """The tracking fields, and for every source its fields (address or "ID#…" in [2]), its configured name and its keys.

    Keys: address, mode ("NTS"), number of the key, its algorithm and bits, seconds since keys were agreed on, tries since, NAKs,
    cookies and their length.

    Names and addresses never stand in one answer of chronyc, so the names are asked for by address; a source that
    goes away in between is left out.
    """
    answer = ask("-n", "-c", "-m", "tracking", "sources -a", "authdata -a")
    first, _, rest = answer.partition("\n")
    both = _rows(rest, _ADDRESS_FIELDS)
    rows, keys = both[: len(both) // 2], both[len(both) // 2 :]
    if [row[2] for row in rows] != [row[0] for row in keys]:
        raise HostError("chronyd's answers about its sources do not fit together")
    if not rows:
        return _one(first), []
    names = ask("-c", "-m", *(f"sourcename {fields[2]}" for fields in rows)).splitlines()
    if len(names) != len(rows):
        raise HostError("chronyd's answers about its sources do not fit together")
    # A declined question is answered by a line such as "503 No such source"; no host name holds a space.
    return _one(first), [one for one in zip(rows, names, keys, strict=True) if " " not in one[1]]


def bursting(ask: AskChronyd) -> int:
    """How many sources are still being measured in a burst."""
    fields = ask("-c", "activity").strip().split(",")
    return int(fields[2]) + int(fields[3])


def _one(text: str) -> list[str]:
    rows = _rows(text, _TRACKING_FIELDS)
    if len(rows) != 1:
        raise HostError("chronyd's answer about the clock cannot be read")
    return rows[0]


def _rows(text: str, fields: int) -> list[list[str]]:
    rows = [line.split(",") for line in text.splitlines() if line]
    if any(len(row) < fields for row in rows):
        raise HostError("chronyd's answer cannot be read")
    return rows
