"""Time zone names of this node."""

from __future__ import annotations

import zoneinfo
from functools import cache
from pathlib import Path
from typing import Final

DATABASE: Final = Path("/usr/share/zoneinfo")
"""The node's time zone database."""

FALLBACK: Final = "Etc/UTC"
"""The zone of a host that names none."""

_NOT_ZONES: Final = frozenset({"posixrules", "Factory", "localtime"})


@cache
def known_zones() -> frozenset[str]:
    """Names in the node's database, such as "America/New_York".

    Those of the Python package where the node has no database.
    """
    names = zoneinfo.available_timezones() - _NOT_ZONES
    if DATABASE.is_dir():
        # zoneinfo adds the names of the package `tzdata`; a link to one that the node lacks would lead nowhere.
        names = {name for name in names if (DATABASE / name).is_file()}
    return frozenset(name for name in names if not name.startswith(("posix/", "right/")))


def host_zone(root: Path = Path("/")) -> str:
    """The zone the host below `root` is in now: /etc/timezone, else where /etc/localtime leads, else "Etc/UTC"."""
    try:
        named = (root / "etc/timezone").read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        named = ""
    if named in known_zones():
        return named
    try:
        target = str((root / "etc/localtime").readlink())
    except OSError:
        return FALLBACK
    linked = target.partition("zoneinfo/")[2]
    return linked if linked in known_zones() else FALLBACK
