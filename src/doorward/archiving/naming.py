"""What trails are called in an archive: directories as the policy wants them, then the key of the session."""

from __future__ import annotations

import re
from datetime import UTC, datetime, tzinfo
from typing import Final

from doorward.recording.journal import SUFFIX
from doorward.sessions.catalogue.rows import SessionRow

DIRECTORY: Final = "trails"
"""Stands before all names, beside the ``config`` of backups."""
_OTHER = re.compile(r"[^A-Za-z0-9_.-]")
_DOTS = re.compile(r"\.+\Z")
_MAX_PART = 100


def object_name(template: str, row: SessionRow, now: datetime, zone: tzinfo) -> str:
    """Return the name of a trail below the root of its target. Nothing in it leads elsewhere, whatever policies are called.

    ``template`` as in the policy; its dates are those of a time zone. The key of a session is in no other name.
    """
    began = datetime.fromtimestamp(row.began / 1000, UTC)
    parts = {
        "ARCHIVEDATE": f"{now.astimezone(zone):%Y-%m-%d}",
        "CONNECTION": _part(row.policy),
        "CONNECTIONDATE": f"{began.astimezone(zone):%Y-%m-%d}",
        "PROTOCOL": _part(row.protocol),
    }
    return "/".join((DIRECTORY, *(parts[name] for name in template.strip("/").split("/")), row.key + SUFFIX))


def _part(text: str) -> str:
    """Return a name as one part of a key: letters, digits and ``. _ -``, never dots alone."""
    made = _OTHER.sub("_", text)[:_MAX_PART]
    return "_" if _DOTS.match(made) else made
