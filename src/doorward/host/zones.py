"""Time zone names of this node."""

from __future__ import annotations

import zoneinfo
from pathlib import Path
from typing import Final

DATABASE: Final = Path("/usr/share/zoneinfo")
"""The node's time zone database."""

FALLBACK: Final = "Etc/UTC"
"""The zone of a host that names none."""

_NOT_ZONES: Final = frozenset({"posixrules", "Factory", "localtime"})
_OTHER_COUNTS: Final = frozenset({"posix", "right"})
"""Copies of the database without and with leap seconds."""
_NO_NAMES: Final = frozenset({"", ".", ".."})
_MAGIC: Final = b"TZif"


def is_zone(name: str) -> bool:
    """Whether a name, such as "America/New_York", is in the node's database.

    Where the node has none: in that of the Python package ``tzdata``.
    """
    parts = name.split("/")
    if name in _NOT_ZONES or parts[0] in _OTHER_COUNTS or not _NO_NAMES.isdisjoint(parts):
        return False
    if not DATABASE.is_dir():
        return name in zoneinfo.available_timezones()
    try:  # the one file: to read the names of all takes as long as to read the whole configuration
        with (DATABASE / name).open("rb") as file:
            return file.read(len(_MAGIC)) == _MAGIC
    except (OSError, ValueError):  # a directory, or no name of a file
        return False


def host_zone(root: Path = Path("/")) -> str:
    """The zone the host below `root` is in now: /etc/timezone, else where /etc/localtime leads, else "Etc/UTC"."""
    try:
        named = (root / "etc/timezone").read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        named = ""
    if is_zone(named):
        return named
    try:
        target = str((root / "etc/localtime").readlink())
    except OSError:
        return FALLBACK
    linked = target.partition("zoneinfo/")[2]
    return linked if is_zone(linked) else FALLBACK
