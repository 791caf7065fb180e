"""Names of archives: on a target by time and node, as an export by host and minute (sections 5 and 10.6)."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Literal

from msgspec import Struct

MANIFEST = ".manifest"
"""What the name of the manifest beside an archive ends in."""

_STAMP = "%Y%m%dT%H%M%SZ"
_GRAMMAR = re.compile(r"doorward-([0-9]{8}T[0-9]{6}Z)-([0-9a-f]{8})\.config(\.gpg)?", re.ASCII)

Selection = Literal["none", "password", "gpg"]
_ENDINGS: dict[Selection, str] = {"none": "", "password": "-encrypted", "gpg": "-gpg"}


class Parsed(Struct, frozen=True):
    """What the name of an archive tells; ``node``: the first 8 hex digits of the node's id."""

    name: str
    created: datetime
    node: str
    encrypted: bool


def archive_name(now: datetime, node_id: str, *, encrypted: bool) -> str:
    """Return the name of an archive of a node, unique per node and second."""
    return f"doorward-{now.astimezone(UTC).strftime(_STAMP)}-{node_id[:8]}.config{'.gpg' if encrypted else ''}"


def parse(name: str) -> Parsed | None:
    """Return what a name tells; None where it is none of ours."""
    found = _GRAMMAR.fullmatch(name)
    if found is None:
        return None
    try:
        created = datetime.strptime(found[1], _STAMP).replace(tzinfo=UTC)
    except ValueError:
        return None
    return Parsed(name, created, found[2], found[3] is not None)


def export_name(hostname: str, local: datetime, selection: Selection) -> str:
    """Return the name of an export, by the clock of the node's own zone."""
    return f"{hostname}-{local.strftime('%Y%m%dT%H%M')}.config{_ENDINGS[selection]}"
