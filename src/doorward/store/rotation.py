"""Changing the data key: everything that is sealed or marked with it gets sealed and marked with a new one.

The file of the key and the database have to change together, and the process may die between any two steps. So the database
decides: the key that marked its newest revision is the right one, and the other one is destroyed.

1. A new key is written to ``data.key.next``.
2. One transaction of the database seals and marks everything with it.
3. The old key is overwritten, and ``data.key.next`` takes its name.

After a crash before the end of 2 the old key is in force, afterwards the new one; ``settle`` finds out which.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from msgspec import Struct

from doorward.host.files import sync_directory
from doorward.host.ownership import open_own
from doorward.store.sqlite import SqliteStore
from doorward.store.vault import KEY_BYTES, Vault, VaultError

DATABASE, KEY, NEXT = "doorward.db", "data.key", "data.key.next"


class Rotated(Struct, frozen=True):
    """What a rotation put under the new key."""

    secrets: int
    revisions: int


def rotate(state: Path) -> Rotated:
    """Change the data key of a state directory whose lock is held.

    Raises VaultError or StoreDamagedError where the key is not that of the database or the history is not whole; then the old key
    stays. When this returns, or fails, no second key is left.
    """
    settle(state)
    store = SqliteStore(state / DATABASE, Vault.at(state / KEY, create=False))
    try:
        if not store.marked():
            raise VaultError(f"{state / KEY} is not the data key of {state / DATABASE}, or nothing was ever committed.")
        # Marking anew what somebody altered would make it ours.
        if found := store.check():
            raise VaultError(f"The history is not whole, so the data key stays. {found[0]}")
        rotated = Rotated(*store.reseal(Vault.at(state / NEXT, create=True)))
    finally:
        store.close()
        settle(state)
    return rotated


def settle(state: Path) -> None:
    """Finish or undo the rotation that a crash left behind, if there is one. The lock of the state directory is held.

    Raises VaultError where neither key is the one of the database; then both are left alone.
    """
    if not unsettled(state):
        return
    key, upcoming = state / KEY, state / NEXT
    try:
        if _in_force(state, upcoming):
            if key.exists():
                _overwrite(key)
            upcoming.replace(key)
        elif _in_force(state, key):
            _overwrite(upcoming)
            upcoming.unlink()
        else:
            raise VaultError(f"Neither {key} nor {upcoming} is the data key of {state / DATABASE}.")
        sync_directory(state)
    except OSError as error:
        raise VaultError(f"The data key {upcoming} can't be settled: {error.strerror}.") from error


def unsettled(state: Path) -> bool:
    """Whether a rotation was cut off and waits for ``settle``."""
    return (state / NEXT).exists()


def _in_force(state: Path, key: Path) -> bool:
    """Whether a key is the one of the database."""
    store = SqliteStore(state / DATABASE, Vault.at(key, create=False))
    try:
        return store.marked()
    finally:
        store.close()


def _overwrite(key: Path) -> None:
    """Destroy a key in its place: removing a file leaves its blocks on the disk."""
    with os.fdopen(open_own(key, os.O_RDWR), "r+b") as file:
        file.write(secrets.token_bytes(KEY_BYTES))
        file.flush()
        os.fsync(file.fileno())
