"""What somebody asks for who wants an archive restored, and why it can't be begun."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from msgspec import Struct

from doorward.access.rights import Allowed, always

Scope = Literal["configuration", "system"]


class ArchiveSource(Struct, frozen=True):
    """Where the archive is: the key of an upload, or its name on the target of the selected policy."""

    selection: Literal["upload", "target"]
    value: str


@dataclass(frozen=True, slots=True)
class RestoreRequest:
    """What somebody asks for. ``message`` is the commit message, ``user`` and ``address`` are who asks and from where.

    ``account`` is the key of the account that asks; ``is_allowed`` tells, in any thread, whether it still may have the restore.
    ``confirm_seconds``: goes back after that many seconds unless confirmed; not for a whole system.
    """

    user: str
    address: str
    scope: Scope = "configuration"
    network: Literal["keep", "restore"] = "keep"
    password: str | None = field(default=None, repr=False)
    accept_signer: str | None = None
    take_over: bool = False
    message: str | None = None
    new_certificate: bool = False
    account: str = ""
    is_allowed: Allowed = field(default=always, repr=False)
    confirm_seconds: int | None = None


class RestoreCancelledError(Exception):
    """Whoever asked for a restore lost the account or the right before it took effect; nothing was changed."""
