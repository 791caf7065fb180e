"""``doorward rotate-key``: a new data key for a state directory that no server has."""

from __future__ import annotations

from pathlib import Path

from doorward.store.lock import StateInUseError, locked
from doorward.store.port import StoreDamagedError
from doorward.store.rotation import DATABASE, Rotated, rotate
from doorward.store.vault import VaultError


class RotationError(Exception):
    """Why the key stays, in one sentence for the operator."""


def rotated(state: Path) -> Rotated:
    """Change the data key. Raises RotationError."""
    if not (state / DATABASE).exists():
        raise RotationError(f"{state} holds no state of Doorward.")
    try:
        with locked(state):
            return rotate(state)
    except (StateInUseError, StoreDamagedError, VaultError) as why:
        raise RotationError(str(why)) from why
