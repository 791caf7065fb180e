"""What can go wrong on a host. Every `reason` is one sentence for an operator: no internals, no tracebacks."""

from __future__ import annotations

import os
from typing import Literal

RefusalCode = Literal["no_reachable_source", "daemon_absent", "sandbox"]


class HostError(Exception):
    """The host cannot do or show what was asked; `reason` says why in one sentence."""

    def __init__(self, reason: str) -> None:
        """Keep `reason` for the caller that turns it into an answer."""
        super().__init__(reason)
        self.reason = reason


class PathRefused(HostError):
    """A path is not absolute, climbs with `..`, or is led out of the host's root by a symbolic link."""


class DeadlineExceeded(HostError):
    """The time allowed for the change is over."""


class ApplyError(Exception):
    """A plan could not be carried out; everything done was put back, or not (`restored`).

    `action` is the step that failed as the plan names it ("write sources"), `origin` the configuration href it stems
    from, `reason` one sentence, `restored` False when the old state could not be proven again: the host is then in an
    unknown state.
    """

    def __init__(self, action: str, origin: str, reason: str, *, restored: bool) -> None:
        """Take the four facts; the message joins them for logs."""
        super().__init__(f"{action}: {reason}" + ("" if restored else " (the old state could not be restored)"))
        self.action = action
        self.origin = origin
        self.reason = reason
        self.restored = restored


class HostRefusedError(Exception):
    """A request to the host that it declines by rule: `code` is for the API, `message` for a person."""

    def __init__(self, code: RefusalCode, message: str) -> None:
        """Keep code and message."""
        super().__init__(message)
        self.code: RefusalCode = code
        self.message = message


def os_reason(what: str, error: OSError) -> str:
    """One sentence for an `OSError`.

    It joins `what` ("writing /etc/timezone failed") and the system's own words for the cause.
    """
    cause = os.strerror(error.errno) if error.errno else "unknown system error"
    return f"{what}: {cause}"
