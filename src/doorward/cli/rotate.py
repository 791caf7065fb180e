"""``doorward rotate-key``: a new data key for a state directory that no server has."""

from __future__ import annotations

from pathlib import Path

from doorward.store.lock import StateInUse, locked
from doorward.store.port import StoreDamaged
from doorward.store.rotation import DATABASE, Rotated, rotate
from doorward.store.vault import VaultError


class NotRotated(Exception):
    """Why the key stays, in one sentence for the operator."""


def rotated(state: Path) -> Rotated:
    """Change the data key. Raises NotRotated."""
    if not (state / DATABASE).exists():
        raise NotRotated(f"{state} holds no state of Doorward.")
    try:
        with locked(state):
            return rotate(state)
    except (StateInUse, StoreDamaged, VaultError) as why:
        raise NotRotated(str(why)) from why
