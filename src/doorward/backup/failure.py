"""Why a step of a backup could not be done: the codes of runs, drills and tests (backup contract, section 12)."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

from doorward.store.room import is_full

_TRANSIENT = frozenset({
    "resolve", "connect", "timeout", "stalled", "connection_lost", "server_busy",
    "no_space", "quota", "verify_failed", "drill_failed", "no_local_space", "store_error",
})  # fmt: skip
_PERMANENT = frozenset({
    "host_key_mismatch", "auth_failed", "guest_refused",
    "encryption_unavailable", "protocol_unavailable", "nfs_unavailable", "program_absent",
    "no_such_path", "permission_denied", "read_only_target", "name_exists",
    "gpg_absent", "key_expired", "key_revoked", "encryption_check", "too_large", "self_check",
    "overlap", "policy_changed", "shutdown", "cancelled",
})  # fmt: skip

CODES = _TRANSIENT | _PERMANENT
"""Every code there is."""

_MOST_CHARACTERS = 500


Check = Callable[[], None]
"""Raises BackupFailure when work is to be broken off."""


class BackupFailure(Exception):
    """Why a step of a backup could not be done.

    ``code``: one of CODES. ``message``: for people, without secrets, at most 500 characters, no control characters.
    """

    def __init__(self, code: str, message: str) -> None:
        if code not in CODES:
            raise ValueError(f"no such code: {code}")
        self.code = code
        self.message = clean(message)
        super().__init__(self.message)

    @property
    def transient(self) -> bool:
        """Whether it may go away by itself: the run tries again."""
        return self.code in _TRANSIENT

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


def never() -> None:
    """Let work go on that nobody breaks off."""


def of_this_node(error: OSError) -> BackupFailure:
    """Return the failure of work with files of this node."""
    return BackupFailure("no_local_space" if is_full(error) else "store_error", f"On this node: {error.strerror}.")


def clean(words: str, most: int = _MOST_CHARACTERS) -> str:
    """Return words of another program in one line, without control characters and not too long."""
    plain = "".join(" " if unicodedata.category(character)[0] == "C" else character for character in words[: 8 * most])
    line = " ".join(plain.split())
    return line if len(line) <= most else line[: most - 1] + "…"
