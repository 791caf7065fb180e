"""What goes between a client and the server, and what of it a program gets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct, field


class ClientRequest(Struct, frozen=True):
    """One request. ``path`` may have a query; ``about`` is what errors name; ``delay``: seconds to wait before it is sent."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None
    about: str = ""
    delay: float = 0.0


class ClientReply(Struct, frozen=True):
    """What came back; names of headers in small letters."""

    status: int
    headers: Mapping[str, str]
    content: bytes


class ApiAnswer(Struct, frozen=True):
    """What the server said: the JSON of its answer, and the entity tag of the resource."""

    content: dict[str, Any]
    etag: str = ""

    @property
    def meta(self) -> dict[str, Any]:
        """The ``meta`` of the answer."""
        found: dict[str, Any] = self.content.get("meta", {})
        return found


class Committed(Struct, frozen=True):
    """What came of a commit: its revision, the Idempotency-Key it came with, and what became of each change of a batch.

    Where somebody has to accept it first there is no revision yet, but the path of a proposal, and the groups that it waits for.
    """

    revision: int | None
    key: str
    results: Sequence[Mapping[str, Any]] = ()
    proposal: str = ""
    waits_for: Sequence[str] = ()
