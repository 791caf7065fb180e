"""Steps with names: the process dies with SIGKILL at the one that the file ``NAMED_TRAP`` names, once."""

from __future__ import annotations

import functools
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

_TRAP = Path(os.environ["NAMED_TRAP"])


def step(name: str) -> None:
    """Die if it is the one."""
    if _TRAP.exists() and _TRAP.read_text() == name:
        _TRAP.unlink()
        os.kill(os.getpid(), signal.SIGKILL)
        threading.Event().wait()  # the signal is on its way


def around(owner: Any, name: str, what: Callable[..., str]) -> None:
    """Put a step ahead of a function and one behind it."""
    original = getattr(owner, name)

    @functools.wraps(original)
    def stepped(*arguments: Any, **options: Any) -> Any:
        described = what(*arguments)
        step(f"before {described}")
        result = original(*arguments, **options)
        step(f"after {described}")
        return result

    setattr(owner, name, stepped)
