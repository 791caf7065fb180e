"""What all messages of the pipe have in common."""

from __future__ import annotations

import msgspec

MAX_MESSAGE = 262_144
"""Bytes of one message. Content of followed sessions is cut into pieces below it."""


class PipeMessage(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="is"):
    """A message of either side. Shown without its content, which may be secret."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({getattr(self, 'session', '')})"
