"""Why a step of a backup could not be done: the codes of runs, drills and tests (backup contract, section 12)."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from doorward.tree.plaintext import plain

_TRANSIENT = frozenset({
    "resolve", "connect", "timeout", "stalled", "connection_lost", "server_busy",
    "no_space", "quota", "verify_failed", "drill_failed", "no_local_space", "store_error",
})  # fmt: skip
_PERMANENT = frozenset({
    "host_key_mismatch", "certificate_rejected", "auth_failed", "guest_refused",
    "encryption_unavailable", "protocol_unavailable", "nfs_unavailable", "program_absent",
    "no_such_path", "permission_denied", "read_only_target", "name_exists",
    "gpg_absent", "key_expired", "key_revoked", "encryption_check", "too_large", "self_check",
    "overlap", "policy_changed", "shutdown", "cancelled",
})  # fmt: skip

CODES = _TRANSIENT | _PERMANENT
"""Every code there is."""

_MAX_CHARACTERS = 500

NOT_ALLOWED = "Its author lost the account or the right to it."
"""Why work that goes on by itself ended before it took effect."""


Check = Callable[[], None]
"""Raises BackupError when work is to be broken off."""


class BackupError(Exception):
    """Why a step of a backup could not be done.

    ``code``: one of CODES. ``message``: for people, without secrets, at most 500 characters, no control characters.
    """

    def __init__(self, code: str, message: str) -> None:
        if code not in CODES:
            raise ValueError(f"no such code: {code}")
        self.code = code
        self.message = plain(message, _MAX_CHARACTERS)
        super().__init__(self.message)

    @property
    def transient(self) -> bool:
        """Whether it may go away by itself: the run tries again."""
        return self.code in _TRANSIENT

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


def never() -> None:
    """Let work go on that nobody breaks off."""


@contextmanager
def on_this_node() -> Iterator[None]:
    """Turn trouble with files of this node, such as a full disk, into a BackupError."""
    try:
        yield
    except OSError as error:
        full = error.errno in {errno.ENOSPC, errno.EDQUOT}
        words = f"On this node: {error.strerror or type(error).__name__}."
        raise BackupError("no_local_space" if full else "store_error", words) from error
